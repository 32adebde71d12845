"""A network walked from its input to its output: the shapes and receptive field at every layer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cnncli.analysis.receptive import Field, merged
from cnncli.layers.base import Shape
from cnncli.layers.graph import INPUT, Node, shapes


@dataclass(frozen=True, slots=True)
class Step:
    """One layer on the way.

    Attributes:
        node: The layer and its place.
        input_shapes: Shapes of what it takes.
        output_shape: Shape of what it makes.
        input_field: Receptive field of what it takes.
        field: Receptive field of what it makes, or None after a reshape of positions that had seen
            more than themselves.
    """

    node: Node
    input_shapes: tuple[Shape, ...]
    output_shape: Shape
    input_field: Field | None
    field: Field | None

    @property
    def input_shape(self) -> Shape:
        """Shape of the (first) input."""
        return self.input_shapes[0]


def walk(nodes: Sequence[Node], input_shape: Shape) -> tuple[Step, ...]:
    """Return one step a node, in the order of the nodes.

    Raises:
        ShapeError: If a layer cannot take its input.
    """
    steps: list[Step] = []
    outputs = shapes(nodes, input_shape)
    for node, output_shape in zip(nodes, outputs, strict=True):
        taken = tuple(input_shape if i == INPUT else outputs[i] for i in node.inputs)
        fields = [Field.of_input(input_shape) if i == INPUT else steps[i].field for i in node.inputs]
        known = [field for field in fields if field is not None]
        comparable = len(known) == len(fields) and len({field.lengths for field in known}) == 1
        before = merged(known) if comparable else None
        after = _field(node, taken[0], output_shape, before)
        steps.append(Step(node, taken, output_shape, before, after))
    return tuple(steps)


def _field(node: Node, taken: Shape, made: Shape, before: Field | None) -> Field | None:
    if before is None or len(node.inputs) > 1:
        return before
    if node.layer.type_name() == "Reshape" and not before.whole:
        # New axes: a field can be told in them only where no position has been mixed with another yet.
        return Field.of_input(made) if set(before.size) == {1} else None
    windows = node.layer.windows(taken)
    return before.joined(taken[:-1]) if windows is None else before.through(windows)
