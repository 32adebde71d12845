"""How good trials are next to each other, by one objective or by several."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from math import inf

Point = tuple[float, ...]
"""The value of each objective, higher where it is better."""


def num_better(own: Point, points: Sequence[Point]) -> int:
    """Return how many of some points are better than one of them.

    Of several objectives, the points that no other one dominates are the best, then those that only they dominate, and
    so on; among equals in this, those are better that lie further from their neighbours. So does NSGA-II select.

    Reference: Deb et al., IEEE Transactions on Evolutionary Computation 6 (2), 2002.
    """
    if len(own) == 1:
        return sum(point > own for point in points)
    better: set[Point] = set()
    left = sorted(set(points), reverse=True)
    while own not in (front := _front(left)):
        better.update(front)
        left = [point for point in left if point not in better]
    distances = crowding_distances(front)
    better.update(point for point in front if distances[point] > distances[own])
    return sum(point in better for point in points)


def _front(points: Sequence[Point]) -> list[Point]:
    """Return the points that no other one dominates; they are different, and in falling order."""
    found: list[Point] = []
    for point in points:  # What dominates a point comes before it.
        if not any(all(a >= b for a, b in zip(other, point, strict=True)) for other in found):
            found.append(point)
    return found


def crowding_distances(front: Sequence[Point]) -> dict[Point, float]:
    """Return how far each point of a front lies from its neighbours, summed over objectives as shares of the range."""
    found = dict.fromkeys(front, 0.0)
    for axis in range(len(front[0])):
        row = sorted(front, key=lambda point: point[axis])
        width = row[-1][axis] - row[0][axis]
        if width == 0:
            continue
        found[row[0]] = found[row[-1]] = inf
        for before, (point, after) in zip(row, pairwise(row[1:]), strict=False):
            found[point] += (after[axis] - before[axis]) / width
    return found
