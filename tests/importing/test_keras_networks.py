"""Small networks of the layers that `keras.applications` has, saved by Keras and imported.

The thirteen networks themselves: `python tests/campaigns/keras_applications.py`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cnncli.importing.graph import GraphImportError

pytestmark = [pytest.mark.engine, pytest.mark.filterwarnings("ignore")]


@pytest.fixture
def same(tmp_path: Path) -> Any:
    """Return a function that saves a model, imports it, compares counts, predictions and gradients, and returns it."""
    import tensorflow as tf

    from cnncli.engine.evaluation.trained import load_trained
    from cnncli.importing.read import make_run, read

    def compare(theirs: Any, size: tuple[int, int] | None = None, unit: float = 1.0) -> Any:
        draws = np.random.default_rng(0)
        for weight in theirs.weights:
            start = 0.5 if "variance" in weight.path else -0.5
            if "seed" not in weight.path and weight.dtype != "int64":
                weight.assign(draws.uniform(start, 1, weight.shape))
        for layer in theirs.layers:
            getattr(layer, "finalize_state", lambda: None)()  # a Normalization computes with copies of its weights
        theirs.save(tmp_path / "m.keras")
        found = read(tmp_path / "m.keras", size)
        ours = load_trained(make_run(found, tmp_path / "runs")).model
        counted = [w for w in theirs.weights if "seed" not in w.path]
        assert sum(np.prod(w.shape) for w in counted) == ours.count_params()
        images = draws.uniform(0, 1, (3, *found.config.input_shape)).astype(np.float32)
        totals, gradients = [], []
        for model, scale in ((ours, 1.0), (theirs, unit)):
            with tf.GradientTape() as tape:
                totals.append(model(images * scale, training=False))
                loss = tf.reduce_sum(totals[-1] ** 2)
            gradients.append([np.asarray(g) for g in tape.gradient(loss, model.trainable_weights)])
        np.testing.assert_allclose(*totals, rtol=1e-4, atol=1e-5)
        for own, other in zip(*gradients, strict=True):
            np.testing.assert_allclose(own, other, rtol=1e-3, atol=1e-4)
        return found

    return compare


def test_convnext(same: Any) -> None:
    """A small ConvNeXt: a stem that is a model of its own, LayerScale, paths that are dropped, sums by operations."""
    from keras.src.applications.convnext import ConvNeXt

    arguments = {"depths": [1, 1, 1, 2], "projection_dims": [2, 3, 2, 4], "drop_path_rate": 0.2, "weights": None}
    theirs = ConvNeXt(**arguments, input_shape=(32, 32, 3), classes=3, classifier_activation=None, name="tiny")
    found = same(theirs)
    layers = {node.name: node.layer for node in found.config.nodes}
    assert layers["tiny_stage_3_block_1_layer_scale"].init_values == 1e-6
    dropout = layers["tiny_stage_3_block_1_stochastic_depth"]
    assert (dropout.rate, dropout.noise_shape) == (pytest.approx(0.2), (None, 1, 1, 1))
    assert "Residual" in found.text


def test_operations_on_tensors(same: Any) -> None:
    """Sums, products and quotients of tensors and numbers are layers; so is a hard sigmoid that is written out."""
    import keras
    from keras import layers, ops

    image = keras.Input((8, 8, 3))
    a = layers.Conv2D(4, 3, padding="same")(image / 2.0)
    b = layers.Conv2D(4, 1)(3.0 - image)
    gate = layers.ReLU(6.0)(a + 3.0) * (1.0 / 6.0)
    mixed = ops.maximum(a * gate, b - 0.5) - ops.minimum(2 * a, b) + a
    theirs = keras.Model(image, layers.Dense(3)(layers.Flatten()(mixed)))
    kinds = [node.layer.type_name() for node in same(theirs).config.nodes]
    assert kinds.count("Rescaling") == 6
    assert {"Multiply", "Maximum", "Minimum", "Subtract", "Add"} < set(kinds)


@pytest.mark.parametrize(
    ("name", "second"), [("power", 2.0), ("floor_divide", 2.0), ("divide", 0.0), ("add", np.float32([1, 2, 3]))]
)
def test_other_operations_are_refused(name: str, second: Any, tmp_path: Path) -> None:
    """An operation that is no layer of the vocabulary is named."""
    import keras
    from keras import layers, ops

    from cnncli.importing.read import read

    image = keras.Input((4, 4, 3))
    made = getattr(ops, name)(image, second)
    keras.Model(image, layers.Dense(2)(layers.Flatten()(made))).save(tmp_path / "m.keras")
    with pytest.raises(GraphImportError, match=r"not supported|expected a tensor or a number"):
        read(tmp_path / "m.keras")


def test_models_in_models(same: Any) -> None:
    """The layers of a backbone within a Sequential within a model take its place, with their weights."""
    import keras
    from keras import layers

    image = keras.Input((8, 8, 3))
    x = layers.Conv2D(4, 3, activation="relu")(image)
    backbone = keras.Model(image, layers.Add()([x, layers.Conv2D(4, 1)(x)]), name="backbone")
    features = keras.Sequential([keras.Input((8, 8, 3)), backbone, layers.BatchNormalization()], name="features")
    outer = keras.Input((8, 8, 3))
    theirs = keras.Model(outer, layers.Dense(3)(layers.GlobalAveragePooling2D()(features(outer, training=False))))
    backbone.trainable = False
    found = same(theirs)
    assert [node.layer.trainable for node in found.config.nodes if node.layer.type_name() == "Conv2D"] == [False] * 2


def test_input_without_a_size(same: Any, tmp_path: Path) -> None:
    """A network for images of any size needs to be told one; without, the error names the option."""
    import keras
    from keras import layers

    from cnncli.importing.read import read

    theirs = keras.Sequential(
        [
            keras.Input((None, None, 3)),
            layers.Rescaling(1 / 255),
            layers.Normalization(),
            layers.Conv2D(4, 3),
            layers.GlobalAveragePooling2D(keepdims=True),
            layers.Conv2D(3, 1),
            layers.Flatten(),
        ]
    )
    assert same(theirs, (12, 10), unit=255.0).config.input_shape == (12, 10, 3)
    with pytest.raises(GraphImportError, match="must be fixed") as raised:
        read(tmp_path / "m.keras")
    assert "--image-size" in str(raised.value.hint)


@pytest.mark.parametrize("axis", [1, 2, 3, -1])
def test_concatenation_along_rows_is_refused(axis: int, tmp_path: Path) -> None:
    """Only channels are put side by side; along the rows of an image, a network would be another."""
    import keras
    from keras import layers

    from cnncli.importing.read import read

    image = keras.Input((4, 4, 3))
    both = layers.Concatenate(axis=axis)([layers.Conv2D(3, 1)(image), image])
    keras.Model(image, layers.Dense(2)(layers.Flatten()(both))).save(tmp_path / "m.keras")
    if axis in (3, -1):
        assert read(tmp_path / "m.keras").config.nodes
    else:
        with pytest.raises(GraphImportError, match=f"Concatenate with axis={axis} is not supported"):
            read(tmp_path / "m.keras")
