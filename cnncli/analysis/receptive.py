"""Receptive fields: which part of the input one number of a layer's output can depend on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from math import floor
from typing import NamedTuple

from cnncli.layers.base import Shape, Window

Length = int | Fraction


class Axis(NamedTuple):
    """The field along one axis of the input, in the input's positions.

    Attributes:
        size: Positions from the first to the last that the output depends on, padding included.
        stride: Distance between the fields of neighbouring outputs.
        start: First position of the first output's field; negative where padding comes first.
    """

    size: Length = 1
    stride: Length = 1
    start: Length = 0


@dataclass(frozen=True, slots=True)
class Field:
    """The receptive field of one output position.

    Attributes:
        axes: One entry for each spatial axis of the input.
        lengths: The input's own positions along each axis.
        whole: Whether every output depends on all positions that any earlier output depends on, as
            after Flatten; the sizes are then those within the input.
    """

    axes: tuple[Axis, ...]
    lengths: Shape
    whole: bool = False

    @classmethod
    def of_input(cls, input_shape: Shape) -> Field:
        """Return the field of the input itself: each position sees itself."""
        return cls(tuple(Axis() for _ in input_shape[:-1]), input_shape[:-1])

    @property
    def size(self) -> tuple[int, ...]:
        """Whole positions along each axis."""
        return tuple(floor(axis.size) for axis in self.axes)

    @property
    def stride(self) -> tuple[float, ...]:
        """Distance between neighbouring fields along each axis."""
        return tuple(_number(axis.stride) for axis in self.axes)

    @property
    def start(self) -> tuple[float, ...]:
        """First position of the first field along each axis."""
        return tuple(_number(axis.start) for axis in self.axes)

    def through(self, windows: Sequence[Window]) -> Field:
        """Return the field after a layer whose outputs see `windows` of this one's."""
        if self.whole or len(windows) != len(self.axes):
            return self
        return replace(self, axes=tuple(_slide(axis, window) for axis, window in zip(self.axes, windows, strict=True)))

    def joined(self, positions: Shape) -> Field:
        """Return the field after a layer whose every output sees all `positions` of this one's."""
        if self.whole:
            return self
        triples = zip(self.axes, positions, self.lengths, strict=True)
        return replace(self, axes=tuple(_cover(*triple) for triple in triples), whole=True)


def merged(fields: Sequence[Field]) -> Field:
    """Return the field of a layer that puts several inputs together: what any of them sees.

    Args:
        fields: Fields in the same input.
    """
    if len(set(fields)) == 1:
        return fields[0]
    axes = tuple(_hull(axes) for axes in zip(*(field.axes for field in fields), strict=True))
    return Field(axes, fields[0].lengths, any(field.whole for field in fields))


def _slide(axis: Axis, window: Window) -> Axis:
    return Axis(
        axis.size + (window.size - 1) * axis.stride,
        axis.stride * window.stride,
        axis.start - window.before * axis.stride,
    )


def _cover(axis: Axis, count: int, length: int) -> Axis:
    first = max(axis.start, 0)
    last = min(axis.start + (count - 1) * axis.stride + axis.size, length)
    return Axis(last - first, 0, first)


def _hull(axes: Sequence[Axis]) -> Axis:
    first = min(axis.start for axis in axes)
    last = max(axis.start + axis.size for axis in axes)
    return Axis(last - first, max(axis.stride for axis in axes), first)


def _number(length: Length) -> float:
    return int(length) if length == int(length) else float(length)
