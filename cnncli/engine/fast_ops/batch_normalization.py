"""Batch normalization in one operation.

Keras writes it out as a dozen operations on float32 values. A training step of it took 23 ms so and 5 ms in one
(512 images of 15×15×64 in bfloat16, 2 CPU cores, Keras 3.15.1, TensorFlow 2.21); in float32 20 ms and 6 ms.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
from typing import Any, NamedTuple

import tensorflow as tf


class Measured(NamedTuple):
    """A statistic that a layer measured in a batch.

    Attributes:
        moving: The layer's variable that keeps a moving mean of it.
        momentum: Share of that which stays at each step.
        value: What was measured, (channels,).
    """

    moving: Any
    momentum: float
    value: tf.Tensor


_collected: ContextVar[list[Measured] | None] = ContextVar("collected", default=None)


@contextmanager
def statistics_collected(into: list[Measured]) -> Iterator[None]:
    """Put what layers measure into a list while a block is traced, and leave their moving statistics alone."""
    token = _collected.set(into)
    try:
        yield
    finally:
        _collected.reset(token)


def replace_call(layer: Any) -> None:
    """Let a Keras BatchNormalization train in one operation; what it does otherwise stays Keras's.

    Args:
        layer: A BatchNormalization over the last axis.
    """
    layer.call = partial(_normalize, layer, layer.call)


def _normalize(layer: Any, otherwise: Any, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
    if not (training and layer.trainable):
        return otherwise(inputs, training=training, mask=mask)
    channels = inputs.shape[-1]
    images = inputs if len(inputs.shape) == 4 else tf.reshape(inputs, (-1, 1, 1, channels))
    result = tf.raw_ops.FusedBatchNormV3(
        x=images,
        scale=layer.gamma.value if layer.scale else tf.ones(channels),
        offset=layer.beta.value if layer.center else tf.zeros(channels),
        mean=tf.zeros(0),
        variance=tf.zeros(0),
        epsilon=layer.epsilon,
        is_training=True,
    )
    # The operation returns the variance of a sample, n / (n - 1) times the one that Keras keeps a mean of.
    number = tf.cast(tf.size(images) // channels, tf.float32)
    variance = result.batch_variance * (number - 1.0) / number
    collected = _collected.get()
    for moving, measured in ((layer.moving_mean, result.batch_mean), (layer.moving_variance, variance)):
        if collected is None:
            moving.assign(moving * layer.momentum + measured * (1.0 - layer.momentum))
        else:
            collected.append(Measured(moving, layer.momentum, measured))
    return result.y if images is inputs else tf.reshape(result.y, tf.shape(inputs))
