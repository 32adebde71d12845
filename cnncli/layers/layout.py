"""From layers as they are written to nodes: composites expanded, names of inputs followed, unread layers found."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from cnncli.errors import CnnError
from cnncli.layers.base import Layer, Merge, Spec
from cnncli.layers.composites import Block, Layers, Parallel, Repeat, Residual
from cnncli.layers.graph import INPUT, INPUT_NAME, MOST_PROBLEMS, Node
from cnncli.layers.merging import Concatenate, Elementwise, ResidualAdd
from cnncli.layers.named import snake_case

MAX_NODES = 20_000
"""More layers than this are taken for a mistake (repeats within repeats)."""


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


@dataclass(frozen=True)
class Layout:
    """A network laid out.

    Attributes:
        nodes: Its nodes, each after its inputs; one with a problem may have an input below `INPUT`.
        outputs: Index of the node of each named output; empty where the last layer is the only one.
        problems: What is wrong with the names.
    """

    nodes: tuple[Node, ...]
    outputs: dict[str, int]
    problems: tuple[GraphError, ...]


def lay_out(
    layers: Sequence[Spec],
    outputs: Mapping[str, str] | None = None,
    path: str = "model.layers",
    left_out: Collection[str] | None = None,
) -> Layout:
    """Return the nodes of a list of layers, composites expanded, and all that is wrong with their names.

    A layer without a name gets the one Keras would give it: conv2d, conv2d_1, …; a name inside a
    `Repeat` or a block is numbered in the same way.

    Args:
        layers: Layers and composites.
        outputs: Name of the layer of each output, by the output's name; without any, the last layer is the output.
        path: Where the config describes the list.
        left_out: Where these are not all the layers: names that others may have.

    Raises:
        GraphError: If there are too many layers.
    """
    plan = _Plan(_given_names(layers), left_out)
    end = plan.sequence(layers, _Source((INPUT,)), path, shared=False)
    plan.follow_names_of_later_layers()
    found = {name: plan.output(name, layer) for name, layer in (outputs or {}).items()}
    if left_out is None and not plan.problems:
        plan.find_unread(found.values() if found else end.indices)
    return Layout(tuple(plan.nodes), found, tuple(plan.problems))


def flatten(layers: Sequence[Spec], path: str = "model.layers") -> tuple[Node, ...]:
    """Return the nodes of a list of layers, composites expanded, each after its inputs.

    Args:
        layers: Layers and composites, as for `lay_out`.
        path: Where the config describes the list.

    Raises:
        GraphError: If two layers have the same name, one reads what is not there, or there are too many.
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


class _Names:
    """What names stand for in one use of a block or one turn of a `Repeat`: its own layers, then those around it."""

    def __init__(self, around: _Names | None) -> None:
        self.own: dict[str, list[int]] = {}
        self.around = around

    def find(self, name: str) -> list[int]:
        """Return the nodes of the innermost use that has the name."""
        if name in self.own:
            return self.own[name]
        return self.around.find(name) if self.around else [INPUT] if name == INPUT_NAME else []

    def add(self, name: str, indices: Sequence[int]) -> None:
        """Add what a name stands for."""
        self.own.setdefault(name, []).extend(indices)


@dataclass(frozen=True)
class _Later:
    """A name that no layer has so far."""

    name: str
    path: str


