"""Layers in the words of converters against Keras's own, in TensorFlow alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from cnncli.config.load import loads

pytestmark = pytest.mark.engine

CONFIG = """
name: net
data: {source: digits, image_size: [9, 11], channels: 3}
model:
  layers: [{Conv2D: {filters: 6, kernel_size: 1}}, {%s}, Flatten, {Dense: {units: 10}}]
"""
LAYERS = {
    "groups": "Conv2D: {filters: 6, kernel_size: [3, 2], strides: [2, 1], padding: same, groups: 3, activation: tanh}",
    "groups, dilated": "Conv2D: {filters: 12, kernel_size: 3, dilation_rate: [2, 1], groups: 2, use_bias: false}",
    "statistics": "Normalization: {mean: [0.1, 0.2, 0.3, 0.4, 0.5, 0.6], variance: [0.5, 2.0, 0.0, 1.0, 3.0, 0.1]}",
    "cubic": "Resizing: {height: 7, width: 15, interpolation: bicubic}",
    "lanczos3": "Resizing: {height: 5, width: 4, interpolation: lanczos3}",
    "lanczos5": "UpSampling2D: {size: [2, 3], interpolation: lanczos5}",
}


@pytest.mark.parametrize("layer", LAYERS.values(), ids=LAYERS.keys())
def test_layers_answer_as_keras(layer: str) -> None:
    """The replacement of a layer that converters cannot read computes what the layer itself does."""
    from cnncli.engine.exporting.elementary import in_elementary_words
    from cnncli.engine.network.model import build

    config = loads(CONFIG % layer)
    keras_layer: Any = build(config).layers[2]
    for weight in keras_layer.trainable_weights:
        weight.assign(np.random.default_rng(1).normal(size=weight.shape))
    images = np.random.default_rng(0).normal(size=(2, 9, 11, 6)).astype(np.float32)
    replacement = in_elementary_words(config.nodes[1].layer, keras_layer)
    assert replacement is not None
    expected = np.asarray(keras_layer(images))
    found = np.asarray(replacement(images))
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("size", [(7, 12), (40, 15), (20, 30)])
@pytest.mark.parametrize("method", ["bilinear", "nearest"])
def test_resizing_is_tensorflows(method: str, size: tuple[int, int]) -> None:
    """Sums and products give the very bits of TensorFlow's resizing, up and down, of images that are not square."""
    import tensorflow as tf

    from cnncli.config.schema.schema import Data
    from cnncli.engine.exporting.elementary import ElementaryPreprocessing

    images = np.random.default_rng(0).integers(0, 256, (2, 20, 30, 3), np.uint8)
    data = Data.model_validate({"source": "digits", "image_size": size, "channels": 3, "resize": {"method": method}})
    ours = ElementaryPreprocessing(data).resize_uint8(tf.constant(images))
    theirs = tf.round(tf.image.resize(tf.cast(images, tf.float32), size, method))
    np.testing.assert_array_equal(np.asarray(ours), np.asarray(theirs))


def test_sizes_are_whole_after_onnx_factors() -> None:
    """A factor in float32 gives every size up to 100 from every other, rounded down as runtimes do; exact ones stay."""
    from cnncli.engine.exporting.onnx_file import _not_below

    lengths = np.arange(1, 101)
    factors = (lengths[:, None] / lengths).astype(np.float32)
    found = np.stack([_not_below(column) for column in factors.T], axis=-1)
    assert (np.floor(found * lengths.astype(np.float32)) == lengths[:, None]).all()
    exact = factors.astype(np.float64) * lengths == lengths[:, None]
    assert exact.sum() > 500
    assert (found[exact] == factors[exact]).all()
