"""A network walked from its input to its output: the shapes and the receptive field at every layer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cnncli.layers.base import Shape
from cnncli.layers.graph import Node, input_shapes, shapes, sized
from cnncli.layers.reach import Reach
from cnncli.layers.receptive_field import receptive_fields


@dataclass(frozen=True, slots=True)
class Step:
    """One layer on the way.

    Attributes:
        node: The layer and its place.
        input_shapes: Shapes of what it takes.
        output_shape: Shape of what it makes.
        field: What one output position sees along each axis of the image; None for all of it.
    """

    node: Node
    input_shapes: tuple[Shape, ...]
    output_shape: Shape
    field: tuple[Reach, ...] | None

    @property
    def input_shape(self) -> Shape:
        """Shape of the (first) input."""
        return self.input_shapes[0]


def walk(nodes: Sequence[Node], input_shape: Shape) -> tuple[Step, ...]:
    """Return one step a node, in the order of the nodes.

    Raises:
        ShapeError: If a layer cannot take its input.
    """
    nodes, made = sized(nodes, input_shape), shapes(nodes, input_shape)
    fields = receptive_fields(nodes, made, input_shape)
    return tuple(
        Step(node, input_shapes(node, made, input_shape), shape, field)
        for node, shape, field in zip(nodes, made, fields, strict=True)
    )
