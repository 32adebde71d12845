"""Changes that move pixels: flips, translation, zoom, crop, rotation, shear.

Images are float32 (images, height, width, channels), values 0 to 1.
"""

from __future__ import annotations

import math

import tensorflow as tf

from cnncli.config.schema import augmentation as specs
from cnncli.engine.input_pipeline.augmentation.interpolation import fill_of, pixels_inside
from cnncli.engine.input_pipeline.augmentation.random_draws import Draws, both_ways, per_image

_FULL_TURN = 2 * math.pi


def flip(spec: specs.RandomFlip, images: tf.Tensor, draws: Draws) -> tf.Tensor:
    """Mirror each image by a coin for each axis of the mode."""
    if spec.mode != "vertical":
        images = _mirrored(images, 2, draws.uniform(0.0, 1.0) < 0.5)
    if spec.mode != "horizontal":
        images = _mirrored(images, 1, draws.uniform(0.0, 1.0) < 0.5)
    return images


def _mirrored(images: tf.Tensor, axis: int, backwards: tf.Tensor) -> tf.Tensor:
    """Return images with an axis turned round in those that `backwards`, bool (images,), names."""
    length = images.shape[axis]
    places = tf.range(length)
    places = tf.where(backwards[:, tf.newaxis], length - 1 - places, places)
    return tf.gather(images, places, axis=axis, batch_dims=1)


def crop(spec: specs.RandomCrop, images: tf.Tensor, draws: Draws, method: str = "bilinear") -> tf.Tensor:
    """Cut a part out of each image at a place of its own, after a border was added; a smaller part is enlarged.

    Args:
        spec: Says how large the part is, and how the border is filled.
        images: The images.
        draws: Say where it is.
        method: How the part is enlarged.
    """
    size = images.shape[1:3]
    height, width = spec.height or size[0], spec.width or size[1]
    images = _bordered(spec, images)
    for axis, part in ((1, height), (2, width)):
        room = images.shape[axis] - part
        start = tf.minimum(tf.cast(draws.uniform(0.0, room + 1.0), tf.int32), room)
        images = tf.gather(images, start[:, tf.newaxis] + tf.range(part), axis=axis, batch_dims=1)
    return images if (height, width) == tuple(size) else tf.image.resize(images, size, method)


def _bordered(spec: specs.RandomCrop, images: tf.Tensor) -> tf.Tensor:
    """Return images with a border on every side."""
    fill, border = fill_of(spec, images), [spec.padding, spec.padding]
    if spec.fill_mode == "constant" and not isinstance(fill, tf.Tensor):
        return tf.pad(images, [[0, 0], border, border, [0, 0]], constant_values=fill)
    for axis in (1, 2):
        images = _middle(spec, images, axis, images.shape[axis] + sum(border), fill)
    return images


def translate(spec: specs.RandomTranslation, images: tf.Tensor, draws: Draws) -> tf.Tensor:
    """Shift each image by shares of its height and width."""
    down = draws.uniform(*both_ways(spec.height_factor))
    return translated(spec, images, down, draws.uniform(*both_ways(spec.width_factor)))


def zoom(spec: specs.RandomZoom, images: tf.Tensor, draws: Draws) -> tf.Tensor:
    """Shrink (positive factor) or enlarge (negative) each image about its centre."""
    height, width = images.shape[1:3]
    tall = 1.0 + draws.uniform(*both_ways(spec.height_factor))
    wide = tall if spec.width_factor is None else 1.0 + draws.uniform(*both_ways(spec.width_factor))
    return _resample(spec, images, _zoomed(height, tall), _zoomed(width, wide))


def scale(spec: specs.RandomScale, images: tf.Tensor, draws: Draws) -> tf.Tensor:
    """Enlarge or shrink each image, and show a part of it, or all of it, at a place of its own."""
    size = images.shape[1:3]
    factor = draws.uniform(*spec.factor)[:, tf.newaxis]
    lines = []
    for length, shown in zip(size, spec.size or size, strict=True):
        # What is not shown of an enlarged image, in its own pixels; of a shrunken one, minus what stays free.
        hidden = length - shown / factor
        lines.append((_line(shown) + 0.5) / factor - 0.5 + draws.uniform(0.0, 1.0)[:, tf.newaxis] * hidden)
    return _resample(spec, images, *lines)


def rotate(spec: specs.RandomRotation, images: tf.Tensor, draws: Draws) -> tf.Tensor:
    """Turn each image about its centre; positive angles turn against the clock."""
    return rotated(spec, images, draws.uniform(*both_ways(spec.factor)))


def rotate_90(spec: specs.RandomRotate90, images: tf.Tensor, draws: Draws) -> tf.Tensor:
    """Turn each image about its centre by 0 to 3 quarter turns against the clock."""
    size, turns, fill = images.shape[1:3], draws.choice(4), fill_of(spec, images)
    for axis in (1, 2):
        images = _mirrored(images, axis, turns >= 2)
    quarter = tf.reverse(tf.transpose(images, (0, 2, 1, 3)), [1])
    for axis, length in zip((1, 2), size, strict=True):
        quarter = _middle(spec, quarter, axis, length, fill)
    return tf.where(per_image(turns % 2 == 1), quarter, images)


