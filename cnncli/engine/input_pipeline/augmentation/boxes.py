"""Boxes moved as their images are, by the same draws.

A box is cut off at the image's edge, and left out where less than 30 % of it are still seen: what is left of it then
looks like anything. A crowd stays as long as something of it is seen. The parts of a mosaic have edges as images have.
Of a turned image, a box is the one around the four turned corners, so it is too large for most objects by an angle that
is no multiple of 90°. Erased rectangles keep their boxes: a network should tell an object by what is around.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import tensorflow as tf

from cnncli.config.schema import augmentation as specs
from cnncli.datasets.boxes.targets import NOTHING, NUM_FITTED
from cnncli.engine.input_pipeline.augmentation.mosaic import NUM_TILES, tiles
from cnncli.engine.input_pipeline.augmentation.random_draws import Draws, both_ways

LEAST_SEEN = 0.3
"""Least share of a box's area that must lie in the image."""

_NEAR_ZERO = 1e-6
"""Least share of an image that zoom shows along an axis; of none, a box would be endless."""


class _Line(NamedTuple):
    """Where the places along an axis of each image come to lie: at offset + factor · place.

    Attributes:
        factor: float32 (images,); negative where mirrored.
        offset: In pixels, float32 (images,).
        length: Of the axis afterwards, in pixels.
    """

    factor: tf.Tensor
    offset: tf.Tensor
    length: int

    def __call__(self, first: tf.Tensor, last: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Return where intervals, (images, boxes) each end, come to lie, the lower end first."""
        ends = [self.offset[:, tf.newaxis] + self.factor[:, tf.newaxis] * end for end in (first, last)]
        return tf.minimum(*ends), tf.maximum(*ends)


_Lines = tuple[_Line, _Line]
"""Down, then across."""

_Corners = tuple[tuple[tf.Tensor, tf.Tensor], tuple[tf.Tensor, tf.Tensor]]
"""Left and right edges of boxes, then top and bottom ones."""


# Nothing here branches on tensors, and AutoGraph warns of what it cannot read.
@tf.autograph.experimental.do_not_convert
def move(change: specs.Augmentation, targets: tf.Tensor, size: tuple[int, int], draws: Draws) -> tf.Tensor:
    """Return boxes moved as a change moves their images.

    Args:
        change: The change.
        targets: As `Boxes.fit` makes them, float32 (images, boxes, 6).
        size: Height and width of the images before the change.
        draws: The same that moved the images, from their beginning.
    """
    if isinstance(change, specs.Mosaic):
        return _combined(change, targets, size, draws)
    left, top, right, bottom, label, counts = tf.unstack(targets, axis=-1)
    if isinstance(change, specs.RandomRotation):
        corners = _turned(change, (left, top, right, bottom), size, draws)
    elif isinstance(change, specs.RandomRotate90):
        corners = _turned_by_quarters((left, top, right, bottom), size, draws)
    elif type(change) in _MOVES:
        down, across = _MOVES[type(change)](change, size, draws)
        corners, size = (across(left, right), down(top, bottom)), (down.length, across.length)
    else:
        return targets
    return _seen(corners, label, counts, (0.0, 0.0, size[1], size[0]))


def _seen(corners: _Corners, label: tf.Tensor, counts: tf.Tensor, edges: tuple[Any, Any, Any, Any]) -> tf.Tensor:
    """Return objects of which enough is seen, cut off at the edges of what is shown.

    Args:
        corners: Left and right, and top and bottom edges of their boxes.
        label: Their classes.
        counts: 1, or 0 for crowds.
        edges: Left, top, right and bottom edge of what is shown.
    """
    (left, right), (top, bottom) = corners
    ends = [tf.clip_by_value(place, edges[0], edges[2]) for place in (left, right)]
    heights = [tf.clip_by_value(place, edges[1], edges[3]) for place in (top, bottom)]
    seen = (ends[1] - ends[0]) * (heights[1] - heights[0])
    least = tf.where(counts > 0, LEAST_SEEN * (right - left) * (bottom - top), 0.0)
    label = tf.where((seen > 0) & (seen >= least), label, float(NOTHING))
    return tf.stack([ends[0], heights[0], ends[1], heights[1], label, counts], axis=-1)


def _combined(spec: specs.Mosaic, targets: tf.Tensor, size: tuple[int, int], draws: Draws) -> tf.Tensor:
    """Return the objects of the four images of each mosaic: float32 (images, 4 · boxes, 6)."""
    made = tiles(spec, size, draws)
    left, top, right, bottom, label, counts = tf.unstack(tf.gather(targets, made.images), axis=-1)
    factor, down, across = (number[..., tf.newaxis] for number in (made.factor, made.down, made.across))
    corners = (
        (across + factor * left, across + factor * right),
        (down + factor * top, down + factor * bottom),
    )
    found = _seen(corners, label, counts, tuple(edge[..., tf.newaxis] for edge in made.edges))
    return tf.reshape(found, (-1, NUM_TILES * targets.shape[1], NUM_FITTED))


def _flip(spec: specs.RandomFlip, size: tuple[int, int], draws: Draws) -> _Lines:
    across = _mirrored(size[1], draws, spec.mode != "vertical")
    return _mirrored(size[0], draws, spec.mode != "horizontal"), across


def _mirrored(length: int, draws: Draws, at_random: bool) -> _Line:
    """Return an axis that is backwards for every image whose coin says so, if one is thrown."""
    if not at_random:
        return _still(length, draws)
    backwards = draws.uniform(0.0, 1.0) < 0.5
    return _Line(tf.where(backwards, -1.0, 1.0), tf.where(backwards, float(length), 0.0), length)


def _still(length: int, draws: Draws) -> _Line:
    zeros = tf.zeros([draws.count])
    return _Line(zeros + 1.0, zeros, length)


def _translate(spec: specs.RandomTranslation, size: tuple[int, int], draws: Draws) -> _Lines:
    down = draws.uniform(*both_ways(spec.height_factor)) * size[0]
    right = draws.uniform(*both_ways(spec.width_factor)) * size[1]
    return _Line(tf.ones_like(down), down, size[0]), _Line(tf.ones_like(right), right, size[1])


def _zoom(spec: specs.RandomZoom, size: tuple[int, int], draws: Draws) -> _Lines:
    tall = 1.0 + draws.uniform(*both_ways(spec.height_factor))
    wide = tall if spec.width_factor is None else 1.0 + draws.uniform(*both_ways(spec.width_factor))
    down, across = (
        _Line(1.0 / tf.maximum(shown, _NEAR_ZERO), length / 2 * (1.0 - 1.0 / tf.maximum(shown, _NEAR_ZERO)), length)
        for length, shown in zip(size, (tall, wide), strict=True)
    )
    return down, across


def _scale(spec: specs.RandomScale, size: tuple[int, int], draws: Draws) -> _Lines:
    factor = draws.uniform(*spec.factor)
    down, across = (
        _Line(factor, -draws.uniform(0.0, 1.0) * (length * factor - shown), shown)
        for length, shown in zip(size, spec.size or size, strict=True)
    )
    return down, across


def _crop(spec: specs.RandomCrop, size: tuple[int, int], draws: Draws) -> _Lines:
    down, across = (
        _cut(length, part or length, spec.padding, draws)
        for length, part in zip(size, (spec.height, spec.width), strict=True)
    )
    return down, across


def _cut(length: int, part: int, padding: int, draws: Draws) -> _Line:
    """Return an axis of which a part, after a border, is enlarged to all of it."""
    room = length + 2 * padding - part
    start = tf.minimum(tf.cast(draws.uniform(0.0, room + 1.0), tf.int32), room)
    factor = length / part
    offset = (padding - tf.cast(start, tf.float32)) * factor
    return _Line(tf.fill(tf.shape(offset), factor), offset, length)


def _turned(spec: specs.RandomRotation, edges: tuple[tf.Tensor, ...], size: tuple[int, int], draws: Draws) -> _Corners:
    """Return boxes around the turned corners of others."""
    turns = draws.uniform(*both_ways(spec.factor))[:, tf.newaxis, tf.newaxis] * (2 * math.pi)
    left, top, right, bottom = edges
    x = tf.stack([left, right, right, left], axis=-1) - size[1] / 2
    y = tf.stack([top, top, bottom, bottom], axis=-1) - size[0] / 2
    across = tf.cos(turns) * x + tf.sin(turns) * y + size[1] / 2
    down = tf.cos(turns) * y - tf.sin(turns) * x + size[0] / 2
    horizontal, vertical = ((tf.reduce_min(places, -1), tf.reduce_max(places, -1)) for places in (across, down))
    return horizontal, vertical


def _turned_by_quarters(edges: tuple[tf.Tensor, ...], size: tuple[int, int], draws: Draws) -> _Corners:
    """Return boxes that were turned by a multiple of 90°."""
    (height, width), turns = size, draws.choice(4)[:, tf.newaxis]
    is_quarter, is_upside_down = turns % 2 == 1, turns >= 2
    left, top, right, bottom = edges
    left, right = (tf.where(is_upside_down, width - far, near) for near, far in ((left, right), (right, left)))
    top, bottom = (tf.where(is_upside_down, height - far, near) for near, far in ((top, bottom), (bottom, top)))
    # Of the turned image, width × height, the middle height × width is shown.
    above, beside = (width - height) // 2, (height - width) // 2
    horizontal = tf.where(is_quarter, top - beside, left), tf.where(is_quarter, bottom - beside, right)
    vertical = (
        tf.where(is_quarter, width - right - above, top),
        tf.where(is_quarter, width - left - above, bottom),
    )
    return horizontal, vertical


_MOVES: dict[type[specs.Augmentation], Callable[[Any, tuple[int, int], Draws], _Lines]] = {
    specs.RandomFlip: _flip,
    specs.RandomTranslation: _translate,
    specs.RandomZoom: _zoom,
    specs.RandomScale: _scale,
    specs.RandomCrop: _crop,
}
