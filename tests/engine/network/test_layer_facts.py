"""What layers say of themselves in class attributes, against what Keras computes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from cnncli.layers import VOCABULARY
from cnncli.layers.base import Merge
from cnncli.layers.layout import flatten

pytestmark = pytest.mark.engine

NEEDED = {
    "filters": 4,
    "kernel_size": 2,
    "units": 5,
    "target_shape": [-1],
    "rate": 0.5,
    "activation": "linear",
    "scale": 0.5,
}
"""Values for arguments without a default."""
INSTEAD = {
    "Normalization": {"mean": 0.5, "variance": 0.1},
    "GroupNormalization": {"groups": 2},
    "Resizing": {"height": 7, "width": 9},
    "ChannelPadding": {"padding": [-1, 2]},
    "Permute": {"dims": [3, 1, 2]},
}
"""Arguments in place of the defaults, or where one of two sets is needed."""
SHAPES = {"1D": (6, 4), "3D": (6, 6, 6, 4)}


def function(name: str) -> Any:
    """Return what a layer computes in Keras with random weights, and the shape of its input."""
    from cnncli.engine.network.model import build_network

    kind = VOCABULARY[name]
    needed = {k: NEEDED.get(k) for k, field in kind.model_fields.items() if field.is_required()}
    layer = kind.model_validate(INSTEAD.get(name, needed))
    shape = SHAPES.get(name[-2:], (6, 6, 4))
    if issubclass(kind, Merge):
        import keras

        merge = getattr(keras.layers, name)()
        return (lambda x, **options: merge([x, x[..., ::-1]], **options)), shape
    model = build_network(flatten([layer]), shape, seed=1)
    if name == "BatchNormalization":
        model.layers[-1].moving_variance.assign([0.5, 1.0, 2.0, 3.0])
    return model, shape


@pytest.mark.parametrize("name", sorted(VOCABULARY))
def test_linear_layers_are_linear(name: str) -> None:
    """f(x) + f(y) = f(x + y) + f(0) for the layers that say so, and for no other."""
    compute, shape = function(name)
    x, y = np.random.default_rng(0).normal(size=(2, 1, *shape)).astype(np.float32)
    together, zero = np.asarray(compute(x + y)), np.asarray(compute(0 * x))
    linear = np.allclose(np.asarray(compute(x)) + np.asarray(compute(y)), together + zero, atol=1e-4)
    assert linear == VOCABULARY[name].is_linear


@pytest.mark.parametrize("name", sorted(VOCABULARY))
def test_layers_that_leave_values_alone_do_so(name: str) -> None:
    """In evaluation the values are the input's for the layers that say so, and for no other."""
    compute, shape = function(name)
    x = np.random.default_rng(0).normal(size=(1, *shape)).astype(np.float32)
    same = np.array_equal(np.asarray(compute(x, training=False)).reshape(-1), x.reshape(-1))
    arguments = ("Activation", "Cropping2D")  # those here do nothing
    assert same == (VOCABULARY[name].is_same_in_evaluation or name in arguments)


@pytest.mark.parametrize("name", sorted(VOCABULARY))
def test_layers_that_draw_random_numbers_say_so(name: str) -> None:
    """Two calls in training differ for the layers that say so, and for no other."""
    compute, shape = function(name)
    x = np.random.default_rng(0).normal(size=(4, *shape)).astype(np.float32)
    if name == "BatchNormalization":
        assert not VOCABULARY[name].is_random_in_training
        return
    differs = not np.array_equal(np.asarray(compute(x, training=True)), np.asarray(compute(x, training=True)))
    assert differs == VOCABULARY[name].is_random_in_training


@pytest.mark.parametrize(("noise_shape", "axes"), [([None, 1, 1, 1], (1, 2, 3)), ([None, 1, 1, None], (1, 2))])
def test_dropout_of_whole_axes(noise_shape: list[int | None], axes: tuple[int, ...]) -> None:
    """Values along an axis of length 1 of noise_shape are dropped together, the others enlarged."""
    from cnncli.engine.network.model import build_network

    layer = VOCABULARY["Dropout"].model_validate({"rate": 0.5, "noise_shape": noise_shape})
    model = build_network(flatten([layer]), (3, 4, 5), seed=0)
    found = np.asarray(model(np.ones((64, 3, 4, 5), np.float32), training=True))
    assert set(np.unique(found)) == {0.0, 2.0}
    assert (found.min(axis=axes) == found.max(axis=axes)).all()
    assert 0.3 < (found.max(axis=axes) == 0).mean() < 0.7


def test_dropout_of_other_axes_is_refused() -> None:
    """A noise_shape of another number of axes ends in an error, here before training, in Keras in it."""
    import keras
    import tensorflow as tf

    from cnncli.errors import ShapeError

    layer = VOCABULARY["Dropout"].model_validate({"rate": 0.5, "noise_shape": [None, 1, 1]})
    with pytest.raises(ShapeError, match="noise_shape has 3 axes; the input has 4"):
        layer.output_shape((3, 4, 5))
    with pytest.raises(tf.errors.InvalidArgumentError, match="broadcastable"):
        keras.layers.Dropout(0.5, noise_shape=(None, 1, 1))(np.ones((2, 3, 4, 5), np.float32), training=True)
