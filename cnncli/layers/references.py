"""The names of layers that others read: which layer each one means, circles, and layers that nothing reads."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from difflib import get_close_matches

from cnncli.layers.graph import INPUT, INPUT_NAME, MOST_PROBLEMS, GraphError, Node

MOST_STEPS = 6
"""Steps of a circle that a message shows."""


class _Scope:
    """What names mean in one use of a block or one turn of a `Repeat`: its own layers first, then those around it."""

    def __init__(self, around: _Scope | None) -> None:
        self.own: dict[str, list[int]] = {}
        self.around = around

    def find(self, name: str) -> list[int]:
        """Return the nodes that have the name in the innermost scope that knows it."""
        if name in self.own:
            return self.own[name]
        return self.around.find(name) if self.around else [INPUT] if name == INPUT_NAME else []

    def add(self, name: str, indices: Sequence[int]) -> None:
        """Add nodes of that name."""
        self.own.setdefault(name, []).extend(indices)


@dataclass(frozen=True)
class _Later:
    """A name that no layer has so far, and where the config mentions it."""

    name: str
    path: str


class References:
    """The names that layers read, followed while the network is laid out.

    Args:
        nodes: The nodes so far; the layout goes on adding to them.
        given_names: All names that the config gives to layers.
        left_out: Names that layers outside the list may have.
        problems: Where to add what is wrong.
    """

    def __init__(
        self,
        nodes: Sequence[Node],
        given_names: Collection[str],
        left_out: Collection[str],
        problems: list[GraphError],
    ) -> None:
        self._nodes = nodes
        self._given_names = given_names
        self._left_out = left_out
        self._problems = problems
        self._scope = _Scope(None)
        self._later: list[_Later] = []

    @contextmanager
    def scope(self) -> Iterator[None]:
        """Let the names that are added inside mean one another first; afterwards those around can read them too."""
        around = self._scope
        inner = self._scope = _Scope(around)
        yield
        self._scope = around
        for name, indices in inner.own.items():
            around.add(name, indices)

    def add(self, name: str, index: int) -> None:
        """Give a node a name by which others can read it."""
        self._scope.add(name, [index])

    def lookup(self, name: str, path: str) -> int:
        """Return the node of that name, or a number below `INPUT` that stands for a layer that may come later."""
        found = self._scope.find(name)
        if len(found) == 1:
            return found[0]
        if found:
            self._ambiguous(name, found, path)
            return found[0]
        self._later.append(_Later(name, path))
        return INPUT - len(self._later)

    def output(self, name: str, layer: str) -> int:
        """Return the node of a named output; `INPUT` where there is a problem with it."""
        path, found = f"model.outputs.{name}", self._scope.find(layer)
        if found == [INPUT]:
            self._problems.append(GraphError("the network's input cannot be an output", "name a layer", path, "E033"))
        elif len(found) == 1:
            return found[0]
        elif found:
            self._ambiguous(layer, found, path)
        elif layer not in self._left_out:
            self._unknown(layer, path)
        return INPUT

    def names(self, indices: Sequence[int]) -> list[str]:
        """Return what `lookup` found, by name."""
        return [
            INPUT_NAME if i == INPUT else self._nodes[i].name if i > INPUT else self._waiting(i).name for i in indices
        ]

    def follow_later_names(self) -> None:
        """Report each name that no earlier layer has: nobody has it, a later layer does, or that makes a circle."""
        told: set[frozenset[int]] = set()
        firsts = {node.layer.name: i for i, node in reversed(list(enumerate(self._nodes)))}
        for number, later in enumerate(self._later[:MOST_PROBLEMS]):
            target = firsts.get(later.name)
            if target is None:
                if later.name not in self._left_out:
                    self._unknown(later.name, later.path)
                continue
            circle = self._way_back(target, INPUT - 1 - number, firsts)
            if circle is None:
                message = f'"{later.name}" comes later: a layer can only read layers above it'
                self._problems.append(GraphError(message, "move that layer above this one", later.path, "E034"))
            elif frozenset(circle) not in told:
                told.add(frozenset(circle))
                self._circular(circle, later.path)

    def find_unread(self, outputs: Collection[int]) -> None:
        """Report each layer that no other reads and that is not an output."""
        read = {i for node in self._nodes for i in node.inputs}.union(outputs)
        told: set[str] = set()
        for index, node in enumerate(self._nodes):
            if index not in read and node.path not in told:
                told.add(node.path)
                message = f"no layer reads {node.name}, and it is not an output"
                hint = "let a layer read it, list it under model.outputs, or remove it"
                self._problems.append(GraphError(message, hint, node.path, "E037"))

    def _waiting(self, number: int) -> _Later:
        """Return the name that a number below `INPUT` stands for."""
        return self._later[INPUT - 1 - number]

    def _way_back(self, target: int, token: int, firsts: Mapping[str | None, int]) -> list[int] | None:
        """Return the nodes from the one that reads `token` to `target`, or None if `target` depends on no such node."""
        came_from: dict[int, int | None] = {target: None}
        waiting = [target]
        while waiting:
            index = waiting.pop()
            if token in self._nodes[index].needed:
                way: list[int] = []
                step: int | None = index
                while step is not None:
                    way.append(step)
                    step = came_from[step]
                return way
            for given in self._nodes[index].needed:
                source = given if given >= INPUT else firsts.get(self._waiting(given).name, INPUT)
                if source != INPUT and source not in came_from:
                    came_from[source] = index
                    waiting.append(source)
        return None

    def _circular(self, way: Sequence[int], path: str) -> None:
        """Report a circle: the first node reads the last, each of the others the one before it."""
        names = [self._nodes[i].name for i in way]
        if len(names) == 1:
            message = f"the layer {names[0]} reads itself"
        else:
            first, *others = (f"{b} reads {a}" for a, b in zip([names[-1], *names[:-1]], names, strict=True))
            steps = [first, *others[::-1]]
            shown = steps if len(steps) <= MOST_STEPS else [*steps[:3], "…", *steps[-2:]]
            message = f"layers read one another in a circle: {', '.join(shown)}"
        hint = "let one of them read a layer above all of them"
        self._problems.append(GraphError(message, hint, path, "E035"))

    def _ambiguous(self, name: str, found: Sequence[int], path: str) -> None:
        """Report a name that several uses of a block, or turns of a `Repeat`, have given."""
        uses = [self._nodes[i].name for i in found]
        message = f'"{name}" could mean {len(uses)} layers here: {", ".join(uses[:4])}{", …" if uses[4:] else ""}'
        hint = "give each use a name of its own: a block's parameter, as in `name: $name`"
        self._problems.append(GraphError(message, hint, path, "E033"))

    def _unknown(self, name: str, path: str) -> None:
        """Report a name that no layer was given."""
        near = get_close_matches(name, self._given_names, n=1, cutoff=0.6)
        message = f'no layer is named "{name}".' + (f' Did you mean "{near[0]}"?' if near else "")
        if any(node.name == name for node in self._nodes):
            hint = f'"{name}" is only an automatic name; to refer to that layer, set `name: {name}`'
        else:
            names = ", ".join(sorted(self._given_names)[:20])
            hint = f"names: {names}, {INPUT_NAME}" if names else "give the layer that you mean a name: `name: …`"
        self._problems.append(GraphError(message, hint, path, "E033"))
