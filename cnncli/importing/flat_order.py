"""In what order a vector has the values of an image, here and in frameworks that put the channels first."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import TYPE_CHECKING

from cnncli.config.schema.schema import Config
from cnncli.importing.graph import GraphImportError
from cnncli.layers.base import Merge, Shape
from cnncli.layers.graph import INPUT, Node, input_shapes, shapes

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

Order = tuple[Shape, ...]
"""Shapes of the images and vectors whose values stand in a vector one after the other."""

MOST_PARTS = 10_000
"""Most images and vectors that are followed within one vector."""


def orders(config: Config) -> list[Order]:
    """Return for each layer what its input is made of; empty where that is no vector.

    Raises:
        GraphImportError: If a layer arranges values so that frameworks disagree on which is which.
    """
    outputs = shapes(config.nodes, config.input_shape)
    made: list[Order] = []
    read: list[Order] = []
    for node, output in zip(config.nodes, outputs, strict=True):
        given = input_shapes(node, outputs, config.input_shape)
        inputs = [_of_input(config.input_shape) if i == INPUT else made[i] for i in node.inputs]
        read.append(inputs[0])
        made.append(_made(node, inputs, given, output))
    return read


def _of_input(shape: Shape) -> Order:
    return (shape,) if len(shape) == 1 else ()


def _made(node: Node, inputs: Sequence[Order], given: Sequence[Shape], output: Shape) -> Order:
    """Return what the vector that a layer makes is made of; empty for an image."""
    kind = node.layer.type_name()
    if len(output) > 1:
        if kind == "Reshape":
            raise GraphImportError(
                f"{node.name}: Reshape to {len(output)} axes has another meaning where channels come first",
                "Only Reshape to one axis can be imported with weights from elsewhere.",
            )
        return ()
    if kind in ("Flatten", "Reshape"):
        return inputs[0] or (given[0],)
    if kind == "Concatenate":
        return _joined(node, inputs)
    if isinstance(node.layer, Merge) and any(is_reordered(order) for order in inputs):
        if len(set(inputs)) > 1:
            raise GraphImportError(f"{node.name}: its inputs flatten images of different shapes")
        return inputs[0]
    if len(given[0]) == 1 and not node.layer.is_weighted_sum:
        return inputs[0]
    return (output,)


def _joined(node: Node, inputs: Sequence[Order]) -> Order:
    if sum(map(len, inputs)) > MOST_PARTS:
        raise GraphImportError(f"{node.name} joins more than {MOST_PARTS:,} vectors")
    return tuple(part for order in inputs for part in order)


def is_reordered(order: Order) -> bool:
    """Whether the vector has its values in another order where channels come first."""
    return any(len(part) > 1 and part[-1] > 1 and prod(part[:-1]) > 1 for part in order)


def channels_first_places(order: Order) -> npt.NDArray[np.intp]:
    """Return for each value of the vector at which place a framework with channels first has it."""
    import numpy as np

    places, begin = [], 0
    for part in order:
        size = prod(part)
        within = np.arange(begin, begin + size).reshape(part[-1], *part[:-1])
        places.append(np.moveaxis(within, 0, -1).ravel())
        begin += size
    return np.concatenate(places)
