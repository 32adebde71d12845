"""From layers as a config lists them to nodes: composites expanded, inputs by number, every node with a name."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from cnncli.layers.base import Layer, Merge, Spec
from cnncli.layers.composites import Block, Layers, Parallel, Repeat, Residual
from cnncli.layers.graph import INPUT, GraphError, Node
from cnncli.layers.merging import Concatenate, Elementwise, ResidualAdd
from cnncli.layers.named import snake_case
from cnncli.layers.references import References

MAX_NODES = 20_000
"""A network of more layers is taken for a mistake: repeats within repeats."""


@dataclass(frozen=True)
class Layout:
    """A network laid out.

    Attributes:
        nodes: Its nodes, each after its inputs; one with a problem may have an input below `INPUT`.
        outputs: Index of the node of each named output; empty where the last layer is the only one.
        problems: What is wrong with names and inputs.
    """

    nodes: tuple[Node, ...]
    outputs: dict[str, int]
    problems: tuple[GraphError, ...]


def lay_out(
    layers: Sequence[Spec],
    outputs: Mapping[str, str] | None = None,
    path: str = "model.layers",
    left_out: Collection[str] | None = None,
    heads: Mapping[str, Sequence[Spec]] | None = None,
) -> Layout:
    """Return the nodes of a list of layers, composites expanded, and all that is wrong with names and inputs.

    A layer without a name gets the one that Keras would give it: conv2d, conv2d_1, …; names inside a `Repeat` or a
    block are numbered in the same way.

    Args:
        layers: Layers and composites.
        outputs: Name of the layer of each output, by the output's name; without any, the last layer is the output.
        path: Where the config describes the list.
        left_out: Names that missing layers may have, where these are not all; None where they are.
        heads: Lists of layers that each go on from the last of `layers`, by the name of the output that they end in.

    Raises:
        GraphError: If there are too many layers.
    """
    every = [*layers, *(layer for head in (heads or {}).values() for layer in head)]
    plan = _Plan(_given_names(every), left_out or ())
    end = plan.sequence(layers, _Source((INPUT,)), path, shared=False)
    ends = {name: plan.head(name, head, end) for name, head in (heads or {}).items()}
    plan.references.follow_later_names()
    found = {name: plan.references.output(name, layer) for name, layer in (outputs or {}).items()} | ends
    if left_out is None and not plan.problems:
        plan.references.find_unread(found.values() if found else end.indices)
    return Layout(tuple(plan.nodes), found, tuple(plan.problems))


def flatten(layers: Sequence[Spec], path: str = "model.layers") -> tuple[Node, ...]:
    """Return the nodes of a list of layers, composites expanded, each after its inputs.

    Args:
        layers: Layers and composites, as for `lay_out`.
        path: Where the config describes the list.

    Raises:
        GraphError: If two layers have the same name, one reads a layer that it cannot read, or there are too many.
    """
    layout = lay_out(layers, path=path)
    if layout.problems:
        raise layout.problems[0]
    return layout.nodes


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
        elif isinstance(part, (Repeat, Block, Layers)):
            yield from _leaves(part.layers)


class _Source(NamedTuple):
    """What the next layer reads.

    Attributes:
        indices: Nodes; `INPUT` for the network's input; a smaller number for a layer that may come later.
        named: Whether the config names them.
    """

    indices: tuple[int, ...]
    named: bool = False


class _Plan:
    """The nodes so far, their names, and what is wrong with them."""

    def __init__(self, given_names: set[str], left_out: Collection[str]) -> None:
        self.nodes: list[Node] = []
        self.problems: list[GraphError] = []
        self.references = References(self.nodes, given_names, left_out, self.problems)
        self.given_names = given_names
        self.paths: dict[str, str] = {}
        self.counts: dict[str, int] = {}

    def sequence(self, parts: Sequence[Spec], source: _Source, path: str, shared: bool) -> _Source:
        """Lay out a list of parts one after another from `source`; return what the next one reads."""
        for position, part in enumerate(parts):
            place = f"{path}[{position}]"
            if not isinstance(part, Layers):
                place += f".{part.block if isinstance(part, Block) else part.type_name()}"
            source = self.part(part, source, place, shared)
        return source

    def head(self, name: str, parts: Sequence[Spec], trunk: _Source) -> int:
        """Lay out the layers of an output from where the network's own end; return the node that they end in."""
        end = self.sequence(parts, trunk, f"model.heads.{name}", shared=False)
        return end.indices[0]

    def part(self, part: Spec, source: _Source, path: str, shared: bool) -> _Source:
        """Lay out one part; return its output.

        Args:
            part: A layer or a composite.
            source: What it reads where it names nothing.
            path: Where the config describes it.
            shared: Whether the config describes it once for several places, so that its name may recur.
        """
        inputs = getattr(part, "inputs", None)
        if inputs is not None:
            places = [f"{path}.inputs[{i}]" if len(inputs) > 1 else f"{path}.inputs" for i in range(len(inputs))]
            source = _Source(tuple(map(self.references.lookup, inputs, places)), named=True)
        if isinstance(part, Layer):
            return self.node(part, source, path, shared)
        if isinstance(part, Parallel):
            within = f"{path}.branches" if inputs else path
            ends = [self.sequence(b, source, f"{within}[{i}]", shared) for i, b in enumerate(part.branches)]
            return self.node(Concatenate(), _joined(ends), path, shared)
        if isinstance(part, Residual):
            end = self.sequence(part.layers, source, f"{path}.layers", shared)
            shortcut = self.sequence(part.shortcut, source, f"{path}.shortcut", shared)
            return self.node(ResidualAdd(), _joined([end, shortcut]), path, shared)
        if isinstance(part, Repeat):
            return self.repeat(part, source, path)
        if isinstance(part, Block):
            return self.use(part.layers, source, f"{path}.layers")
        if isinstance(part, Layers):
            return self.sequence(part.layers, source, path, shared)
        raise TypeError(part)

    def repeat(self, part: Repeat, source: _Source, path: str) -> _Source:
        """Lay out the layers of a `Repeat` as often as it says."""
        for _ in range(part.times):
            before, source = source, self.use(part.layers, source, f"{path}.layers")
            if source == before:  # blocks without layers: nothing to repeat
                break
        return source

    def use(self, layers: Sequence[Spec], source: _Source, path: str) -> _Source:
        """Lay out one use of a block or one turn of a `Repeat`, whose names mean its own layers first."""
        with self.references.scope():
            return self.sequence(layers, source, path, shared=True)

    def node(self, layer: Layer, source: _Source, path: str, shared: bool) -> _Source:
        """Add a node; return its output."""
        if len(self.nodes) == MAX_NODES:
            raise GraphError(f"the network has more than {MAX_NODES:,} layers", "use fewer repetitions", path, "E029")
        index, name = len(self.nodes), self._name(layer, path, shared)
        like = getattr(layer, "like", None)
        size = None if like is None else self.references.lookup(like, f"{path}.like")
        self.paths[name] = path
        if layer.name is not None and (shared or layer.name == name):
            self.references.add(layer.name, index)
        inputs = self._checked(layer, source, path)
        self.nodes.append(Node(name, layer, inputs, path, source.named, size))
        return _Source((index,))

    def _checked(self, layer: Layer, source: _Source, path: str) -> tuple[int, ...]:
        """Return a node's inputs; too few or too many for its layer are a problem."""
        kind, number, place = layer.type_name(), len(source.indices), f"{path}.inputs" if layer.inputs else path
        names = self.references.names(source.indices)
        if not isinstance(layer, Merge):
            if number > 1:
                hint = f"name one of them, or merge them first: `Concatenate: {{inputs: [{', '.join(names)}]}}`"
                self.problems.append(GraphError(f"{kind} takes one input; here it has {number}", hint, place, "E036"))
            return source.indices[:1]
        most = layer.most_inputs if isinstance(layer, Elementwise) else None
        if number < 2:
            message = f"{kind} takes two or more inputs; here it has only {names[0]}"
            hint = f"name them: `{kind}: {{inputs: [first, second]}}`"
            self.problems.append(GraphError(message, hint, place, "E036"))
        elif most is not None and number > most:
            message = f"{kind} takes {most} inputs; here it has {number}"
            self.problems.append(GraphError(message, f"name {most} layers", place, "E036"))
        return source.indices

    def _name(self, layer: Layer, path: str, shared: bool) -> str:
        if layer.name is not None and layer.name not in self.paths:
            return layer.name
        if layer.name is not None and not shared:
            first = self.paths[layer.name]
            message = f'two layers are named "{layer.name}"; the first is {first}'
            self.problems.append(GraphError(message, "rename one of them", path, "E031"))
        return self._numbered(layer.name or snake_case(layer.type_name()))

    def _numbered(self, stem: str) -> str:
        while True:
            count = self.counts.get(stem, 0)
            self.counts[stem] = count + 1
            name = f"{stem}_{count}" if count else stem
            if name not in self.paths and name not in self.given_names:
                return name


def _joined(ends: Sequence[_Source]) -> _Source:
    """Return what a layer reads that ends branches."""
    return _Source(tuple(i for end in ends for i in end.indices), any(end.named for end in ends))
