"""A change that bends images as if they were drawn on rubber: every pixel is moved a little, neighbours alike.

Images are float32 (images, height, width, channels), values 0 to 1.
"""

from __future__ import annotations

import tensorflow as tf

from cnncli.config.schema import augmentation as specs
from cnncli.engine.input_pipeline.augmentation.interpolation import interpolate
from cnncli.engine.input_pipeline.augmentation.random_draws import Draws, from_zero

_ALPHA, _SIGMA = 0.1, 0.05
"""Strength as a share of the longer side, and smoothness as a share of the shorter one, for a scale of 1."""


def elastic_transform(spec: specs.RandomElasticTransform, images: tf.Tensor, draws: Draws) -> tf.Tensor:
    """Move each pixel by smoothed noise, as strong and as smooth as Keras's layer has it for the scale that is drawn.

    Keras moves pixels as far down as to the right, from one seed for both; here both are drawn.

    Reference: Simard et al., Best practices for convolutional neural networks applied to visual document analysis,
    ICDAR 2003.
    """
    height, width = images.shape[1:3]
    low, high = (spec.factor, spec.factor) if isinstance(spec.factor, float | int) else spec.factor
    is_bent = draws.uniform(0.0, 1.0) < draws.uniform(low, high)
    scale = draws.uniform(*from_zero(spec.scale))
    sigma = _SIGMA * min(height, width) * scale
    strength = tf.where(is_bent, _ALPHA * max(height, width) * scale * sigma, 0.0)[:, tf.newaxis, tf.newaxis]
    down, right = (strength * _blurred(draws.normal((height, width)), sigma) for _ in range(2))
    rows = tf.range(height, dtype=tf.float32)[:, tf.newaxis] + down
    return interpolate(spec, images, rows, tf.range(width, dtype=tf.float32) + right)


def _blurred(noise: tf.Tensor, sigma: tf.Tensor) -> tf.Tensor:
    """Return noise (images, height, width) under a Gaussian of each image's own width; beyond the edge it is 0."""
    down, across = (_gaussian(length, sigma) for length in noise.shape[1:])
    return tf.matmul(tf.matmul(down, noise), across)


def _gaussian(length: int, sigma: tf.Tensor) -> tf.Tensor:
    """Return what each place of a line adds to each other one: float32 (images, length, length), symmetric."""
    reach = 3.0 * tf.floor(sigma)[:, tf.newaxis]
    distances = tf.range(length, dtype=tf.float32)
    # A Gaussian may reach further than the line is long: its sum is of all that it reaches.
    furthest = tf.range(-3 * length, 3 * length + 1, dtype=tf.float32)

    def weights(distance: tf.Tensor) -> tf.Tensor:
        values = tf.exp(-0.5 * tf.square(distance / tf.maximum(sigma, 1e-6)[:, tf.newaxis]))
        return tf.where(tf.abs(distance) <= reach, values, 0.0)

    by_distance = weights(distances) / tf.reduce_sum(weights(furthest), axis=1, keepdims=True)
    places = tf.range(length)
    return tf.gather(by_distance, tf.abs(places[:, tf.newaxis] - places), axis=1)
