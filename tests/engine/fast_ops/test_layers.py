"""Layers whose training is computed in another way than Keras's equal Keras's."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from cnncli.layers import BatchNormalization, Conv1D, Conv2D, Conv2DTranspose, Conv3D, Flatten
from cnncli.layers.layout import flatten

pytestmark = pytest.mark.engine


@pytest.mark.parametrize("input_shape", [(6,), (5, 6), (4, 5, 6), (2, 4, 5, 6)])
@pytest.mark.parametrize("arguments", [{}, {"scale": False, "momentum": 0.6}, {"center": False, "epsilon": 0.1}])
def test_batch_normalization_equals_keras(input_shape: tuple[int, ...], arguments: dict[str, Any]) -> None:
    """In one operation: values, running means and gradients of a training step are Keras's, at every rank."""
    import keras
    import tensorflow as tf

    from cnncli.engine.network.model import build_network

    rng = np.random.default_rng(0)
    images, upstream = (tf.constant(rng.normal(1.0, 2.0, (7, *input_shape)), tf.float32) for _ in range(2))
    ours = build_network(flatten([BatchNormalization(**arguments)]), input_shape, 0)
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

    from cnncli.engine.network.model import build_network

    images = tf.cast(np.random.default_rng(0).normal(1.0, 2.0, (50, 4, 4, 6)), tf.bfloat16)
    exact = keras.layers.BatchNormalization()
    expected = exact(tf.cast(images, tf.float32), training=True)
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = build_network(flatten([BatchNormalization(), Flatten()]), (4, 4, 6), 0)
        found = model(images, training=True)
    finally:
        keras.config.set_dtype_policy("float32")
    assert model.layers[1].compute_dtype == "bfloat16"
    np.testing.assert_allclose(found, tf.reshape(expected, (50, -1)), atol=0.02)
    for ours, theirs in zip(model.get_weights(), exact.get_weights(), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)


def test_a_frozen_batch_normalization_keeps_its_running_means() -> None:
    """With `trainable: false` it normalizes by them in training too, and leaves them alone."""
    from cnncli.engine.network.model import build_network

    model = build_network(flatten([BatchNormalization(trainable=False, epsilon=1e-7)]), (4, 4, 2), 0)
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

    from cnncli.engine.fast_ops import convolution
    from cnncli.engine.network.model import build_network

    def rounded(*shape: int) -> tf.Tensor:
        values = tf.random.stateless_normal(shape, [len(shape), shape[-1]])
        return tf.cast(tf.cast(values, tf.bfloat16), tf.float32)

    layer = Conv2D(filters=200, kernel_size=kernel_size, padding=padding, use_bias=False)
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = build_network(flatten([layer, Flatten()]), (5, 6, 192), 0)
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