def _middle(spec: specs.Filled, images: tf.Tensor, axis: int, length: int, fill: tf.Tensor | float) -> tf.Tensor:
    """Return the middle of images along an axis, filled at both ends where they are shorter."""
    before = images.shape[axis]
    index = pixels_inside(spec, tf.range(length) + (before - length) // 2, before)
    outside = tf.reshape(index < 0, [length if own == axis else 1 for own in range(4)])
    return tf.where(outside, fill, tf.gather(images, tf.maximum(index, 0), axis=axis))


def translated(spec: specs.Moved, images: tf.Tensor, down: tf.Tensor, right: tf.Tensor) -> tf.Tensor:
    """Return images shifted by shares of the height and width, each (images,)."""
    height, width = images.shape[1:3]
    rows = _line(height) - (down * height)[:, tf.newaxis]
    return _resample(spec, images, rows, _line(width) - (right * width)[:, tf.newaxis])


def rotated(spec: specs.Moved, images: tf.Tensor, turns: tf.Tensor) -> tf.Tensor:
    """Return images turned about their centre by shares of a full turn, (images,)."""
    cosine, sine = tf.cos(turns * _FULL_TURN), tf.sin(turns * _FULL_TURN)
    return _warp(spec, images, (cosine, -sine), (sine, cosine))


def sheared(spec: specs.Moved, images: tf.Tensor, across: tf.Tensor, down: tf.Tensor) -> tf.Tensor:
    """Return images slanted about their centre: pixels across for each pixel down, and down for each across."""
    one = tf.ones_like(across)
    return _warp(spec, images, (one, across), (down, one))


def _line(length: int) -> tf.Tensor:
    return tf.range(length, dtype=tf.float32)[tf.newaxis]


def _zoomed(length: int, factor: tf.Tensor) -> tf.Tensor:
    centre = (length - 1) / 2
    return centre + (_line(length) - centre) * factor[:, tf.newaxis]


def _resample(spec: specs.Moved, images: tf.Tensor, rows: tf.Tensor, columns: tf.Tensor) -> tf.Tensor:
    """Read each image at the crossings of `rows` and `columns`, which lie between its pixels or outside.

    Two matrix products do this, several times faster than a general warp.

    Args:
        spec: Says how to interpolate and to fill.
        images: The images.
        rows: float32 (images, shown height): place along the height that each output row shows.
        columns: float32 (images, shown width): likewise along the width.
    """
    count = tf.shape(images)[0]
    height, width, channels = images.shape[1:]
    high, wide = rows.shape[1], columns.shape[1]
    down, across = _weights(spec, rows, height), _weights(spec, columns, width)
    moved = tf.matmul(down, tf.reshape(images, (count, height, width * channels)))
    turned = tf.transpose(tf.reshape(moved, (count, high, width, channels)), (0, 2, 1, 3))
    moved = tf.matmul(across, tf.reshape(turned, (count, width, high * channels)))
    result = tf.transpose(tf.reshape(moved, (count, wide, high, channels)), (0, 2, 1, 3))
    if spec.fill_mode == "constant" and spec.fill_value:
        covered = tf.reduce_sum(down, -1)[:, :, tf.newaxis] * tf.reduce_sum(across, -1)[:, tf.newaxis]
        result += (1.0 - covered)[..., tf.newaxis] * fill_of(spec, images)
    return result


def _weights(spec: specs.Moved, places: tf.Tensor, length: int) -> tf.Tensor:
    """Return what each pixel of a line adds to each place: float32 (images, places, length)."""
    if spec.interpolation == "nearest":
        return tf.one_hot(pixels_inside(spec, tf.floor(places + 0.5), length), length)
    before = tf.floor(places)
    share = (places - before)[..., tf.newaxis]
    first = tf.one_hot(pixels_inside(spec, before, length), length)
    return first + share * (tf.one_hot(pixels_inside(spec, before + 1, length), length) - first)


def _warp(
    spec: specs.Moved, images: tf.Tensor, to_x: tuple[tf.Tensor, tf.Tensor], to_y: tuple[tf.Tensor, tf.Tensor]
) -> tf.Tensor:
    """Read each image at a linear function of the output's place, about the centre.

    Args:
        spec: Says how to interpolate and to fill.
        images: The images.
        to_x: How the place read along the width grows with x and with y, each (images,).
        to_y: Likewise along the height.
    """
    height, width = images.shape[1:3]
    x, y = (width - 1) / 2, (height - 1) / 2
    zero = tf.zeros_like(to_x[0])
    offsets = x - to_x[0] * x - to_x[1] * y, y - to_y[0] * x - to_y[1] * y
    # The operation fills with one number: of images whose mean is 0, that of all of them.
    fill = fill_of(spec, images)
    mean = fill if isinstance(fill, tf.Tensor) else None
    moved = tf.raw_ops.ImageProjectiveTransformV3(
        images=images if mean is None else images - mean,
        transforms=tf.stack([*to_x, offsets[0], *to_y, offsets[1], zero, zero], axis=1),
        output_shape=(height, width),
        interpolation=spec.interpolation.upper(),
        fill_mode=spec.fill_mode.upper(),
        fill_value=fill if mean is None else 0.0,
    )
    return moved if mean is None else moved + mean
