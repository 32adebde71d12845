"""The Keras model of a config with several outputs."""

from __future__ import annotations

import numpy as np
import pytest

from cnncli.config.load import loads

pytestmark = pytest.mark.engine

NET = """
name: two
data: {source: digits, image_size: [8, 8]}
model:
  layers:
    - Conv2D: {filters: 4, kernel_size: 3, padding: same, activation: relu, name: a}
    - Conv2D: {filters: 3, kernel_size: 1, activation: sigmoid, name: mask}
    - GlobalAveragePooling2D: {inputs: a}
    - Dense: {units: 10, activation: softmax, name: end}
  outputs: {mask: mask, classes: end, plane: a}
"""


@pytest.fixture
def precision() -> object:
    """Compute in bfloat16 for one test."""
    import keras

    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    yield
    keras.config.set_dtype_policy(before)


def test_outputs_come_by_name() -> None:
    """A dictionary in the config's order, each what its layer computes; nothing is taken off their ends."""
    import keras

    from cnncli.engine.network.model import build

    config = loads(NET)
    model = build(config)
    images = np.random.default_rng(0).uniform(size=(2, 8, 8, 1)).astype(np.float32)
    found = model(images)
    assert list(found) == ["mask", "classes", "plane"]
    for name, layer in (("mask", "mask"), ("classes", "end"), ("plane", "a")):
        alone = keras.Model(model.input, model.get_layer(layer).output)
        np.testing.assert_array_equal(np.asarray(found[name]), np.asarray(alone(images)))
    np.testing.assert_allclose(np.asarray(found["classes"]).sum(axis=-1), 1, atol=1e-6)


def test_one_named_output_is_a_tensor() -> None:
    """A classifier may name its output: it is built as one that does not."""
    from cnncli.engine.network.model import build

    named = NET.replace("mask: mask, classes: end, plane: a", "classes: end").replace("{inputs: a}", "{inputs: mask}")
    with_name, without = (build(loads(text)) for text in (named, named.replace("  outputs: {classes: end}", "")))
    images = np.random.default_rng(0).uniform(size=(2, 8, 8, 1)).astype(np.float32)
    np.testing.assert_array_equal(np.asarray(with_name(images)), np.asarray(without(images)))
    assert abs(float(np.asarray(with_name(images)).sum()) - 2) > 0.1  # logits: the softmax is the loss's


@pytest.mark.usefixtures("precision")
def test_outputs_of_mixed_precision_are_float32() -> None:
    """A loss of 8-bit mantissas would be a coarse one, whichever output it is of."""
    from cnncli.engine.network.model import build

    model = build(loads(NET, overrides=["train.precision=mixed_bfloat16"]))
    assert {name: output.dtype for name, output in model.output.items()} == dict.fromkeys(model.output, "float32")
    assert model.get_layer("global_average_pooling2d").compute_dtype == "bfloat16"
