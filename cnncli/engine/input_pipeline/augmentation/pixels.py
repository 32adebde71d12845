"""Changes of pixel values in place: brightness, contrast, erased rectangles.

Images are float32 (images, height, width, channels), values 0 to 1.
"""

from __future__ import annotations

import tensorflow as tf

from cnncli.config.schema import augmentation as specs
from cnncli.engine.input_pipeline.augmentation.random_draws import Draws, both_ways, per_image


def brighten(spec: specs.RandomBrightness, images: tf.Tensor, draws: Draws) -> tf.Tensor:
    """Add a number of its own to each image."""
    return shifted(images, draws.uniform(*both_ways(spec.factor)))


def contrast(spec: specs.RandomContrast, images: tf.Tensor, draws: Draws) -> tf.Tensor:
    """Multiply each image's distance from its mean, channel by channel, by a number of its own."""
    less, more = (spec.factor, spec.factor) if isinstance(spec.factor, float | int) else spec.factor
    return stretched(images, draws.uniform(1.0 - less, 1.0 + more))


def erase(spec: specs.RandomErasing, images: tf.Tensor, draws: Draws) -> tf.Tensor:
    """Overwrite a rectangle of each image, with the probability that its factor says."""
    low, high = (spec.factor, spec.factor) if isinstance(spec.factor, float | int) else spec.factor
    shares = tf.sqrt(draws.uniform(*spec.scale, (2,)))
    erased = rectangle(images, shares[:, 0], shares[:, 1], draws)
    erased &= (draws.uniform(0.0, 1.0) < draws.uniform(low, high))[:, tf.newaxis, tf.newaxis, tf.newaxis]
    if spec.fill_value is not None:
        return tf.where(erased, spec.fill_value / 255, images)
    return tf.where(erased, draws.uniform(0.0, 1.0, tuple(images.shape[1:])), images)


def rectangle(images: tf.Tensor, tall: tf.Tensor, wide: tf.Tensor, draws: Draws) -> tf.Tensor:
    """Return a mask of a rectangle somewhere in each image: bool (images, height, width, 1).

    Args:
        images: The images.
        tall: Share of the height that each rectangle takes, (images,).
        wide: Share of the width.
        draws: Say where.
    """
    inside = []
    for length, share in ((images.shape[1], tall), (images.shape[2], wide)):
        start = draws.uniform(0.0, 1.0) * (1.0 - share) * length
        places = tf.range(length, dtype=tf.float32)
        inside.append((places >= start[:, tf.newaxis]) & (places < (start + share * length)[:, tf.newaxis]))
    return inside[0][:, :, tf.newaxis, tf.newaxis] & inside[1][:, tf.newaxis, :, tf.newaxis]


def shifted(images: tf.Tensor, by: tf.Tensor) -> tf.Tensor:
    """Return images with a number of its own added to each, cut off at 0 and 1."""
    return tf.clip_by_value(images + per_image(by), 0.0, 1.0)


def stretched(images: tf.Tensor, by: tf.Tensor) -> tf.Tensor:
    """Return images with their distance from the mean multiplied by a number each, cut off at 0 and 1."""
    mean = tf.reduce_mean(images, axis=(1, 2), keepdims=True)
    return tf.clip_by_value(mean + (images - mean) * per_image(by), 0.0, 1.0)