def windows_of(images: np.ndarray, layer: Any) -> np.ndarray:
    """Return the windows that a convolution sees: (images, positions …, channels, taps …)."""
    axes = range(1, images.ndim - 1)
    borders = [(0, 0)] * images.ndim
    for axis, size, stride in zip(axes, layer.kernel_size, layer.strides, strict=True):
        length = images.shape[axis]
        zeros = max((-(-length // stride) - 1) * stride + size - length, 0)
        borders[axis] = {"same": (zeros // 2, zeros - zeros // 2), "causal": (size - 1, 0), "valid": (0, 0)}[
            layer.padding
        ]
    seen = np.lib.stride_tricks.sliding_window_view(np.pad(images, borders), layer.kernel_size, tuple(axes))
    return seen[(slice(None), *(slice(None, None, stride) for stride in layer.strides))]


@pytest.mark.parametrize("precision", ["float32", "mixed_bfloat16"])
@pytest.mark.parametrize(
    ("layer", "input_shape"),
    [
        (Conv2D(filters=4, kernel_size=[5, 4], strides=[1, 4], padding="same"), (6, 2, 1)),
        (Conv2D(filters=16, kernel_size=[1, 5], strides=[1, 2]), (6, 6, 1)),
        (Conv2D(filters=2, kernel_size=4, strides=[1, 2], padding="same"), (8, 1, 3)),
        (Conv2D(filters=32, kernel_size=5, strides=[2, 4], padding="same"), (4, 2, 16)),
        (Conv2D(filters=8, kernel_size=[4, 3], strides=[3, 4], padding="same"), (3, 8, 4)),
        (Conv1D(filters=8, kernel_size=5, strides=4, padding="causal"), (3, 2)),
        (Conv1D(filters=8, kernel_size=3, strides=7), (9, 2)),
        (Conv3D(filters=3, kernel_size=[2, 3, 3], strides=[2, 1, 4], padding="same"), (3, 5, 2, 2)),
    ],
)
def test_strides_with_a_single_window(layer: Any, input_shape: tuple[int, ...], precision: str) -> None:
    """A stride along an axis with one window changes nothing; oneDNN computes that wrongly, now and then."""
    import keras
    import tensorflow as tf

    from cnncli.engine.network.model import build_network

    keras.config.set_dtype_policy(precision)
    try:
        model = build_network(flatten([layer.model_copy(update={"use_bias": False}), Flatten()]), input_shape, 0)
    finally:
        keras.config.set_dtype_policy("float32")

    @tf.function
    def step(images: tf.Tensor, upstream: tf.Tensor) -> Any:
        with tf.GradientTape() as tape:
            outputs = model(images)
        return outputs, tape.gradient(outputs, model.trainable_weights[0].value, tf.cast(upstream, outputs.dtype))

    rng = np.random.default_rng(0)
    kernel = np.asarray(model.trainable_weights[0], np.float64)
    spatial = tuple(range(1, len(input_shape)))
    taps = tuple(range(-len(spatial), 0))
    for _ in range(10):
        images = rng.normal(size=(5, *input_shape))
        seen = np.moveaxis(windows_of(images, layer), (*taps, -len(spatial) - 1), tuple(range(-len(spatial) - 1, 0)))
        expected = np.tensordot(seen, kernel, len(spatial) + 1)
        upstream = rng.normal(size=expected.shape)
        outputs, gradient = step(images.astype(np.float32), upstream.reshape(5, -1).astype(np.float32))
        slope = np.tensordot(seen, upstream, ((0, *spatial), (0, *spatial)))
        for found, exact in ((outputs, expected.reshape(5, -1)), (gradient, slope)):
            limit = (1e-5 if precision == "float32" else 0.05) * np.abs(exact).max()
            np.testing.assert_allclose(np.asarray(found, np.float64), exact, rtol=0, atol=limit)


@pytest.mark.parametrize("precision", ["float32", "mixed_bfloat16", "mixed_float16"])
@pytest.mark.parametrize(
    "arguments",
    [
        {"kernel_size": 3, "dilation_rate": 2},
        {"kernel_size": [2, 3], "dilation_rate": [3, 1], "padding": "same"},
        {"kernel_size": [4, 2], "dilation_rate": [1, 3], "padding": "same"},
        {"kernel_size": [3, 2], "dilation_rate": 2, "padding": "same", "output_padding": 0, "activation": "relu"},
    ],
)
def test_dilated_transposed_convolutions(arguments: dict[str, Any], precision: str) -> None:
    """Every input writes the kernel's taps apart from one another, and gets the gradient of what it wrote.

    TensorFlow's own has no gradient on a CPU where oneDNN does not compute it, as in float16 on most.
    """
    import keras
    import tensorflow as tf

    from cnncli.engine.network.model import build_network

    layer = Conv2DTranspose(filters=4, **arguments)
    keras.config.set_dtype_policy(precision)
    try:
        model = build_network(flatten([layer, Flatten()]), (5, 6, 3), 0)
    finally:
        keras.config.set_dtype_policy("float32")
    rng = np.random.default_rng(0)
    bias = rng.normal(size=4)
    model.trainable_weights[1].assign(bias)
    kernel = np.asarray(model.trainable_weights[0], np.float64)
    images = tf.constant(rng.normal(size=(2, 5, 6, 3)), tf.float32)
    upstream = rng.normal(size=(2, *layer.output_shape((5, 6, 3))))

    def written(images: Any, kernel: np.ndarray) -> np.ndarray:
        (height, width), (down, right) = layer.extents, layer.dilation_rate
        whole = np.zeros((2, 4 + height, 5 + width, 4))
        for (row, column), tap in zip(np.ndindex(*layer.kernel_size), kernel.reshape(-1, 4, 3), strict=True):
            whole[:, row * down :, column * right :][:, :5, :6] += np.asarray(images, np.float64) @ tap.T
        top, left = ((height - 1) // 2, (width - 1) // 2) if layer.padding == "same" else (0, 0)
        return whole[:, top:, left:][:, : upstream.shape[1], : upstream.shape[2]]

    expected = written(images, kernel) + bias
    active = expected > 0 if layer.activation == "relu" else np.ones_like(expected)
    with tf.GradientTape() as tape:
        tape.watch(images)
        outputs = model(images)
        total = tf.reduce_sum(tf.cast(outputs, tf.float32) * upstream.reshape(2, -1).astype(np.float32))
    of_images, of_kernel, of_bias = tape.gradient(total, [images, *(w.value for w in model.trainable_weights)])
    share = {"float32": 1e-5, "mixed_bfloat16": 0.05, "mixed_float16": 0.005}[precision]
    np.testing.assert_allclose(outputs, (expected * active).reshape(2, -1), rtol=0, atol=share * np.abs(expected).max())
    weighed = upstream * active
    for _ in range(5):  # what is written is linear in both: the gradient along a direction is what it writes
        image, tap = rng.normal(size=images.shape), rng.normal(size=kernel.shape)
        for gradient, direction, effect in (
            (of_images, image, written(image, kernel)),
            (of_kernel, tap, written(images, tap)),
        ):
            limit = share * np.linalg.norm(gradient) * 3
            assert abs(np.sum(gradient * direction) - np.sum(weighed * effect)) < limit
    np.testing.assert_allclose(of_bias, weighed.sum((0, 1, 2)), rtol=0, atol=share * np.abs(weighed).sum())
