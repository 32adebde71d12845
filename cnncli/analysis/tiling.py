"""How a large image is cut into tiles that a network computes one by one, with the result of the whole image."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import ceil, lcm
from typing import NamedTuple

from cnncli.analysis.memory import FLOAT32, most_alive
from cnncli.analysis.walk import walk
from cnncli.config.schema.schema import Config
from cnncli.config.schema.tasks import MASK
from cnncli.errors import CnnError, ShapeError
from cnncli.layers.base import Shape
from cnncli.layers.graph import Node, shapes
from cnncli.layers.receptive_field import View, views

LEAST = 256
"""Pixels along a side of a tile that are kept, where the memory allows: of smaller ones, more is computed twice."""

MOST_BYTES = 300e6
"""Bytes of a tile's activations that are needed at once."""


class Cut(NamedTuple):
    """A tile along one axis.

    Attributes:
        start: First pixel that is computed.
        first: First pixel that is kept.
        end: Pixel after the last that is kept.
    """

    start: int
    first: int
    end: int


@dataclass(frozen=True)
class Tiling:
    """How images are cut; the numbers hold for both axes.

    Attributes:
        side: Pixels along a side of a tile; of an image that is smaller, all of them.
        margin: Pixels at an inner edge of a tile that are not kept: they see what is beyond it.
        period: Pixels between places where the network's strides begin alike: tiles begin at multiples of it, and
            images are enlarged to them, their last row and column repeated.
    """

    side: int
    margin: int
    period: int

    def whole(self, length: int) -> int:
        """Return the length to which an image's side is enlarged."""
        return -(-length // self.period) * self.period

    def cuts(self, length: int) -> Iterator[Cut]:
        """Yield the tiles along an axis that is a multiple of the period; what they keep is all of it, once."""
        side = min(self.side, length)
        start = first = 0
        while start + side < length:
            end = start + side - self.margin
            yield Cut(start, first, end)
            start, first = min(end - self.margin, length - side), end
        yield Cut(start, first, length)


def tiling(config: Config) -> Tiling:
    """Return how a config's network computes large images in tiles.

    Raises:
        CnnError: If it cannot: if something in it looks at the whole image, or its output has a fixed size.
    """
    steps = walk(config.nodes, config.input_shape)
    for step in steps:
        if step.field is None or not all(reach.stride for reach in step.field) or step.node.layer.averages_places:
            raise CnnError(
                f"the network cannot compute an image in tiles: what {step.node.name} makes depends on the whole image",
                "Leave out --tiles: the image is then resized to the network's input.",
            )
    period = _period(config)
    output = config.outputs.get(MASK, len(config.nodes) - 1)
    side = -(-max(config.data.image_size) // period) * period
    margin = -(-_margin(config, output, side, period) // period) * period
    _refuse_uneven(config, side, period)
    return Tiling(_side(config, margin, period), margin, period)


def _period(config: Config) -> int:
    """Return the pixels after which all strides begin alike.

    A plane that is resized to the size of another one begins alike after few pixels only where the strides before it
    divide the image's side: it is looked at in such an image.
    """
    longest = max(config.data.image_size)
    first = next((i for i, node in enumerate(config.nodes) if node.like is not None), len(config.nodes))
    period = _common_advance(config.nodes[:first], config.input_shape)
    if first == len(config.nodes):
        return period
    side = -(-longest // period) * period
    return lcm(period, _common_advance(config.nodes, (side, side, config.data.channels)))


def _common_advance(nodes: Sequence[Node], input_shape: Shape) -> int:
    found = views(nodes, _shapes(nodes, input_shape), input_shape)
    return lcm(*(sight.advance for view in found for sight in view.sights))


def _refuse_uneven(config: Config, side: int, period: int) -> None:
    """Raise CnnError if a layer's windows are others in a larger image: a plane of fixed size, resized again."""
    smaller, larger = (walk(config.nodes, (length, length, config.data.channels)) for length in (side, side + period))
    for one, other in zip(smaller, larger, strict=True):
        if one.node.layer.windows(one.input_shape) != other.node.layer.windows(other.input_shape):
            raise CnnError(
                f"the network cannot compute an image in tiles: what {one.node.name} makes of a place depends on the "
                "image's size",
                "Tiles require layers that divide or multiply the image's size by the same number whatever it is.",
            )


def _margin(config: Config, output: int, side: int, period: int) -> int:
    """Return the pixels beyond its own place that an output sees at most, on any side.

    Raises:
        CnnError: If the output does not grow with the image.
    """
    made, larger = (_made(config, length) for length in (side, side + period))
    strides = [side / length for length in made[output][:2]]
    if any(length * stride != side + period for length, stride in zip(larger[output][:2], strides, strict=True)):
        raise CnnError(
            f"the network cannot compute an image in tiles: of {side} pixels it makes {made[output][0]} places, of "
            f"{side + period} pixels {larger[output][0]}",
            "Tiles require layers that keep the image's size, or divide it: padding: same, and no Resizing.",
        )
    view = views(config.nodes, made, (side, side, config.data.channels))[output]
    return max(_beyond(view, axis, stride) for axis, stride in enumerate(strides))


def _made(config: Config, side: int) -> Sequence[Shape]:
    return _shapes(config.nodes, (side, side, config.data.channels))


def _shapes(nodes: Sequence[Node], input_shape: Shape) -> Sequence[Shape]:
    try:
        found = shapes(nodes, input_shape)
    except ShapeError as error:
        raise CnnError(f"the network cannot compute an image in tiles: {error.message}") from error
    return found


def _beyond(view: View, axis: int, stride: float) -> int:
    """Return how far outputs see beyond their own place along an axis; interpolation between two counts too."""
    sight = view.sights[axis]
    places = range(len(sight.firsts))
    before = max(place * stride - sight.first(place) for place in places)
    after = max(sight.last(place) + 1 - (place + 1) * stride for place in places)
    return ceil(max(before, after, 0)) + (ceil(stride) if stride > 1 else 0)


def _side(config: Config, margin: int, period: int) -> int:
    """Return the side of a tile: as large as the memory allows, at least a period is kept."""
    kept = -(-max(LEAST, 2 * margin, *config.data.image_size) // period) * period
    while kept > period and _bytes(config, kept + 2 * margin) > MOST_BYTES:
        kept = -(-kept // (2 * period)) * period if kept > 2 * period else period
    return kept + 2 * margin


def _bytes(config: Config, side: int) -> int:
    shape = (side, side, config.data.channels)
    return FLOAT32 * most_alive(walk(config.nodes, shape), shape, config.output_nodes)
