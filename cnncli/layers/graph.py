"""A network as a flat list of nodes: what both the analysis and the engine walk."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from cnncli.errors import CnnError, ShapeError
from cnncli.layers.base import Layer, Merge, Shape, Spec
from cnncli.layers.composites import Block, Parallel, Repeat, Residual
from cnncli.layers.merging import Add, Concatenate
from cnncli.layers.named import snake_case
from cnncli.layers.sliding import times

INPUT = -1
"""Index that stands for the network's input among a node's inputs."""

MAX_NODES = 20_000
"""More layers than this are taken for a mistake (repeats within repeats)."""


@dataclass(frozen=True)
class Node:
    """One layer in its place.

    Attributes:
        name: Unique name in the network; also the Keras layer's name.
        layer: The layer itself; composites never appear here, what they mean does.
        inputs: Indices of the nodes whose outputs it takes (`INPUT` for the network's input); each is
            smaller than the node's own index.
        path: Where the config describes it, "model.layers[3].Conv2D".
    """

    name: str
    layer: Layer
    inputs: tuple[int, ...]
    path: str


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
    """A node that cannot take the shape it is given.

    Attributes:
        node: The node.
        trail: Names and output shapes of what came before it, from the network's input ("input").
    """

    def __init__(self, error: ShapeError, node: Node, trail: Sequence[tuple[str, Shape]]) -> None:
        super().__init__(error.message, error.hint, error.code)
        self.node = node
        self.trail = tuple(trail)

    @property
    def sizes(self) -> str:
        """The sizes that led here, steps that change nothing left out: "input 28×28×1 → conv2d 24×24×6"."""
        steps = [step for i, step in enumerate(self.trail) if i == 0 or step[1] != self.trail[i - 1][1]]
        return " → ".join(f"{name} {times(shape)}" for name, shape in steps)


def flatten(layers: Sequence[Spec], path: str = "model.layers") -> tuple[Node, ...]:
    """Return the nodes of a list of layers, composites expanded, each after its inputs.

    A layer without a name gets the one Keras would give it: conv2d, conv2d_1, …; a name inside a
    `Repeat` or a block is numbered in the same way.

    Args:
        layers: Layers and composites, in the order in which they are computed.
        path: Where the config describes the list.

    Raises:
        GraphError: If two layers have the same name, or there are too many.
    """
    layout = _Layout(_given_names(layers))
    layout.sequence(layers, INPUT, path, shared=False)
    return tuple(layout.nodes)


def input_shapes(node: Node, shapes: Sequence[Shape], input_shape: Shape) -> tuple[Shape, ...]:
    """Return the shapes that a node takes, from all nodes' output shapes and the network's input shape."""
    return tuple(input_shape if i == INPUT else shapes[i] for i in node.inputs)


def shapes(nodes: Sequence[Node], input_shape: Shape) -> tuple[Shape, ...]:
    """Return each node's output shape for a network input of `input_shape`.

    Raises:
        NodeShapeError: If a layer cannot take its input's shape.
    """
    outputs: list[Shape] = []
    for node in nodes:
        given = input_shapes(node, outputs, input_shape)
        try:
            outputs.append(_output_shape(node.layer, given))
        except ShapeError as error:
            raise NodeShapeError(error, node, _trail(node, nodes, outputs, input_shape)) from None
    return tuple(outputs)


def _output_shape(layer: Layer, given: Sequence[Shape]) -> Shape:
    return layer.merged_shape(given) if isinstance(layer, Merge) else layer.output_shape(given[0])


def _trail(node: Node, nodes: Sequence[Node], outputs: Sequence[Shape], input_shape: Shape) -> list[tuple[str, Shape]]:
    trail: list[tuple[str, Shape]] = []
    index = node.inputs[0]
    while index != INPUT:
        trail.append((nodes[index].name, outputs[index]))
        index = nodes[index].inputs[0]
    return [("input", input_shape), *reversed(trail)]


def _given_names(layers: Sequence[Spec]) -> set[str]:
    return {layer.name for layer in _leaves(layers) if layer.name is not None}


def _leaves(parts: Sequence[Spec]) -> Iterator[Layer]:
    for part in parts:
        if isinstance(part, Layer):
            yield part
        elif isinstance(part, Parallel):
            for branch in part.branches:
                yield from _leaves(branch)
        elif isinstance(part, Residual):
            yield from _leaves((*part.layers, *part.shortcut))
        elif isinstance(part, (Repeat, Block)):
            yield from _leaves(part.layers)


class _Layout:
    """The nodes so far, and the names in use."""

    def __init__(self, given_names: set[str]) -> None:
        self.nodes: list[Node] = []
        self.given_names = given_names
        self.paths: dict[str, str] = {}
        self.counts: dict[str, int] = {}

    def sequence(self, parts: Sequence[Spec], source: int, path: str, shared: bool) -> int:
        """Lay out a list of parts one after another from node `source`; return the last node's index."""
        for position, part in enumerate(parts):
            label = part.block if isinstance(part, Block) else part.type_name()
            source = self.part(part, source, f"{path}[{position}].{label}", shared)
        return source

    def part(self, part: Spec, source: int, path: str, shared: bool) -> int:
        """Lay out one part; return the index of the node whose output it is.

        Args:
            part: A layer or a composite.
            source: Index of the node whose output it takes.
            path: Where the config describes it.
            shared: Whether the config describes it once for several places, so that its name may recur.
        """
        if isinstance(part, Layer):
            return self.node(part, (source,), path, shared)
        if isinstance(part, Parallel):
            ends = [self.sequence(b, source, f"{path}[{i}]", shared) for i, b in enumerate(part.branches)]
            return self.node(Concatenate(), tuple(ends), path, shared)
        if isinstance(part, Residual):
            end = self.sequence(part.layers, source, f"{path}.layers", shared)
            shortcut = self.sequence(part.shortcut, source, f"{path}.shortcut", shared)
            return self.node(Add(), (end, shortcut), path, shared)
        if isinstance(part, Repeat):
            return self.repeat(part, source, path)
        if isinstance(part, Block):
            return self.sequence(part.layers, source, f"{path}.layers", shared=True)
        raise TypeError(part)

    def repeat(self, part: Repeat, source: int, path: str) -> int:
        """Lay out the layers of a `Repeat` as often as it says."""
        for _ in range(part.times):
            before, source = source, self.sequence(part.layers, source, f"{path}.layers", shared=True)
            if source == before:  # blocks without layers: nothing to repeat
                break
        return source

    def node(self, layer: Layer, inputs: tuple[int, ...], path: str, shared: bool) -> int:
        """Add a node; return its index."""
        if len(self.nodes) == MAX_NODES:
            raise GraphError(f"the network has more than {MAX_NODES:,} layers", "use fewer repetitions", path, "E029")
        name = self._name(layer, path, shared)
        self.paths[name] = path
        self.nodes.append(Node(name, layer, inputs, path))
        return len(self.nodes) - 1

    def _name(self, layer: Layer, path: str, shared: bool) -> str:
        if layer.name is not None and layer.name not in self.paths:
            return layer.name
        if layer.name is not None and not shared:
            first = self.paths[layer.name]
            raise GraphError(
                f'two layers are named "{layer.name}"; the first is {first}', "rename one of them", path, "E031"
            )
        return self._numbered(layer.name or snake_case(layer.type_name()))

    def _numbered(self, stem: str) -> str:
        while True:
            count = self.counts.get(stem, 0)
            self.counts[stem] = count + 1
            name = f"{stem}_{count}" if count else stem
            if name not in self.paths and name not in self.given_names:
                return name
