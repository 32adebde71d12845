"""Views of an image that show the same, over which a network's answers can be averaged: test-time augmentation."""

from __future__ import annotations

from dataclasses import dataclass

import tensorflow as tf

from cnncli.config.schema.augmentation import RandomCrop, RandomFlip, RandomTranslation
from cnncli.config.schema.schema import Config
from cnncli.errors import CnnError

Shift = tuple[int, int]
"""Pixels down and to the right."""

_HEIGHT, _WIDTH = 1, 2
"""Axes of a batch of images."""

STILL: Shift = (0, 0)
CORNERS: tuple[Shift, ...] = ((-1, -1), (-1, 1), (1, -1), (1, 1))


@dataclass(frozen=True)
class View:
    """A change of images that does not change what they show.

    Attributes:
        shift: Pixels by which they are moved.
        mirrored: Axes of (number, height, width, channels) along which they are mirrored after that.
    """

    shift: Shift
    mirrored: tuple[int, ...] = ()

    def __call__(self, images: tf.Tensor) -> tf.Tensor:
        """Return uint8 images in this view, of the same size."""
        moved = images if self.shift == STILL else _moved(images, self.shift)
        return tf.reverse(moved, self.mirrored) if self.mirrored else moved


def views_of(config: Config) -> tuple[View, ...]:
    """Return the views that a config's own augmentation says show the same.

    Where training mirrored images, from side to side, from top to bottom or both, the mirror images that it drew; where
    it moved them, a move by one pixel up or down and to the left or the right; and each of the one with each of the
    other.

    Raises:
        CnnError: If training did neither: then a network was never told that they show the same.
    """
    changes = config.data.augmentation
    modes = {change.mode for change in changes if isinstance(change, RandomFlip)}
    moves = any(isinstance(change, (RandomTranslation, RandomCrop)) for change in changes)
    if not modes and not moves:
        raise CnnError(
            "no test-time augmentation possible: training neither flipped nor shifted images",
            "It requires RandomFlip, RandomTranslation or RandomCrop in data.augmentation.",
        )
    mirrors: tuple[tuple[int, ...], ...] = ((),)
    for axis, others in ((_HEIGHT, "horizontal"), (_WIDTH, "vertical")):
        if modes - {others}:
            mirrors = (*mirrors, *((*axes, axis) for axes in mirrors))
    # What has places in the image is moved with it, by less than a pixel of a smaller plane.
    shifts = (STILL, *CORNERS) if moves and not config.task_spec.has_places else (STILL,)
    return tuple(View(shift, mirrored) for mirrored in mirrors for shift in shifts)


def _moved(images: tf.Tensor, shift: Shift) -> tf.Tensor:
    """Return images moved by a pixel each way; the edge is mirrored."""
    padded = tf.pad(images, [[0, 0], [1, 1], [1, 1], [0, 0]], "SYMMETRIC")
    top, left = (1 - pixels for pixels in shift)
    return padded[:, top : top + images.shape[1], left : left + images.shape[2]]
