"""The embedded handwritten digits pasted on backgrounds, with the box of each.

They are drawn when they are asked for, always the same: a set for first steps and for tests, which needs no download.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from cnncli.config.schema.schema import Data
from cnncli.datasets import builtin
from cnncli.datasets.boxes.targets import Boxes, Corners, Objects
from cnncli.datasets.collection import Collection
from cnncli.datasets.digit_scenes import INK, add_noise, background, collection, enlarged, paste
from cnncli.datasets.splits import Images
from cnncli.datasets.targets import Labels

CLASSES = builtin.CLASSES["digits"]
"""The ten digits; the background has no box."""

SIZE = 64
"""Height and width of an image in pixels."""

NUMBERS = {"train": 1500, "test": 300}
"""Images by split; those of one split show digits of that split alone."""

MOST = 8
"""Most digits of an image; the fewest are one."""

_TRIES = 20
"""Places that are tried for a digit before the image has one less."""


class DigitBoxes(NamedTuple):
    """Images and the objects of each.

    Attributes:
        images: uint8 (images, 64, 64, 3).
        objects: Their digits, with tight boxes of whole pixels.
    """

    images: Images
    objects: tuple[Objects, ...]


def collect(data: Data) -> Collection:
    """Return all images by split, with the config's channels."""

    def drawn(digits: Images, labels: Labels, number: int, seed: int) -> tuple[Images, Boxes]:
        found = draw(digits, labels, number, seed)
        return found.images, Boxes(found.objects, MOST)

    return collection(data, CLASSES, NUMBERS, drawn)


def draw(digits: Images, labels: Labels, number: int, seed: int) -> DigitBoxes:
    """Draw images of one to eight digits whose boxes do not overlap, on a background of soft spots.

    Args:
        digits: Grey images (digits, 8, 8, 1).
        labels: The digit that each shows.
        number: Images.
        seed: Of all that is random.
    """
    generator = np.random.default_rng(seed)
    images = np.empty((number, SIZE, SIZE, 3), np.uint8)
    objects = []
    for image in images:
        image[:] = background(generator, SIZE)
        found, corners = [], np.zeros((0, 4))
        for which in generator.integers(len(digits), size=int(generator.integers(1, MOST + 1))).tolist():
            digit = _trimmed(enlarged(digits[which, ..., 0], generator))
            box = _free_place(digit.shape, corners, generator)
            if box is not None:
                left, top = box[:2].astype(int).tolist()
                paste(image, digit, generator, (top, left))
                corners = np.vstack([corners, box])
                found.append(int(labels[which]))
        add_noise(image, generator)
        objects.append(_objects(corners, found))
    return DigitBoxes(images, tuple(objects))


def _trimmed(digit: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Return a digit without what is empty around it."""
    rows, columns = (np.flatnonzero((digit >= INK).any(axis=axis)) for axis in (1, 0))
    return digit[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def _free_place(shape: tuple[int, ...], taken: Corners, generator: np.random.Generator) -> Corners | None:
    """Return a box (4,) that overlaps none of those that are taken, or None where none is found."""
    height, width = shape
    low = generator.integers(0, (SIZE - width + 1, SIZE - height + 1), (_TRIES, 2))
    boxes = np.hstack([low, low + np.array([width, height])]).astype(np.float64)
    apart = (boxes[:, None, :2] >= taken[:, 2:]) | (boxes[:, None, 2:] <= taken[:, :2])
    free = np.flatnonzero(np.all(np.any(apart, axis=2), axis=1))
    return boxes[free[0]] if len(free) else None


def _objects(corners: Corners, labels: list[int]) -> Objects:
    none = np.zeros(len(labels), np.bool_)
    areas = (corners[:, 2:] - corners[:, :2]).prod(axis=1)
    return Objects(corners, np.array(labels, np.int64), none, none, areas, (SIZE, SIZE))
