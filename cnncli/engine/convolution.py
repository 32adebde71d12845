"""Convolutions that TensorFlow computes slowly or wrongly, done in another way on the same weights.

* Keras compiles a grouped convolution with XLA. A training step of AlexNet's second convolution took 0.93 s with it
  and 0.05 s group by group (16 images of 27×27, 2 CPU cores, Keras 3.15.1, TensorFlow 2.21).
* oneDNN writes past its buffer in the gradient of a 1×1 convolution with strides and few channels
  (https://github.com/uxlfoundation/oneDNN/issues/6035): such a network crashed in training, or got wrong gradients.
  Taking every n-th pixel first leaves the same convolution without strides.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import keras
import tensorflow as tf


def rework(layer: Any) -> None:
    """Give a Keras convolution an operation without those faults, if it needs one.

    Args:
        layer: A Conv1D, Conv2D, Conv3D or Conv2DTranspose.
    """
    if isinstance(layer, keras.layers.Conv2DTranspose):
        if _strides_over_pixels(layer):
            layer.call = partial(_scatter, layer)
        return
    if layer.groups == 1 and not _strides_over_pixels(layer):
        return
    layer.convolution_op = partial(_convolve, layer)
    if isinstance(layer, keras.layers.Conv1D):  # whose own call does not ask for it
        layer.call = partial(keras.layers.Conv2D.call, layer)


def _strides_over_pixels(layer: Any) -> bool:
    return bool(max(layer.kernel_size) == 1 < max(layer.strides))


def _convolve(layer: Any, inputs: Any, kernel: Any) -> Any:
    padding, strides = layer.padding, layer.strides
    if padding == "causal":
        before = (layer.kernel_size[0] - 1) * layer.dilation_rate[0]
        inputs, padding = tf.pad(inputs, [[0, 0], [before, 0], [0, 0]]), "valid"
    if _strides_over_pixels(layer):
        inputs = inputs[(slice(None), *(slice(None, None, stride) for stride in strides))]
        strides = (1,) * len(strides)
    convolve = partial(keras.ops.conv, strides=strides, padding=padding, dilation_rate=layer.dilation_rate)
    parts = zip(tf.split(inputs, layer.groups, axis=-1), tf.split(kernel, layer.groups, axis=-1), strict=True)
    return tf.concat([convolve(part, weights) for part, weights in parts], axis=-1)


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
