"""Views of an image that show the same, over which a network's answers can be averaged: test-time augmentation."""

from __future__ import annotations

from dataclasses import dataclass

import tensorflow as tf

from cnncli.config.schema.augmentation import RandomCrop, RandomFlip, RandomTranslation
from cnncli.config.schema.schema import Config
from cnncli.errors import CnnError

Shift = tuple[int, int]
"""Pixels down and to the right."""

STILL: Shift = (0, 0)
CORNERS: tuple[Shift, ...] = ((-1, -1), (-1, 1), (1, -1), (1, 1))


@dataclass(frozen=True)
class View:
    """A change of images that does not change what they show.

    Attributes:
        shift: Pixels by which they are moved.
        mirrored: Whether they are mirrored from side to side after that.
    """

    shift: Shift
    mirrored: bool

    def __call__(self, images: tf.Tensor) -> tf.Tensor:
        """Return uint8 images in this view, of the same size."""
        moved = images if self.shift == STILL else _moved(images, self.shift)
        return tf.reverse(moved, [2]) if self.mirrored else moved


def views_of(config: Config) -> tuple[View, ...]:
    """Return the views that a config's own augmentation says show the same.

    Where training mirrored images from side to side, the mirror image; where it moved them, a move by one pixel up or
    down and to the left or the right; and each of the one with each of the other.

    Raises:
        CnnError: If training did neither: then a network was never told that they show the same.
    """
    changes = config.data.augmentation
    mirrors = any(isinstance(change, RandomFlip) and change.mode != "vertical" for change in changes)
    moves = any(isinstance(change, (RandomTranslation, RandomCrop)) for change in changes)
    if not mirrors and not moves:
        raise CnnError(
            "no test-time augmentation possible: training neither flipped nor shifted images",
            "It requires RandomFlip, RandomTranslation or RandomCrop in data.augmentation.",
        )
    # What has places in the image is moved with it, by less than a pixel of a smaller plane.
    shifts = (STILL, *CORNERS) if moves and not config.task_spec.has_places else (STILL,)
    return tuple(View(shift, mirrored) for mirrored in ((False, True) if mirrors else (False,)) for shift in shifts)


def _moved(images: tf.Tensor, shift: Shift) -> tf.Tensor:
    """Return images moved by a pixel each way; the edge is mirrored."""
    padded = tf.pad(images, [[0, 0], [1, 1], [1, 1], [0, 0]], "SYMMETRIC")
    top, left = (1 - pixels for pixels in shift)
    return padded[:, top : top + images.shape[1], left : left + images.shape[2]]
