"""Convolutions that TensorFlow computes slowly or wrongly, done in another way on the same weights.

* Keras compiles a grouped convolution with XLA. A training step of AlexNet's second convolution took 0.93 s with it
  and 0.05 s group by group (16 images of 27×27, 2 CPU cores, Keras 3.15.1, TensorFlow 2.21).
* oneDNN writes past its buffer in the gradient of a 1×1 convolution with strides and few channels
  (https://github.com/uxlfoundation/oneDNN/issues/6035): such a network crashed in training, or got wrong gradients.
  Taking every n-th pixel first leaves the same convolution without strides.
* oneDNN computes wrongly where a stride is left without a second window: with a stride along the width, one output
  column and one input channel the values of float32 too (6×2×1 images, kernel 5×4, strides 1×4, "same"), and with a
  stride larger than the width the weights' gradient of bfloat16, which then reads what it never wrote. One window along
  an axis does not stride: cut out first, it leaves the same convolution without strides.
* oneDNN has no float16 convolutions on a CPU without AVX-512 FP16 or AMX, and what TensorFlow has instead refuses
  dilation, also in the gradient of a dilated transposed convolution ("CPU implementations do not yet support dilation
  rates larger than 1"). Without strides, a transposed convolution is a convolution with the kernel turned over, which
  TensorFlow dilates by rearranging pixels, on every processor.
* In bfloat16, oneDNN's gradient of the weights is slow for small images with many channels: 46 ms for 512 images of
  7×7×256 and 256 filters of 3×3, 28 ms for 3×3×256 (forward 8 and 3 ms). A matrix product for each place in the
  kernel takes 24 and 6 ms; for larger images or fewer channels it is the slower way (2 CPU cores, TensorFlow 2.21).
"""

from __future__ import annotations

from functools import partial
from typing import Any

import keras
import tensorflow as tf


def replace_call(layer: Any) -> None:
    """Give a Keras convolution an operation without those faults, if it needs one.

    Args:
        layer: A Conv1D, Conv2D, Conv3D or Conv2DTranspose.
    """
    if isinstance(layer, keras.layers.Conv2DTranspose):
        if _strides_over_pixels(layer):
            layer.call = partial(_scatter, layer)
        elif max(layer.dilation_rate) > 1:
            layer.call = partial(_convolve_turned, layer)
        return
    if layer.groups == max(layer.strides) == 1:
        if _may_have_small_images(layer):
            layer.convolution_op = partial(_convolve_small, layer)
        return
    layer.convolution_op = partial(_convolve, layer)
    if isinstance(layer, keras.layers.Conv1D):  # whose own call does not ask for it
        layer.call = partial(keras.layers.Conv2D.call, layer)


SMALL_IMAGE, MANY_CHANNELS = 64, 192
"""Pixels of an image at most, and channels in and out at least, for which the product of matrices is faster."""


def _may_have_small_images(layer: Any) -> bool:
    plain = isinstance(layer, keras.layers.Conv2D) and max(*layer.strides, *layer.dilation_rate) == 1
    on_gpu = bool(tf.config.get_visible_devices("GPU"))
    return plain and layer.compute_dtype == "bfloat16" and layer.filters >= MANY_CHANNELS and not on_gpu


