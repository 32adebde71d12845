"""Objects as annotations state them, held against their image: what can be used, and what is wrong with the rest."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from cnncli.datasets.boxes.bad_boxes import FLIPPED, OUTSIDE, BadBox
from cnncli.datasets.boxes.entries import ImageEntry, ObjectEntry
from cnncli.datasets.boxes.targets import Corners, Objects

DECIMALS = 9
"""Edges are rounded to so many decimals of a pixel, so that sums and products give what was written before."""

ROUNDING = 0.5
"""Pixels by which a box may reach outside its image, as one of rounded numbers does; it is cut off."""

_NAMED = 6


class Checked(NamedTuple):
    """The objects of an image that can be used, and those that cannot be used as they are."""

    objects: Objects
    bad: list[BadBox]


class _Mistake(NamedTuple):
    reason: str
    kind: str = ""


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
    stored = size[::-1] if orientation >= _ON_ITS_SIDE else size
    height, width = stored
    limits = np.array([width, height, width, height], np.float64)
    kept: list[tuple[ObjectEntry, Corners]] = []
    bad = []
    for given in entry.objects:
        with np.errstate(over="ignore", invalid="ignore"):  # What is beyond all numbers is told below.
            corners = np.round(np.array(given.edges, np.float64) * (limits if scale else 1.0), DECIMALS)
        cut = np.clip(corners, 0.0, limits)
        mistake = _mistake(given, corners, cut, stored, numbers)
        usable = mistake is None or (clip and mistake.kind == OUTSIDE and bool((cut[2:] > cut[:2]).all()))
        if mistake is not None:
            reason = f"{given.written}: {mistake.reason}" if given.written else mistake.reason
            bad.append(BadBox(entry.file, entry.split, given.label, reason, mistake.kind, is_clipped=usable))
        if usable:
            kept.append((given, cut))
    corners = np.array([cut for _, cut in kept], np.float64).reshape(-1, 4)
    of_boxes = (corners[:, 2:] - corners[:, :2]).prod(axis=1).tolist()
    areas = [own if given.area is None else given.area for (given, _), own in zip(kept, of_boxes, strict=True)]
    return Checked(
        Objects(
            turned(corners, stored, orientation),
            np.array([numbers[given.name] for given, _ in kept], np.int64),
            np.array([given.difficult for given, _ in kept], np.bool_),
            np.array([given.crowd for given, _ in kept], np.bool_),
            np.array(areas, np.float64),
            size,
        ),
        bad,
    )


def _mistake(
    given: ObjectEntry, corners: Corners, cut: Corners, size: tuple[int, int], numbers: Mapping[str, int]
) -> _Mistake | None:
    """Return what is wrong with an object, or None."""
    if given.problem:
        return _Mistake(given.problem)
    if given.name not in numbers:
        known = ", ".join(list(numbers)[:_NAMED]) + (", …" if len(numbers) > _NAMED else "")
        named = f'has the class "{given.name[:60]}"' if given.name else "has no class"
        return _Mistake(f"it {named}; the classes are {known}")
    if not np.isfinite(corners).all():
        return _Mistake("expected four finite numbers")
    if (corners[2:] < corners[:2]).any():
        return _Mistake("the box ends before it begins", FLIPPED)
    if (corners[2:] == corners[:2]).any():
        return _Mistake("the box has no width or no height")
    outside = np.abs(corners - cut).max() > ROUNDING
    if outside or (cut[2:] == cut[:2]).any():
        return _Mistake(f"the box reaches outside the image, {size[1]} wide and {size[0]} high", OUTSIDE)
    return None


_ON_ITS_SIDE = 5
"""From this orientation on, turning an image exchanges its height and width."""


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