class _Plan:
    """The nodes so far, and the names in use."""

    def __init__(self, given_names: set[str], left_out: Collection[str] | None) -> None:
        self.nodes: list[Node] = []
        self.problems: list[GraphError] = []
        self.given_names = given_names
        self.left_out = left_out or ()
        self.paths: dict[str, str] = {}
        self.counts: dict[str, int] = {}
        self.names = _Names(None)
        self.later: list[_Later] = []

    def sequence(self, parts: Sequence[Spec], source: _Source, path: str, shared: bool) -> _Source:
        """Lay out a list of parts one after another from `source`; return what the next one reads."""
        for position, part in enumerate(parts):
            place = f"{path}[{position}]"
            if not isinstance(part, Layers):
                place += f".{part.block if isinstance(part, Block) else part.type_name()}"
            source = self.part(part, source, place, shared)
        return source

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
            source = _Source(tuple(map(self.lookup, inputs, places)), named=True)
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
        """Lay out layers whose names mean one another first."""
        self.names = _Names(self.names)
        end = self.sequence(layers, source, path, shared=True)
        own, around = self.names.own, self.names.around
        if around is not None:
            self.names = around
        for name, indices in own.items():
            self.names.add(name, indices)
        return end

    def node(self, layer: Layer, source: _Source, path: str, shared: bool) -> _Source:
        """Add a node; return its output."""
        if len(self.nodes) == MAX_NODES:
            raise GraphError(f"the network has more than {MAX_NODES:,} layers", "use fewer repetitions", path, "E029")
        index, name = len(self.nodes), self._name(layer, path, shared)
        self.paths[name] = path
        if layer.name is not None and (shared or layer.name == name):
            self.names.add(layer.name, [index])
        inputs = self._checked(layer, name, source, path)
        self.nodes.append(Node(name, layer, inputs, path, source.named))
        return _Source((index,))

    def _checked(self, layer: Layer, name: str, source: _Source, path: str) -> tuple[int, ...]:
        """Return a node's inputs; if they are too few or too many for its layer, that is a problem."""
        kind, number, place = layer.type_name(), len(source.indices), f"{path}.inputs" if layer.inputs else path
        if not isinstance(layer, Merge):
            if number > 1:
                hint = f"name one of them, or merge them first: `Concatenate: {{inputs: {self._listed(source)}}}`"
                self.problems.append(GraphError(f"{kind} reads one layer; here it has {number}", hint, place, "E036"))
            return source.indices[:1]
        most = layer.most_inputs if isinstance(layer, Elementwise) else None
        if number < 2:
            (only,) = self._called(source)
            message = f"{kind} merges two or more layers; here it reads only {only}"
            hint = f"name them: `{kind}: {{inputs: [first, second]}}`"
            self.problems.append(GraphError(message, hint, place, "E036"))
        elif most is not None and number > most:
            message = f"{kind} takes {most} inputs; here it has {number}"
            self.problems.append(GraphError(message, f"name {most} layers", place, "E036"))
        return source.indices

    def _called(self, source: _Source) -> list[str]:
        return [
            INPUT_NAME if i == INPUT else self.nodes[i].name if i >= 0 else self.later[INPUT - 1 - i].name
            for i in source.indices
        ]

    def _listed(self, source: _Source) -> str:
        return f"[{', '.join(self._called(source))}]"

    def lookup(self, name: str, path: str) -> int:
        """Return the node that a name stands for, or a number below `INPUT` that stands for the name."""
        found = self.names.find(name)
        if len(found) == 1:
            return found[0]
        if found:
            uses = [self.nodes[i].name for i in found]
            message = f'"{name}" stands for {len(uses)} layers here: {", ".join(uses[:4])}{", …" if uses[4:] else ""}'
            hint = "give each use a name of its own: a block's parameter, as in `name: $name`"
            self.problems.append(GraphError(message, hint, path, "E033"))
            return found[0]
        self.later.append(_Later(name, path))
        return INPUT - len(self.later)

    def output(self, name: str, layer: str) -> int:
        """Return the node of a named output."""
        path, found = f"model.outputs.{name}", self.names.find(layer)
        if len(found) != 1 or found == [INPUT]:
            return self.lookup_output(layer, found, path)
        return found[0]

    def lookup_output(self, layer: str, found: Sequence[int], path: str) -> int:
        """Say why a name cannot be an output's."""
        if found == [INPUT]:
            self.problems.append(GraphError("the network's input cannot be an output", "name a layer", path, "E033"))
        elif found:
            self.lookup(layer, path)
        elif layer not in self.left_out:
            self.problems.append(self._unknown(layer, path))
        return INPUT

    def _unknown(self, name: str, path: str) -> GraphError:
        from difflib import get_close_matches

        near = get_close_matches(name, self.given_names, n=1, cutoff=0.6)
        automatic = next((node for node in self.nodes if node.name == name), None)
        message = f'no layer is named "{name}".' + (f' Did you mean "{near[0]}"?' if near else "")
        if automatic is not None:
            hint = f"{name} is only its automatic name; to refer to it, set `name: {name}`"
        else:
            names = ", ".join(sorted(self.given_names)[:20])
            hint = f"names: {names}, {INPUT_NAME}" if names else "give the layer that is meant a name: `name: …`"
        return GraphError(message, hint, path, "E033")

    def follow_names_of_later_layers(self) -> None:
        """Tell of each name that no earlier layer has whether a later one has it, and whether that makes a circle."""
        told: set[frozenset[int]] = set()
        firsts = {node.layer.name: i for i, node in reversed(list(enumerate(self.nodes)))}
        for number, later in enumerate(self.later[:MOST_PROBLEMS]):
            target = firsts.get(later.name)
            if target is None:
                if later.name not in self.left_out:
                    self.problems.append(self._unknown(later.name, later.path))
                continue
            circle = self._way_back(target, INPUT - 1 - number, firsts)
            if circle is None:
                message = f'"{later.name}" comes later: a layer can only read layers above it'
                hint = "change the order of the two"
                self.problems.append(GraphError(message, hint, later.path, "E034"))
            elif frozenset(circle) not in told:
                told.add(frozenset(circle))
                self.problems.append(self._circle(circle, later.path))

    def _way_back(self, target: int, token: int, firsts: Mapping[str | None, int]) -> list[int] | None:
        """Return the nodes that lead to a later one, from what reads it by `token`; None where it reads no such."""
        came_from: dict[int, int | None] = {target: None}
        waiting = [target]
        while waiting:
            index = waiting.pop()
            if token in self.nodes[index].inputs:
                way: list[int] = []
                step: int | None = index
                while step is not None:
                    way.append(step)
                    step = came_from[step]
                return way
            for given in self.nodes[index].inputs:
                source = given if given >= INPUT else firsts.get(self.later[INPUT - 1 - given].name, INPUT)
                if source != INPUT and source not in came_from:
                    came_from[source] = index
                    waiting.append(source)
        return None

    def _circle(self, way: Sequence[int], path: str) -> GraphError:
        """Say the way round: the first reads the last, each of the others the one before it."""
        names = [self.nodes[i].name for i in way]
        if len(names) == 1:
            message = f"the layer {names[0]} reads itself"
        else:
            reads = [f"{b} reads {a}" for a, b in zip([names[-1], *names[:-1]], names, strict=True)]
            first, *others = reads
            steps = [first, *others[::-1]]
            shown = steps if len(steps) <= _MOST_STEPS else [*steps[:3], "…", *steps[-2:]]
            message = f"layers read one another in a circle: {', '.join(shown)}"
        return GraphError(message, "let one of them read a layer above all of them", path, "E035")

    def find_unread(self, outputs: Collection[int]) -> None:
        """Tell of each layer that no other reads and that is no output."""
        read = {i for node in self.nodes for i in node.inputs}.union(outputs)
        told: set[str] = set()
        for index, node in enumerate(self.nodes):
            if index not in read and node.path not in told:
                told.add(node.path)
                message = f"no layer reads {node.name}, and it is not an output"
                hint = "let a layer read it, name it under model.outputs, or leave it out"
                self.problems.append(GraphError(message, hint, node.path, "E037"))

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


_MOST_STEPS = 6
"""Steps of a circle that a message shows."""


def _joined(ends: Sequence[_Source]) -> _Source:
    """Return what a layer reads that ends branches."""
    return _Source(tuple(i for end in ends for i in end.indices), any(end.named for end in ends))
