"""A network as a flat list of nodes: what both the analysis and the engine walk."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from cnncli.errors import CnnError, ShapeError
from cnncli.layers.base import Layer, Merge, Shape
from cnncli.layers.resizing import Resizing
from cnncli.layers.sliding import times

INPUT = -1
"""Index that stands for the network's input among a node's inputs."""

INPUT_NAME = "input"
"""What layers call the network's input."""

MOST_PROBLEMS = 20
"""Problems of one kind that are looked into."""

LONGEST_AXIS = 10**15
"""Positions along an axis, or channels, that are more than any computer holds."""


@dataclass(frozen=True)
class Node:
    """One layer in its place.

    Attributes:
        name: Unique name in the network; also the Keras layer's name.
        layer: The layer itself; composites never appear here, what they mean does.
        inputs: Indices of the nodes whose outputs it takes (`INPUT` for the network's input); each is
            smaller than the node's own index.
        path: Where the config describes it, "model.layers[3].Conv2D".
        named: Whether the config names its inputs; else they follow from its place.
        like: Index of the node whose height and width it takes, without reading its values; None for most.
    """

    name: str
    layer: Layer
    inputs: tuple[int, ...]
    path: str
    named: bool = False
    like: int | None = None

    @property
    def needed(self) -> tuple[int, ...]:
        """Indices of the nodes whose outputs or sizes it takes."""
        return self.inputs if self.like is None else (*self.inputs, self.like)


class GraphError(CnnError):
    """A network that cannot be laid out.

    Args:
        message: What is wrong.
        hint: What to do.
        path: The layer's path in the config.
        code: Number of the error's page.
    """

    def __init__(self, message: str, hint: str, path: str, code: str) -> None:
        super().__init__(message, hint, code)
        self.path = path


class NodeShapeError(ShapeError):
    """A node that cannot take the shapes it is given.

    Attributes:
        node: The node.
        trails: For each input, names and output shapes of what came before, from the network's input ("input").
    """

    def __init__(self, error: ShapeError, node: Node, trails: Sequence[Sequence[tuple[str, Shape]]]) -> None:
        super().__init__(error.message, error.hint, error.code)
        self.node = node
        self.trails = tuple(tuple(trail) for trail in trails)

    @property
    def sizes(self) -> str:
        """The sizes that led here, steps that change nothing left out: "input 28×28×1 → conv2d 24×24×6".

        Of several inputs each has its way, from where they part.
        """
        if len(self.trails) == 1:
            return _way(self.trails[0])
        common = min(_common(self.trails[0], trail) for trail in self.trails[1:])
        return "; ".join(_way(trail[common - 1 :]) for trail in self.trails)


def _common(one: Sequence[object], other: Sequence[object]) -> int:
    """Return how many steps two ways begin with alike."""
    pairs = zip(one, other, strict=False)
    return next((i for i, (a, b) in enumerate(pairs) if a != b), min(len(one), len(other)))


def _way(trail: Sequence[tuple[str, Shape]]) -> str:
    steps = [step for i, step in enumerate(trail) if i == 0 or step[1] != trail[i - 1][1]]
    return " → ".join(f"{name} {times(shape)}" for name, shape in steps)


def leading_to(nodes: Sequence[Node], *ends: int) -> tuple[Node, ...]:
    """Return a network without the nodes that some of its nodes do not need; one of these is the last."""
    needed = set(ends)
    for index in range(max(ends), -1, -1):
        if index in needed:
            needed.update(nodes[index].needed)
    kept = sorted(needed - {INPUT})
    places = {INPUT: INPUT, **{index: place for place, index in enumerate(kept)}}
    return tuple(_moved(nodes[index], places) for index in kept)


def _moved(node: Node, places: Mapping[int, int]) -> Node:
    """Return a node whose inputs have other indices."""
    like = None if node.like is None else places[node.like]
    return replace(node, inputs=tuple(places[i] for i in node.inputs), like=like)


def logits_nodes(nodes: Sequence[Node]) -> tuple[Node, ...]:
    """Return the network without a softmax at its end."""
    last = nodes[-1]
    kind = type(last.layer).__name__
    activation = getattr(last.layer, "activation", None)
    if kind == "Softmax" or (kind == "Activation" and activation == "softmax"):
        return tuple(nodes[:-1])
    if activation == "softmax":
        linear = last.layer.model_copy(update={"activation": "linear"})
        return (*nodes[:-1], replace(last, layer=linear))
    return tuple(nodes)


def input_shapes(node: Node, shapes: Sequence[Shape], input_shape: Shape) -> tuple[Shape, ...]:
    """Return the shapes that a node takes, from all nodes' output shapes and the network's input shape."""
    return tuple(input_shape if i == INPUT else shapes[i] for i in node.inputs)


def shapes(nodes: Sequence[Node], input_shape: Shape) -> tuple[Shape, ...]:
    """Return each node's output shape for a network input of `input_shape`.

    Raises:
        NodeShapeError: If a layer cannot take its input's shape.
    """
    outputs, problems = measure(nodes, input_shape)
    if problems:
        raise problems[0]
    return tuple(shape for shape in outputs if shape is not None)


def measure(nodes: Sequence[Node], input_shape: Shape) -> tuple[list[Shape | None], list[NodeShapeError]]:
    """Return each node's output shape, None from where a layer cannot take its input on, and what is wrong there."""
    outputs: list[Shape | None] = []
    problems: list[NodeShapeError] = []
    for node in nodes:
        needed = [input_shape if i == INPUT else outputs[i] if i > INPUT else None for i in node.needed]
        known = [shape for shape in needed if shape is not None]
        shape = None
        if len(known) == len(needed):
            try:
                shape = _output_shape(_sized(node, known[-1]).layer, known[: len(node.inputs)])
            except ShapeError as error:
                if len(problems) < MOST_PROBLEMS:
                    trails = [_trail(i, nodes, outputs, input_shape) for i in dict.fromkeys(node.inputs)]
                    problems.append(NodeShapeError(error, node, trails))
        outputs.append(shape)
    return outputs, problems


def sized(nodes: Sequence[Node], input_shape: Shape) -> tuple[Node, ...]:
    """Return the nodes with a height and width where they take those of another node.

    Args:
        nodes: The network.
        input_shape: The size at which it is computed.
    """
    if all(node.like is None for node in nodes):
        return tuple(nodes)
    return tuple(_sized(node, shape) for node, shape in zip(nodes, shapes(nodes, input_shape), strict=True))


def _sized(node: Node, shape: Shape) -> Node:
    """Return a node with the height and width of `shape` where it takes those of another node."""
    if node.like is None or not isinstance(node.layer, Resizing):
        return node
    return replace(node, layer=node.layer.sized(shape))


def _output_shape(layer: Layer, given: Sequence[Shape]) -> Shape:
    shape = layer.merged_shape(given) if isinstance(layer, Merge) else layer.output_shape(given[0])
    if max(shape, default=0) > LONGEST_AXIS:
        raise ShapeError(
            f"{layer.type_name()} makes an axis longer than {LONGEST_AXIS:,}",
            "merge fewer layers, or enlarge less",
            "E043",
        )
    return shape


def _trail(
    index: int, nodes: Sequence[Node], outputs: Sequence[Shape | None], input_shape: Shape
) -> list[tuple[str, Shape]]:
    """Return the way to a node, by way of the first input where there are several."""
    trail: list[tuple[str, Shape]] = []
    while index != INPUT:
        trail.append((nodes[index].name, outputs[index] or ()))
        index = nodes[index].inputs[0]
    return [(INPUT_NAME, input_shape), *reversed(trail)]
