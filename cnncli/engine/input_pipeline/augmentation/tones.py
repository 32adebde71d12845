"""Changes of all values of an image, by numbers that are given: what RandAugment draws from.

Images are float32 (images, height, width, channels), values 0 to 1.
"""

from __future__ import annotations

import tensorflow as tf

from cnncli.engine.input_pipeline.augmentation.random_draws import per_image

_LUMA = (0.299, 0.587, 0.114)


def faded(images: tf.Tensor, by: tf.Tensor) -> tf.Tensor:
    """Return images between themselves (0) and their grey version (1); below 0 the colours grow."""
    if images.shape[-1] == 1:
        return images
    grey = tf.reduce_sum(images * tf.constant(_LUMA), axis=-1, keepdims=True)
    return tf.clip_by_value(images + per_image(by) * (grey - images), 0.0, 1.0)


def sharpened(images: tf.Tensor, by: tf.Tensor) -> tf.Tensor:
    """Return images between a smoothed version (−1), themselves (0) and the opposite (1)."""
    padded = tf.pad(images, [[0, 0], [1, 1], [1, 1], [0, 0]], "SYMMETRIC")
    rows = padded[:, :-2] + padded[:, 1:-1] + padded[:, 2:]
    smooth = (rows[:, :, :-2] + rows[:, :, 1:-1] + rows[:, :, 2:] + 4.0 * images) / 13.0
    return tf.clip_by_value(images + per_image(by) * (images - smooth), 0.0, 1.0)


def solarized(images: tf.Tensor, threshold: tf.Tensor) -> tf.Tensor:
    """Return images with all values above a threshold inverted."""
    return tf.where(images > per_image(threshold), 1.0 - images, images)


def posterized(images: tf.Tensor, bits: tf.Tensor) -> tf.Tensor:
    """Return images of which only the upper bits of 8 are kept, a whole number from 1 to 8 for each."""
    step = per_image(tf.pow(2.0, 8.0 - tf.round(bits)))
    return tf.floor(tf.round(images * 255) / step) * step / 255


def full_contrast(images: tf.Tensor) -> tf.Tensor:
    """Return images stretched to the whole range from 0 to 1, channel by channel."""
    low = tf.reduce_min(images, axis=(1, 2), keepdims=True)
    span = tf.reduce_max(images, axis=(1, 2), keepdims=True) - low
    return tf.where(span > 0, (images - low) / tf.where(span > 0, span, 1.0), images)


def equalized(images: tf.Tensor) -> tf.Tensor:
    """Return images in which all values from 0 to 255 are about equally common, channel by channel."""
    shape = tf.shape(images)
    planes = tf.reshape(tf.transpose(images, (0, 3, 1, 2)), (shape[0] * shape[3], -1))
    values = tf.cast(tf.round(planes * 255), tf.int32)
    starts = tf.range(tf.shape(values)[0])[:, tf.newaxis] * 256
    ones = tf.ones_like(values, tf.float32)
    counts = tf.math.unsorted_segment_sum(ones, values + starts, tf.shape(values)[0] * 256)
    below = tf.cumsum(tf.reshape(counts, (-1, 256)), axis=1)
    least = tf.reduce_min(tf.where(below > 0, below, tf.float32.max), axis=1, keepdims=True)
    span = below[:, -1:] - least
    table = tf.round((below - least) * 255 / tf.where(span > 0, span, 1.0)) / 255
    spread = tf.where(span > 0, tf.gather(table, values, axis=1, batch_dims=1), planes)
    return tf.transpose(tf.reshape(spread, (shape[0], shape[3], shape[1], shape[2])), (0, 2, 3, 1))
