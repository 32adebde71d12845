"""Which part of the image each layer's outputs see."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from math import ceil, floor, gcd, lcm
from typing import NamedTuple

from cnncli.layers.base import Shape, Window
from cnncli.layers.graph import INPUT, Node, input_shapes
from cnncli.layers.reshaping import Reshape

MAX_PERIOD = 4096
"""Longest pattern that is followed; beyond it, along an axis enlarged that much, the whole axis counts as seen."""


class Reach(NamedTuple):
    """What one output sees of the image along one axis, padding counted as if the image went on there.

    Attributes:
        size: Pixels from the first seen to the last; the largest of all outputs, where layers that enlarge
            make them differ.
        stride: Pixels between what neighbouring outputs see, on average.
        start: First pixel that the first output sees; negative in the padding.
    """

    size: int
    stride: Fraction
    start: int


@dataclass(frozen=True)
class _Axis:
    """First and last pixel that each output sees: a pattern that repeats `advance` pixels further on."""

    firsts: tuple[int, ...] = (0,)
    lasts: tuple[int, ...] = (0,)
    advance: int = 1

    @property
    def period(self) -> int:
        return len(self.firsts)

    @property
    def reach(self) -> Reach:
        size = max(last - first + 1 for first, last in zip(self.firsts, self.lasts, strict=True))
        return Reach(size, Fraction(self.advance, self.period), self.firsts[0])

    def first(self, position: int) -> int:
        turns, rest = divmod(position, self.period)
        return self.firsts[rest] + turns * self.advance

    def last(self, position: int) -> int:
        turns, rest = divmod(position, self.period)
        return self.lasts[rest] + turns * self.advance

    def through(self, window: Window, length: int) -> _Axis | None:
        """Return what the `length` outputs of a layer with this window see."""
        stride = window.stride
        turns = self.period // gcd(self.period, stride.numerator)
        period = min(stride.denominator * turns, length)
        if period > MAX_PERIOD:
            return None
        begins = [position * stride - window.before for position in range(period)]
        firsts = tuple(self.first(ceil(begin)) for begin in begins)
        lasts = tuple(self.last(floor(begin + window.size - 1)) for begin in begins)
        return _Axis(firsts, lasts, round(self.advance * stride * period / self.period))

    def joined(self, other: _Axis, length: int) -> _Axis | None:
        """Return what an output sees that sees what both see."""
        same_pace = self.advance * other.period == other.advance * self.period
        period = min(lcm(self.period, other.period), length) if same_pace else length
        if period > MAX_PERIOD:
            return None
        seen = [
            [(a.first(p), a.last(p)) for a in (self, other) if a.first(p) <= a.last(p)]
            or [(self.first(p), self.last(p))]
            for p in range(period)
        ]
        firsts, lasts = tuple(min(s)[0] for s in seen), tuple(max(last for _, last in s) for s in seen)
        return _Axis(firsts, lasts, round(Fraction(self.advance * period, self.period)))


@dataclass(frozen=True)
class _View:
    """What a node's outputs see.

    Attributes:
        seen: For each axis of the image, what is seen of it; None for all.
        axes: For each spatial axis of the node's output, the axis of the image it runs along, or None.
    """

    seen: tuple[_Axis | None, ...]
    axes: tuple[int | None, ...]

    def field(self, image: Shape) -> tuple[Reach, ...] | None:
        """Return the reach along each axis of the image, None if all is seen."""
        if not any(self.seen):
            return None
        return tuple(
            axis.reach if axis else Reach(length, Fraction(length), 0)
            for axis, length in zip(self.seen, image, strict=False)
        )

    def through(self, windows: Sequence[Window], output_shape: Shape) -> _View:
        """Return what a layer with these windows sees."""
        seen = list(self.seen)
        for image_axis, window, length in zip(self.axes, windows, output_shape, strict=False):
            axis = None if image_axis is None else seen[image_axis]
            if image_axis is not None and axis is not None:
                seen[image_axis] = axis.through(window, length)
        return replace(self, seen=tuple(seen))

    def joined(self, other: _View, output_shape: Shape) -> _View:
        """Return what a node sees that puts both together."""
        if self.axes != other.axes:
            return _everything(self, output_shape)
        lengths = {axis: n for axis, n in zip(self.axes, output_shape, strict=False) if axis is not None}
        pairs = enumerate(zip(self.seen, other.seen, strict=True))
        return replace(self, seen=tuple(a.joined(b, lengths.get(i, 1)) if a and b else None for i, (a, b) in pairs))

    def reshaped(self, input_shape: Shape, output_shape: Shape) -> _View:
        """Return what is seen after a Reshape: leading axes that stay, and such of length 1, keep their place."""
        axes: list[int | None] = []
        rest = list(zip(input_shape[:-1], self.axes, strict=True))
        for length in output_shape[:-1]:
            while rest and rest[0][0] == 1 != length:
                rest.pop(0)
            axes.append(rest.pop(0)[1] if rest and rest[0][0] == length else None)
            if axes[-1] is None and length != 1:
                rest = []
        whole = {axis for axis in self.axes if axis is not None and axis not in axes}
        single = {axis for n, axis in zip(input_shape, self.axes, strict=False) if n == 1}
        seen = tuple(None if i in whole - single else axis for i, axis in enumerate(self.seen))
        return _View(seen, tuple(axes))


def _everything(view: _View, output_shape: Shape) -> _View:
    return _View((None,) * len(view.seen), (None,) * (len(output_shape) - 1))


def receptive_fields(
    nodes: Sequence[Node], shapes: Sequence[Shape], input_shape: Shape
) -> tuple[tuple[Reach, ...] | None, ...]:
    """Return for each node what its outputs see along each axis of the image; None for the whole image.

    Branches count together: from the first pixel that any of them sees to the last. Normalizations count as
    seeing one position, whatever their statistics are taken from.

    Args:
        nodes: The network.
        shapes: Its nodes' output shapes.
        input_shape: The image's: (height, width, channels).
    """
    rank = len(input_shape) - 1
    image = _View((_Axis(),) * rank, tuple(range(rank)))
    views: list[_View] = []
    for node, output_shape in zip(nodes, shapes, strict=True):
        given = [image if i == INPUT else views[i] for i in node.inputs]
        view = given[0]
        for other in given[1:]:
            view = view.joined(other, output_shape)
        views.append(_seen(node, view, input_shapes(node, shapes, input_shape)[0], output_shape))
    return tuple(view.field(input_shape) for view in views)


def _seen(node: Node, view: _View, input_shape: Shape, output_shape: Shape) -> _View:
    if isinstance(node.layer, Reshape):
        return view.reshaped(input_shape, output_shape)
    windows = node.layer.windows(input_shape)
    return _everything(view, output_shape) if windows is None else view.through(windows, output_shape)
