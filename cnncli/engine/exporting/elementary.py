"""Layers and preprocessing said in elementary TensorFlow operations, which converters know."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import tensorflow as tf

from cnncli.engine.exporting.forward import forward
from cnncli.engine.exporting.source import Source
from cnncli.engine.input_pipeline.preprocessing import Preprocessing
from cnncli.layers.base import Layer
from cnncli.layers.convolution import Convolution
from cnncli.layers.preprocessing import Normalization
from cnncli.layers.resizing import Resizing, UpSampling2D


def logits(source: Source, images: tf.Tensor) -> Any:
    """Return a network's logits for float32 images in 0 to 1, as `forward` does.

    Args:
        source: A network of its own: activations of its layers are replaced.
        images: (number, height, width, channels).
    """
    return forward(source, images, in_elementary_words)


def in_elementary_words(layer: Layer, keras_layer: Any) -> Callable[[Any], Any] | None:
    """Return what replaces a layer whose own graph converters cannot read."""
    activation = getattr(getattr(keras_layer, "activation", None), "__name__", "")
    if activation in _ACTIVATIONS:
        keras_layer.activation = _ACTIVATIONS[activation]
    if isinstance(layer, Convolution) and layer.groups > 1:
        return partial(_grouped, layer, keras_layer)
    if isinstance(layer, Normalization):
        return partial(_normalized, keras_layer)
    if isinstance(layer, (Resizing, UpSampling2D)) and layer.interpolation not in ("nearest", "bilinear"):
        return partial(_resized, keras_layer)
    return None


def _gelu(x: tf.Tensor) -> tf.Tensor:
    return 0.5 * x * (1.0 + tf.math.erf(x * np.float32(np.sqrt(0.5))))


def _celu(x: tf.Tensor) -> tf.Tensor:
    return tf.maximum(x, 0.0) + tf.nn.elu(tf.minimum(x, 0.0))


_ACTIVATIONS: dict[str, Callable[[tf.Tensor], tf.Tensor]] = {"gelu": _gelu, "celu": _celu}


def _grouped(layer: Convolution, keras_layer: Any, x: tf.Tensor) -> tf.Tensor:
    """Convolve each part of the channels with its part of the filters: Keras hides the groups in compiled code."""
    if keras_layer.padding == "causal":
        x = tf.pad(x, [[0, 0], [layer.dilation_rate[0] * (layer.kernel_size[0] - 1), 0], [0, 0]])
    padding = "SAME" if keras_layer.padding == "same" else "VALID"
    kernels = tf.split(tf.convert_to_tensor(keras_layer.kernel), layer.groups, axis=-1)
    parts = [
        tf.nn.convolution(part, kernel, list(layer.strides), padding, dilations=list(layer.dilation_rate))
        for part, kernel in zip(tf.split(x, layer.groups, axis=-1), kernels, strict=True)
    ]
    y = tf.concat(parts, axis=-1)
    if keras_layer.use_bias:
        y = y + tf.convert_to_tensor(keras_layer.bias)
    return y if keras_layer.activation is None else keras_layer.activation(y)


def _normalized(keras_layer: Any, x: tf.Tensor) -> tf.Tensor:
    mean, variance = (np.asarray(value, np.float32) for value in (keras_layer.mean, keras_layer.variance))
    return (x - mean) / np.maximum(np.sqrt(variance), np.float32(1e-7))


def _resized(keras_layer: Any, x: tf.Tensor) -> tf.Tensor:
    """Resize by two matrix products: each axis's weights are what the layer makes of an identity matrix."""
    height, width, channels = x.shape[1:]
    down, across = _weights_of(keras_layer, height, 0), _weights_of(keras_layer, width, 1)
    new_height, new_width = len(down), len(across)
    wide = tf.matmul(across, tf.reshape(x, (-1, width, channels)))
    high = tf.matmul(down, tf.reshape(wide, (-1, height, new_width * channels)))
    return tf.reshape(high, (-1, new_height, new_width, channels))


def _weights_of(keras_layer: Any, length: int, axis: int) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Return the matrix (new length, length) by which a resizing layer acts on one axis."""
    with tf.init_scope():
        unit = tf.eye(length)[:, :, None, None] if axis == 0 else tf.eye(length)[:, None, :, None]
        stretched = np.asarray(keras_layer(unit))
    return stretched[:, :, 0, 0].T if axis == 0 else stretched[:, 0, :, 0].T


class ElementaryPreprocessing(Preprocessing):
    """The run's preprocessing with the resize said in sums and products.

    The very arithmetic of TensorFlow's kernels in their order: a runtime that computes one operation after the
    other gets the same bits, so that no value in the middle between two grey levels is rounded to another one.
    """

    METHODS = ("bilinear", "nearest")

    def _scale(
        self,
        images: tf.Tensor,
        size: tf.Tensor | tuple[int, int],
        most_read: bool | None = None,  # noqa: ARG002 - everything is float32 here
    ) -> tf.Tensor:
        height, width = size[0], size[1]
        images = tf.cast(images, tf.float32)
        shape = tf.shape(images)
        if self.method == "nearest":
            rows, columns = _under(shape[1], height), _under(shape[2], width)
            return tf.gather(tf.gather(images, rows, axis=1), columns, axis=2)
        above, below, down = _neighbours(shape[1], height)
        left, right, across = _neighbours(shape[2], width)
        top, bottom = (
            _between(tf.gather(rows, left, axis=2), tf.gather(rows, right, axis=2), across[:, None])
            for rows in (tf.gather(images, above, axis=1), tf.gather(images, below, axis=1))
        )
        return _between(top, bottom, down[:, None, None])


def _between(first: tf.Tensor, second: tf.Tensor, way: tf.Tensor) -> tf.Tensor:
    return first + (second - first) * way


def _scale_of(length: tf.Tensor, new_length: tf.Tensor) -> tf.Tensor:
    # In double precision: a converter may multiply by the reciprocal, whose error then never reaches float32.
    return tf.cast(tf.cast(length, tf.float64) / tf.cast(new_length, tf.float64), tf.float32)


def _centres(new_length: tf.Tensor) -> tf.Tensor:
    return tf.cast(tf.range(new_length), tf.float32) + 0.5


def _under(length: tf.Tensor, new_length: tf.Tensor) -> tf.Tensor:
    places = tf.floor(_centres(new_length) * _scale_of(length, new_length))
    return tf.minimum(tf.cast(places, tf.int32), length - 1)


def _neighbours(length: tf.Tensor, new_length: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    places = _centres(new_length) * _scale_of(length, new_length) - 0.5
    before = tf.floor(places)
    lower = tf.maximum(tf.cast(before, tf.int32), 0)
    upper = tf.minimum(tf.cast(tf.math.ceil(places), tf.int32), length - 1)
    return lower, upper, places - before
