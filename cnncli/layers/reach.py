"""What the outputs of a layer see along one axis of the image."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import ceil, floor, gcd, lcm
from typing import NamedTuple

from cnncli.layers.base import Window

MAX_PERIOD = 4096
"""Longest pattern that is followed; an axis enlarged beyond it counts as seen from end to end."""


_SAME = Window(1)


class Reach(NamedTuple):
    """What one output sees of the image along one axis, padding counted as if the image went on there.

    Attributes:
        size: Pixels from the first seen to the last; the largest of all outputs, where layers that enlarge
            make them differ.
        stride: Pixels between what neighbouring outputs see, on average; 0 if all outputs see the same.
        start: First pixel that the first output sees; negative in the padding.
    """

    size: int
    stride: Fraction
    start: int


@dataclass(frozen=True)
class Sight:
    """First and last pixel that each output sees: a pattern that repeats `advance` pixels further on.

    The pattern of layers that only shrink has one entry. An output that sees nothing, between the patches of a
    transposed convolution, stands with what its neighbours both see.

    Attributes:
        firsts: First pixel of the outputs 0, 1, … of the pattern.
        lasts: Last pixel of the same.
        advance: Pixels from an output to the one a pattern further; 0 if all see the same.
        length: The image's pixels along the axis.
    """

    firsts: tuple[int, ...]
    lasts: tuple[int, ...]
    advance: int
    length: int

    @classmethod
    def of_pixels(cls, length: int) -> Sight:
        """Return what the pixels of an image of that length see: themselves."""
        return cls((0,), (0,), 1, length)

    @property
    def reach(self) -> Reach:
        """The pattern in three numbers."""
        size = max(last - first + 1 for first, last in zip(self.firsts, self.lasts, strict=True))
        return Reach(size, Fraction(self.advance, len(self.firsts)), self.firsts[0])

    def first(self, position: int) -> int:
        """Return the first pixel that the output at `position` sees."""
        turns, rest = divmod(position, len(self.firsts))
        return self.firsts[rest] + turns * self.advance

    def last(self, position: int) -> int:
        """Return the last pixel that the output at `position` sees."""
        turns, rest = divmod(position, len(self.lasts))
        return self.lasts[rest] + turns * self.advance

    def whole(self) -> Sight:
        """Return what a layer sees whose outputs all see everything."""
        return Sight((0,), (self.length - 1,), 0, self.length)

    def through(self, window: Window, length: int) -> Sight:
        """Return what the `length` outputs of a layer with this window see."""
        if window == _SAME:
            return self
        turns = len(self.firsts) // gcd(len(self.firsts), window.stride.numerator)
        period = min(window.stride.denominator * turns, length)
        if self.advance == 0 or period > MAX_PERIOD:
            return self.whole()
        begins = [position * window.stride - window.before for position in range(period)]
        firsts = tuple(self.first(ceil(begin)) for begin in begins)
        lasts = tuple(self.last(floor(begin + window.size - 1)) for begin in begins)
        return Sight(firsts, lasts, self._ahead(period * window.stride), self.length)

    def joined(self, other: Sight, length: int) -> Sight:
        """Return what an output sees that puts both together; there are `length` of them."""
        same_pace = self.advance * len(other.firsts) == other.advance * len(self.firsts)
        period = min(lcm(len(self.firsts), len(other.firsts)), length) if same_pace else length
        if 0 in (self.advance, other.advance) or period > MAX_PERIOD:
            return self.whole()
        hulls = [_hull(self._pair(p), other._pair(p)) for p in range(period)]
        firsts, lasts = zip(*hulls, strict=True)
        return Sight(firsts, lasts, self._ahead(period), self.length)

    def _pair(self, position: int) -> tuple[int, int]:
        return self.first(position), self.last(position)

    def _ahead(self, positions: int | Fraction) -> int:
        return max(round(Fraction(self.advance, len(self.firsts)) * positions), 1)


def _hull(one: tuple[int, int], other: tuple[int, int]) -> tuple[int, int]:
    """Return first and last pixel of both, an empty one left out."""
    if one[0] > one[1]:
        return other
    if other[0] > other[1]:
        return one
    return min(one[0], other[0]), max(one[1], other[1])
