"""Images read at places between their pixels, or outside.

Images are float32 (images, height, width, channels).
"""

from __future__ import annotations

import tensorflow as tf

from cnncli.config.schema import augmentation as specs


def interpolate(
    spec: specs.Moved, images: tf.Tensor, rows: tf.Tensor, columns: tf.Tensor, owners: tf.Tensor | None = None
) -> tf.Tensor:
    """Read images at places of their own.

    Args:
        spec: Says how to interpolate and to fill.
        images: The images.
        rows: float32 (images, height, width): place along the height that each pixel shows.
        columns: Likewise along the width.
        owners: Place in the batch of the image that each pixel shows, int32 (images, height, width); None: its own.
    """
    if owners is None:
        owners = tf.range(tf.shape(images)[0])[:, tf.newaxis, tf.newaxis]
    if spec.interpolation == "nearest":
        return _pixels(spec, images, owners, tf.floor(rows + 0.5), tf.floor(columns + 0.5))
    top, left = tf.floor(rows), tf.floor(columns)
    down, right = (rows - top)[..., tf.newaxis], (columns - left)[..., tf.newaxis]
    above, below = (
        first + right * (_pixels(spec, images, owners, row, left + 1) - first)
        for row, first in ((row, _pixels(spec, images, owners, row, left)) for row in (top, top + 1))
    )
    return above + down * (below - above)


def _pixels(spec: specs.Moved, images: tf.Tensor, owners: tf.Tensor, rows: tf.Tensor, columns: tf.Tensor) -> tf.Tensor:
    """Return the pixel at each whole place, which may lie outside."""
    height, width, channels = images.shape[1:]
    pixels = tf.reshape(images, (-1, channels))
    row, column = pixels_inside(spec, rows, height), pixels_inside(spec, columns, width)
    index = (owners * height + row) * width + column
    if spec.fill_mode != "constant":
        return tf.gather(pixels, index)
    # What fills is read from behind the pixels: choosing it for every channel afterwards takes longer than reading.
    fill, end = fill_of(spec, images), tf.shape(pixels)[0]
    behind = tf.reshape(fill, (-1, channels)) if isinstance(fill, tf.Tensor) else tf.fill((1, channels), fill)
    place = end + owners if isinstance(fill, tf.Tensor) else end
    return tf.gather(tf.concat([pixels, behind], axis=0), tf.where((row < 0) | (column < 0), place, index))


def fill_of(spec: specs.Filled, images: tf.Tensor) -> tf.Tensor | float:
    """Return what fills places without a pixel: a number, or of each image its own, (images, 1, 1, channels)."""
    if isinstance(spec.fill_value, str):
        return tf.reduce_mean(images, axis=(1, 2), keepdims=True)
    return spec.fill_value / 255


def pixels_inside(spec: specs.Filled, places: tf.Tensor, length: int) -> tf.Tensor:
    """Return the pixel that is shown at each whole place, which may lie outside; −1 for none."""
    index = tf.cast(places, tf.int32)
    if spec.fill_mode == "constant":
        return tf.where((index >= 0) & (index < length), index, -1)
    if spec.fill_mode == "nearest":
        return tf.clip_by_value(index, 0, length - 1)
    if spec.fill_mode == "wrap":
        return tf.math.floormod(index, length)
    index = tf.math.floormod(index, 2 * length)
    return tf.minimum(index, 2 * length - 1 - index)
