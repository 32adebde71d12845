"""Objects as annotations state them, held against their image: what can be used, and what is wrong with the rest."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from cnncli.datasets.boxes.bad_boxes import FLIPPED, OUTSIDE, BadBox
from cnncli.datasets.boxes.entries import ImageEntry, ObjectEntry
from cnncli.datasets.boxes.targets import Corners, Objects

DECIMALS = 9
"""Edges are rounded to so many decimals of a pixel, so that sums and products give what was written before."""

ROUNDING = 0.5
"""Pixels by which a box may reach outside its image, as one of rounded numbers does; it is cut off."""

_NAMED = 6

Flags = npt.NDArray[np.bool_]
"""Of each box, (boxes,)."""


class Checked(NamedTuple):
    """The objects of an image that can be used, and those that cannot be used as they are."""

    objects: Objects
    bad: list[BadBox]


def checked(
    entry: ImageEntry, size: tuple[int, int], orientation: int, numbers: Mapping[str, int], scale: bool, clip: bool
) -> Checked:
    """Return the objects of an image.

    Args:
        entry: What its annotations say.
        size: Height and width of the image, turned upright.
        orientation: By which it was turned, 1 to 8 as in EXIF, where the boxes are of the image before it was turned;
            otherwise 1.
        numbers: Number of each class.
        scale: Whether the boxes are in shares of the image's width and height.
        clip: Whether boxes are cut off at the edges of the image; those that are empty then are left out all the same.
    """
    stored = stored_size(size, orientation)
    boxes = _Boxes.of(entry, stored, scale)
    kept, bad = [], []
    for row, given in enumerate(entry.objects):
        reason, kind = _mistake(given, boxes, row, stored, numbers)
        usable = not reason or (clip and kind == OUTSIDE and not boxes.is_empty_cut[row])
        if reason:
            values = f"{given.written}: " if given.written else ""
            bad.append(BadBox(entry.file, entry.split, given.label, values + reason, kind, is_clipped=usable))
        if usable:
            kept.append(row)
    own = [entry.objects[row] for row in kept]
    corners = boxes.cut[kept]
    of_boxes = (corners[:, 2:] - corners[:, :2]).prod(axis=1).tolist()
    areas = [box if given.area is None else given.area for given, box in zip(own, of_boxes, strict=True)]
    return Checked(
        Objects(
            turned(corners, stored, orientation),
            np.array([numbers[given.name] for given in own], np.int64),
            np.array([given.difficult for given in own], np.bool_),
            np.array([given.crowd for given in own], np.bool_),
            np.array(areas, np.float64),
            size,
        ),
        bad,
    )


class _Boxes(NamedTuple):
    """The boxes of an image, and what is to be known of each.

    Attributes:
        cut: Edges, cut off at those of the image: (boxes, 4).
        is_finite: Whether all four numbers are.
        is_flipped: Whether one ends before it begins.
        is_empty: Whether it has no width or no height.
        is_outside: Whether it reaches outside.
        is_empty_cut: Whether nothing of it is inside.
    """

    cut: Corners
    is_finite: Flags
    is_flipped: Flags
    is_empty: Flags
    is_outside: Flags
    is_empty_cut: Flags

    @classmethod
    def of(cls, entry: ImageEntry, size: tuple[int, int], scale: bool) -> _Boxes:
        """Look at all boxes of an image at once."""
        limits = np.array([size[1], size[0]] * 2, np.float64)
        edges = np.array([given.edges for given in entry.objects], np.float64).reshape(-1, 4)
        with np.errstate(over="ignore", invalid="ignore"):  # What is beyond all numbers is told.
            corners = np.round(edges * limits if scale else edges, DECIMALS)
            cut = np.clip(corners, 0.0, limits)
            outside = np.abs(corners - cut).max(axis=1) > ROUNDING
        low, high, inside = corners[:, :2], corners[:, 2:], cut[:, 2:] > cut[:, :2]
        return cls(
            cut,
            np.all(np.isfinite(corners), axis=1),
            np.any(high < low, axis=1),
            np.any(high == low, axis=1),
            outside,
            np.any(~inside, axis=1),
        )


def _mistake(
    given: ObjectEntry, boxes: _Boxes, row: int, size: tuple[int, int], numbers: Mapping[str, int]
) -> tuple[str, str]:
    """Return what is wrong with an object, and the kind of that; "" where nothing is."""
    if given.problem:
        return given.problem, ""
    if given.name not in numbers:
        known = ", ".join(list(numbers)[:_NAMED]) + (", …" if len(numbers) > _NAMED else "")
        named = f'has the class "{given.name[:60]}"' if given.name else "has no class"
        return f"it {named}; the classes are {known}", ""
    if not boxes.is_finite[row]:
        return "expected four finite numbers", ""
    if boxes.is_flipped[row]:
        return "the box ends before it begins", FLIPPED
    if boxes.is_empty[row]:
        return "the box has no width or no height", ""
    if boxes.is_outside[row] or boxes.is_empty_cut[row]:
        return f"the box reaches outside the image, {size[1]} wide and {size[0]} high", OUTSIDE
    return "", ""


_ON_ITS_SIDE = 5
"""From this orientation on, turning an image exchanges its height and width."""


def stored_size(size: tuple[int, int], orientation: int) -> tuple[int, int]:
    """Return the height and width of an image before it was turned upright."""
    return size[::-1] if orientation >= _ON_ITS_SIDE else size


def turned(corners: Corners, size: tuple[int, int], orientation: int) -> Corners:
    """Return boxes of an image as it is stored in the same image turned upright.

    Args:
        corners: (boxes, 4), in pixels of the stored image.
        size: Height and width of the stored image.
        orientation: 1 to 8, as EXIF has it.
    """
    height, width = size
    xmin, ymin, xmax, ymax = corners.T
    left, top = width - xmax, height - ymax
    right, bottom = width - xmin, height - ymin
    edges = {
        1: (xmin, ymin, xmax, ymax),
        2: (left, ymin, right, ymax),
        3: (left, top, right, bottom),
        4: (xmin, top, xmax, bottom),
        5: (ymin, xmin, ymax, xmax),
        6: (top, xmin, bottom, xmax),
        7: (top, left, bottom, right),
        8: (ymin, left, ymax, right),
    }
    return np.stack(edges[orientation], axis=1)