def _convolve_small(layer: Any, inputs: Any, kernel: Any) -> Any:
    """Convolve; where images are small and channels many, with a gradient of the weights of our own."""
    padding = layer.padding.upper()
    height, width, channels = inputs.shape[1:]
    if height * width > SMALL_IMAGE or channels < MANY_CHANNELS or max(layer.kernel_size) == 1:
        return keras.ops.conv(inputs, kernel, padding=layer.padding)

    @tf.custom_gradient
    def convolve(images: tf.Tensor, weights: tf.Tensor) -> Any:
        def gradients(outputs: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            of_images = tf.raw_ops.Conv2DBackpropInput(
                input_sizes=tf.shape(images),
                filter=weights,
                out_backprop=outputs,
                strides=[1, 1, 1, 1],
                padding=padding,
            )
            return of_images, _weights_gradient(images, outputs, weights.shape[:2], padding)

        return tf.nn.conv2d(images, weights, 1, padding), gradients

    return convolve(inputs, tf.convert_to_tensor(kernel))


def _weights_gradient(images: tf.Tensor, outputs: tf.Tensor, size: tuple[int, int], padding: str) -> tf.Tensor:
    """Return the gradient of a convolution's weights: for each place in the kernel, the pixels that it saw · outputs.

    Args:
        images: What was convolved (images, height, width, channels).
        outputs: Gradient of what came out (images, height, width, filters).
        size: Height and width of the kernel.
        padding: "SAME" or "VALID".
    """
    if padding == "SAME":
        borders = [[(length - 1) // 2, length // 2] for length in size]
        images = tf.pad(images, [[0, 0], *borders, [0, 0]])
    height, width, filters = outputs.shape[1:]
    channels = images.shape[-1]
    columns = tf.reshape(outputs, (-1, filters))
    products = [
        tf.matmul(
            tf.reshape(images[:, row : row + height, column : column + width], (-1, channels)),
            columns,
            transpose_a=True,
        )
        for row in range(size[0])
        for column in range(size[1])
    ]
    return tf.reshape(tf.stack(products), (*size, channels, filters))


def _strides_over_pixels(layer: Any) -> bool:
    return bool(max(layer.kernel_size) == 1 < max(layer.strides))


def _convolve(layer: Any, inputs: Any, kernel: Any) -> Any:
    padding, strides = layer.padding, layer.strides
    single = _has_single_windows(layer, inputs)
    if single or padding == "causal":
        inputs, padding = _pad(layer, inputs), "valid"
    if _strides_over_pixels(layer):
        inputs = inputs[(slice(None), *(slice(None, None, stride) for stride in strides))]
        strides = (1,) * len(strides)
    elif single:
        inputs, strides = _cut_single_windows(layer, inputs)
    if layer.groups == 1:
        return keras.ops.conv(inputs, kernel, strides, padding, dilation_rate=layer.dilation_rate)
    convolve = partial(keras.ops.conv, strides=strides, padding=padding, dilation_rate=layer.dilation_rate)
    parts = zip(tf.split(inputs, layer.groups, axis=-1), tf.split(kernel, layer.groups, axis=-1), strict=True)
    return tf.concat([convolve(part, weights) for part, weights in parts], axis=-1)


def _has_single_windows(layer: Any, inputs: Any) -> bool:
    """Whether a convolution has a stride along an axis with a single window."""
    lengths = layer.compute_output_shape(inputs.shape)[1:-1]
    return any(length == 1 < stride for length, stride in zip(lengths, layer.strides, strict=True))


def _pad(layer: Any, inputs: Any) -> Any:
    """Add the zeros that a layer's padding stands for."""
    borders = [
        _zeros(layer.padding, *axis) for axis in zip(inputs.shape[1:-1], _extents(layer), layer.strides, strict=True)
    ]
    return tf.pad(inputs, [(0, 0), *borders, (0, 0)])


def _zeros(padding: str, length: int, size: int, stride: int) -> tuple[int, int]:
    """Return how many zeros stand before and after an axis: for "same" as many, or one more after."""
    if padding == "same":
        both = max((-(-length // stride) - 1) * stride + size - length, 0)
        return both // 2, both - both // 2
    return (size - 1, 0) if padding == "causal" else (0, 0)


def _cut_single_windows(layer: Any, inputs: Any) -> tuple[Any, tuple[int, ...]]:
    """Cut padded inputs to the window along axes that have a single one; return them and the strides that are left."""
    places, strides = [slice(None)], []
    for length, size, stride in zip(inputs.shape[1:-1], _extents(layer), layer.strides, strict=True):
        single = length < size + stride
        places.append(slice(size) if single else slice(None))
        strides.append(1 if single else stride)
    return inputs[tuple(places)], tuple(strides)


def _extents(layer: Any) -> list[int]:
    """Return the lengths of a kernel from its first tap to its last."""
    return [(size - 1) * rate + 1 for size, rate in zip(layer.kernel_size, layer.dilation_rate, strict=True)]


def _convolve_turned(layer: Any, inputs: Any) -> Any:
    """Do what a transposed convolution without strides does: convolve with the kernel turned over."""
    borders = [(size - 1, size - 1) for size in _extents(layer)]
    if layer.padding == "same":  # as much is cut off before as a convolution would add
        borders = [(size - 1 - (size - 1) // 2, (size - 1) // 2) for size in _extents(layer)]
    kernel = tf.transpose(tf.reverse(layer.kernel, (0, 1)), (0, 1, 3, 2))
    outputs = keras.ops.conv(tf.pad(inputs, [(0, 0), *borders, (0, 0)]), kernel, dilation_rate=layer.dilation_rate)
    if layer.use_bias:
        outputs += layer.bias
    return layer.activation(outputs)


def _scatter(layer: Any, inputs: Any) -> Any:
    """Do what a transposed convolution with a 1×1 kernel does: each input's values, zeros between them."""
    down, right = layer.strides
    height, width, filters = layer.compute_output_shape(inputs.shape)[1:]
    values = keras.ops.conv(inputs, tf.transpose(layer.kernel, (0, 1, 3, 2)))
    spread = tf.pad(values[:, :, None, :, None], [[0, 0], [0, 0], [0, down - 1], [0, 0], [0, right - 1], [0, 0]])
    rows, columns = inputs.shape[1] * down, inputs.shape[2] * right
    outputs = tf.reshape(spread, (-1, rows, columns, filters))[:, :height, :width]
    if layer.use_bias:
        outputs += layer.bias
    return layer.activation(outputs)
