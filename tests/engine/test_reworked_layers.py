"""Layers whose training is computed in another way than Keras's equal Keras's."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from cnncli.layers import BatchNormalization, Conv2D, Flatten
from cnncli.layers.graph import flatten

pytestmark = pytest.mark.engine


@pytest.mark.parametrize("input_shape", [(6,), (5, 6), (4, 5, 6), (2, 4, 5, 6)])
@pytest.mark.parametrize("arguments", [{}, {"scale": False, "momentum": 0.6}, {"center": False, "epsilon": 0.1}])
def test_batch_normalization_equals_keras(input_shape: tuple[int, ...], arguments: dict[str, Any]) -> None:
    """In one operation: values, running means and gradients of a training step are Keras's, at every rank."""
    import keras
    import tensorflow as tf

    from cnncli.engine.network import build

    rng = np.random.default_rng(0)
    images, upstream = (tf.constant(rng.normal(1.0, 2.0, (7, *input_shape)), tf.float32) for _ in range(2))
    ours = build(flatten([BatchNormalization(**arguments)]), input_shape, 0)
    theirs = keras.Sequential([keras.Input(input_shape), keras.layers.BatchNormalization(**arguments)])
    found = []
    for model in (ours, theirs):
        for weight in model.trainable_weights:
            weight.assign(np.linspace(0.5, 2.0, 6))
        with tf.GradientTape() as tape:
            tape.watch(images)
            result = model(images, training=True)
        gradients = tape.gradient(result, [images, *(w.value for w in model.trainable_weights)], upstream)
        found.append([result, *gradients, *model.get_weights(), model(images, training=False)])
    for ours_, theirs_ in zip(*found, strict=True):
        np.testing.assert_allclose(ours_, theirs_, rtol=1e-4, atol=1e-4)


def test_batch_normalization_in_bfloat16() -> None:
    """In few bits it is as near to Keras's in float32 as those bits allow, and measures its means as exactly."""
    import keras
    import tensorflow as tf

    from cnncli.engine.network import build

    images = tf.cast(np.random.default_rng(0).normal(1.0, 2.0, (50, 4, 4, 6)), tf.bfloat16)
    exact = keras.layers.BatchNormalization()
    expected = exact(tf.cast(images, tf.float32), training=True)
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = build(flatten([BatchNormalization(), Flatten()]), (4, 4, 6), 0)
        found = model(images, training=True)
    finally:
        keras.config.set_dtype_policy("float32")
    assert model.layers[1].compute_dtype == "bfloat16"
    np.testing.assert_allclose(found, tf.reshape(expected, (50, -1)), atol=0.02)
    for ours, theirs in zip(model.get_weights(), exact.get_weights(), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)


def test_a_frozen_batch_normalization_keeps_its_running_means() -> None:
    """With `trainable: false` it normalizes by them in training too, and leaves them alone."""
    from cnncli.engine.network import build

    model = build(flatten([BatchNormalization(trainable=False, epsilon=1e-7)]), (4, 4, 2), 0)
    images = np.random.default_rng(0).normal(3.0, 2.0, (5, 4, 4, 2)).astype(np.float32)
    np.testing.assert_allclose(model(images, training=True), images, rtol=1e-5)
    np.testing.assert_array_equal(model.get_weights()[2:], [[0, 0], [1, 1]])


@pytest.mark.parametrize("padding", ["same", "valid"])
@pytest.mark.parametrize("kernel_size", [3, [2, 5]])
def test_gradients_of_small_images_with_many_channels(
    padding: str, kernel_size: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In bfloat16 products of matrices make them: they equal TensorFlow's of the same numbers in float32."""
    import keras
    import tensorflow as tf

    from cnncli.engine import convolution
    from cnncli.engine.network import build

    def rounded(*shape: int) -> tf.Tensor:
        values = tf.random.stateless_normal(shape, [len(shape), shape[-1]])
        return tf.cast(tf.cast(values, tf.bfloat16), tf.float32)

    layer = Conv2D(filters=200, kernel_size=kernel_size, padding=padding, use_bias=False)
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = build(flatten([layer, Flatten()]), (5, 6, 192), 0)
    finally:
        keras.config.set_dtype_policy("float32")
    calls = []
    compute = convolution._weights_gradient
    monkeypatch.setattr(convolution, "_weights_gradient", lambda *given: calls.append(given) or compute(*given))
    images, weights = rounded(8, 5, 6, 192), rounded(*model.trainable_weights[0].shape)
    model.trainable_weights[0].assign(weights)
    upstream = rounded(*tf.nn.conv2d(images, weights, 1, padding.upper()).shape)

    @tf.function
    def gradients() -> Any:
        with tf.GradientTape(persistent=True) as tape:
            tape.watch([images, weights])
            result = model(images)
            reference = tf.nn.conv2d(images, weights, 1, padding.upper())
        kernel = model.trainable_weights[0].value
        return (
            tape.gradient(result, [images, kernel], tf.reshape(upstream, tf.shape(result))),
            tape.gradient(reference, [images, weights], upstream),
        )

    found, expected = gradients()
    assert calls
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=0.01 * np.abs(theirs).max())
