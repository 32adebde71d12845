"""Regions of an image as COCO writes them, polygons and run lengths → which pixels they cover.

The pixels are those that COCO's own tools find, to the last: edges are drawn in five times the resolution, and a pixel
is covered where the edges before it, down its column, are odd in number.

Reference: Lin et al., Microsoft COCO, ECCV 2014; rleFrPoly and rleFrString of its tools.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Covered = npt.NDArray[np.bool_]
"""Whether a pixel is covered, (height, width)."""

_FINER = 5
_FURTHEST = 10
"""Sides of the image within which corners must lie: every point of an edge takes memory."""

_MOST_DIGITS = 12


def polygon(corners: Sequence[float], height: int, width: int) -> Covered:
    """Return what a polygon covers.

    Args:
        corners: x and y of each corner in turn, from the left top corner of the image.
        height: Of the image.
        width: Of the image.

    Raises:
        ValueError: If a corner is none, or far outside of the image.
    """
    given = np.array(corners, np.float64).reshape(-1, 2)
    if not bool((np.abs(given) <= _FURTHEST * max(height, width)).all()):
        raise ValueError("a polygon with corners far outside of the image")
    points = (given * _FINER + 0.5).astype(np.int64)
    places = [_edge(start, end) for start, end in zip(points, np.roll(points, -1, axis=0), strict=True)]
    across, down = np.concatenate(places, axis=1)
    moved = np.flatnonzero(np.diff(across))
    columns = (np.minimum(across[moved], across[moved + 1]) + 0.5) / _FINER - 0.5
    columns = np.where(across[moved + 1] < across[moved], columns, (across[moved + 1] - 1 + 0.5) / _FINER - 0.5)
    rows = (np.minimum(down[moved], down[moved + 1]) + 0.5) / _FINER - 0.5
    inside = (np.floor(columns) == columns) & (columns >= 0) & (columns <= width - 1)
    ends = columns[inside].astype(np.int64) * height + np.ceil(rows[inside].clip(0, height)).astype(np.int64)
    return _between(ends, height, width)


def run_lengths(counts: Sequence[int], height: int, width: int) -> Covered:
    """Return what run lengths cover: pixels down the columns, first of those that are not covered.

    Raises:
        ValueError: If they are negative, or not of as many pixels as the image has.
    """
    lengths = np.array(counts, np.int64)
    if lengths.ndim != 1 or (lengths < 0).any() or int(lengths.sum()) != height * width:
        raise ValueError(f"run lengths of {int(lengths.sum()):,} pixels; the image has {height * width:,}")
    return _between(np.cumsum(lengths), height, width)


def packed_run_lengths(text: str) -> list[int]:
    """Return the run lengths that a text means: six bits a character, each number relative to the last but one.

    Raises:
        ValueError: If it is cut off, or has characters that mean nothing.
    """
    counts: list[int] = []
    number, place = 0, 0
    for character in text:
        digit = ord(character) - 48
        if not 0 <= digit < 64 or place > _MOST_DIGITS:
            raise ValueError("run lengths with characters that mean nothing")
        number |= (digit & 31) << 5 * place
        place += 1
        if digit & 32:
            continue
        if digit & 16:
            number -= 1 << 5 * place
        counts.append(number + (counts[-2] if len(counts) > 2 else 0))
        number, place = 0, 0
    if place:
        raise ValueError("run lengths that are cut off")
    return counts


def _edge(start: npt.NDArray[np.int64], end: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return the points of a line from one corner to the next, a step of its longer side at a time: (2, points)."""
    across, down = abs(end - start).tolist()
    longer = 0 if across >= down else 1
    # It is computed from the end with the smaller coordinate, so that both directions have the same points.
    flipped = start[longer] > end[longer]
    first, last = (end, start) if flipped else (start, end)
    steps = np.arange(max(across, down) + 1)
    steps = steps[::-1] if flipped else steps
    slope = float(last[1 - longer] - first[1 - longer]) / max(across, down, 1)
    points = np.empty((2, len(steps)), np.int64)
    points[longer] = steps + first[longer]
    points[1 - longer] = (first[1 - longer] + slope * steps + 0.5).astype(np.int64)
    return points


def _between(ends: npt.NDArray[np.int64], height: int, width: int) -> Covered:
    """Return the pixels between the first and the second end, the third and the fourth, down the columns."""
    turns = np.bincount(ends, minlength=height * width + 1)[: height * width]
    covered: Covered = (np.cumsum(turns) % 2 == 1).reshape(width, height).T
    return covered
