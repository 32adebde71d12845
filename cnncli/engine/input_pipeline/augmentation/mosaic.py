"""A change that combines four images of the batch in one.

Reference: Bochkovskiy et al., YOLOv4: Optimal Speed and Accuracy of Object Detection, 2020 (arXiv 2004.10934).
"""

from __future__ import annotations

from typing import NamedTuple

import tensorflow as tf

from cnncli.config.schema import augmentation as specs
from cnncli.engine.input_pipeline.augmentation.interpolation import interpolate
from cnncli.engine.input_pipeline.augmentation.random_draws import Draws

NUM_TILES = 4
"""Parts of a mosaic: above on the left and on the right, then below."""


class Tiles(NamedTuple):
    """What the parts of mosaics show, and where. All are float32 (mosaics, 4), but for the first two.

    Attributes:
        is_made: Whether there is a mosaic, or an image is left as it is: bool (mosaics,).
        images: Place in the batch of the image in each, int32.
        factor: How much larger the image is shown.
        down: Where its upper edge lies, in pixels; outside the part where the image is larger than it.
        across: Where its left edge lies.
        edges: Left, top, right and bottom edge of the part, whole pixels; of an image that is left as it is, the first
            part is everything.
    """

    is_made: tf.Tensor
    images: tf.Tensor
    factor: tf.Tensor
    down: tf.Tensor
    across: tf.Tensor
    edges: tuple[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor]

    @property
    def shares(self) -> tf.Tensor:
        """Share of the mosaic's area that each part has: float32 (mosaics, 4)."""
        left, top, right, bottom = self.edges
        areas = (right - left) * (bottom - top)
        return areas / tf.reduce_sum(areas, axis=1, keepdims=True)


def tiles(spec: specs.Mosaic, size: tuple[int, int], draws: Draws) -> Tiles:
    """Return the parts of each mosaic, for images of a height and width."""
    is_made = draws.uniform(0.0, 1.0) < spec.probability
    row, column = (tf.where(is_made, tf.round(draws.uniform(*spec.offset) * length), length) for length in size)
    factor = tf.where(is_made[:, tf.newaxis], draws.uniform(*spec.scale, (NUM_TILES,)), 1.0)
    places = draws.uniform(0.0, 1.0, (NUM_TILES, 2))
    (top, bottom), (left, right) = _ends(row, size[0], (0, 0, 1, 1)), _ends(column, size[1], (0, 1, 0, 1))
    return Tiles(
        is_made=is_made,
        images=tf.stack([tf.range(draws.count), *(draws.order() for _ in range(NUM_TILES - 1))], axis=1),
        factor=factor,
        # Of an image that is larger than its part, what is hidden; of a smaller one, minus what stays free.
        down=top - places[..., 0] * (size[0] * factor - (bottom - top)),
        across=left - places[..., 1] * (size[1] * factor - (right - left)),
        edges=(left, top, right, bottom),
    )


def _ends(meeting: tf.Tensor, length: int, halves: tuple[int, ...]) -> tuple[tf.Tensor, tf.Tensor]:
    """Return where parts begin and end along an axis, each in the first or the second half of it."""
    bounds = tf.stack([tf.zeros_like(meeting), meeting, tf.fill(tf.shape(meeting), float(length))], axis=1)
    return tf.gather(bounds, halves, axis=1), tf.gather(bounds, [half + 1 for half in halves], axis=1)


def mosaic(spec: specs.Mosaic, images: tf.Tensor, draws: Draws) -> tf.Tensor:
    """Show four images in one, or with a probability leave it as it is: (images, height, width, channels)."""
    height, width = images.shape[1:3]
    drawn = tiles(spec, (height, width), draws)
    # What is left as it is need not be read again.
    chosen = tf.where(drawn.is_made)[:, 0]
    made = tf.nest.map_structure(lambda own: tf.gather(own, chosen), drawn)
    y, x = tf.range(height, dtype=tf.float32)[:, tf.newaxis], tf.range(width, dtype=tf.float32)
    # The parts meet where the first one ends.
    is_right, is_below = (x >= made.edges[2][:, :1, tf.newaxis]), (y >= made.edges[3][:, :1, tf.newaxis])
    tile = 2 * tf.cast(is_below, tf.int32) + tf.cast(is_right, tf.int32)
    owners = tf.gather(made.images, tile, batch_dims=1)
    numbers = tf.gather(tf.stack([made.factor, made.down, made.across], axis=-1), tile, batch_dims=1)
    factor, down, across = tf.unstack(numbers, axis=-1)
    shown = interpolate(spec, images, (y + 0.5 - down) / factor - 0.5, (x + 0.5 - across) / factor - 0.5, owners)
    return tf.tensor_scatter_nd_update(images, chosen[:, tf.newaxis], shown)
