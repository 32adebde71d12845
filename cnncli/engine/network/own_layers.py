"""Layers that Keras does not have."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from cnncli.layers.base import Layer
from cnncli.layers.kernels import Matrix


@keras.saving.register_keras_serializable(package="cnncli")
class LocalResponseNormalization(keras.layers.Layer):  # type: ignore[misc]
    """Divide each value by a power of the squares' sum over neighbouring channels.

    Arguments as `tf.nn.local_response_normalization`'s.
    """

    def __init__(self, depth_radius: int, bias: float, alpha: float, beta: float, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.depth_radius = depth_radius
        self.bias = bias
        self.alpha = alpha
        self.beta = beta

    def call(self, inputs: Any) -> Any:
        """Return the normalized images; shape (batch, height, width, channels), as the input's."""
        return tf.nn.local_response_normalization(inputs, self.depth_radius, self.bias, self.alpha, self.beta)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return the input's shape."""
        return input_shape

    def get_config(self) -> dict[str, Any]:
        """Return the arguments."""
        own = {name: getattr(self, name) for name in ("depth_radius", "bias", "alpha", "beta")}
        return {**super().get_config(), **own}


@keras.saving.register_keras_serializable(package="cnncli")
class LayerScale(keras.layers.Layer):  # type: ignore[misc]
    """Multiply each channel by a learned factor that begins with `init_values`."""

    def __init__(self, init_values: float, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.init_values = init_values

    def build(self, input_shape: Any) -> None:
        """Make the factors; shape (channels)."""
        start = keras.initializers.Constant(self.init_values)
        self.gamma = self.add_weight(name="gamma", shape=(input_shape[-1],), initializer=start)

    def call(self, inputs: Any) -> Any:
        """Return the scaled values; shape (batch, …, channels), as the input's."""
        return inputs * tf.cast(self.gamma, inputs.dtype)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return the input's shape."""
        return input_shape

    def get_config(self) -> dict[str, Any]:
        """Return the arguments."""
        return {**super().get_config(), "init_values": self.init_values}


@keras.saving.register_keras_serializable(package="cnncli")
class ChannelPadding(keras.layers.Layer):  # type: ignore[misc]
    """Add `padding` channels of zeros before the first and after the last; negative numbers cut channels off."""

    def __init__(self, padding: tuple[int, int], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.padding = tuple(padding)

    def call(self, inputs: Any) -> Any:
        """Return the values; shape (batch, …, channels + sum of the padding)."""
        before, after = self.padding
        kept = inputs[..., max(-before, 0) : inputs.shape[-1] - max(-after, 0)]
        return tf.pad(kept, [[0, 0]] * (len(inputs.shape) - 1) + [[max(before, 0), max(after, 0)]])

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return the input's shape with another number of channels."""
        return (*input_shape[:-1], input_shape[-1] + sum(self.padding))

    def get_config(self) -> dict[str, Any]:
        """Return the arguments."""
        return {**super().get_config(), "padding": self.padding}


OWN_LAYERS = {own.__name__: own for own in (LocalResponseNormalization, LayerScale, ChannelPadding)}
"""The classes here by their names in a config."""


def needs_float32(layer: Layer) -> bool:
    """Say whether a mixed-precision network has to compute this layer in float32."""
    return layer.needs_float32 or getattr(layer, "activation", None) == "sparsemax"


def fixed_kernel(
    kernels: tuple[Matrix, ...], shape: tuple[int, int, int, int]
) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Return the weights that a layer's fixed kernels stand for.

    Args:
        kernels: Filter f takes the f-th in turn, for the mean of the channels it sees.
        shape: The weights' shape: kernel height, kernel width, channels seen, filters.
    """
    height, width, channels, filters = shape
    chosen = np.stack([np.asarray(kernels[f % len(kernels)]) for f in range(filters)], axis=-1)
    return np.broadcast_to(chosen[:, :, None, :] / channels, (height, width, channels, filters)).astype(np.float32)
