"""Layers as written → layers as objects: names looked up, blocks expanded, composites filled."""

from __future__ import annotations

from dataclasses import replace

from cnncli.config import named, validation
from cnncli.config.expected import read
from cnncli.config.named import Named
from cnncli.config.tree import Entry, Mapping, Origin, Scalar, Sequence, Value
from cnncli.config.places import problem
from cnncli.errors import ConfigError, Problem
from cnncli.layers import VOCABULARY
from cnncli.layers.base import Spec
from cnncli.layers.composites import Block, Parallel, Repeat, Residual

MAX_LAYERS = 10_000
"""Layers in one network, blocks and repetitions expanded."""
MAX_BLOCK_DEPTH = 32
"""How deep blocks may use blocks."""
COMPOSITES: dict[str, type[Spec]] = {c.__name__: c for c in (Parallel, Residual, Repeat)}
"""Layers that hold layers."""
REQUIRED = object()

Scope = dict[str, Value]
"""What `$parameter` stands for inside a block."""


class Network:
    """The blocks of a model, and the way from what is written to layers.

    Attributes:
        origins: Where each layer was written, by the identity of the object.
    """

    def __init__(self, blocks: Mapping | None, problems: list[Problem]) -> None:
        self.blocks = blocks.entries if blocks else {}
        self.problems = problems
        self.origins: dict[int, Origin] = {}
        self.num_layers = 0
        self.times = 1
        self.stack: list[str] = []

    def layers(self, value: Value | None, path: str, scope: Scope) -> tuple[Spec, ...]:
        """Make the layers of a list; those with something wrong are left out and added to the problems."""
        if not isinstance(value, Sequence):
            if value is not None:
                message = f"Expected a list of layers; read {read(value)}."
                self.problems.append(problem("E014", message, value.origin, path=path))
            return ()
        made = [self.layer(item, f"{path}[{index}]", scope) for index, item in enumerate(value.items)]
        return tuple(layer for layer in made if layer is not None)

    def layer(self, value: Value, path: str, scope: Scope) -> Spec | None:
        """Make one layer, or add to the problems why that cannot be done."""
        found = named.split(value, path, "layer", self.problems)
        if found is None:
            return None
        made = self.make(found, scope)
        if made is not None:
            self.origins[id(made)] = found.origin
        return made

    def make(self, found: Named, scope: Scope) -> Spec | None:
        """Make what a name stands for: a block, a composite or a layer of the vocabulary."""
        if found.name in self.blocks:
            return self.block(found, scope)
        if found.name == "Parallel":
            return self.parallel(found, scope)
        if found.name in COMPOSITES:
            return self.composite(found, scope)
        self.count(found)
        names = {**VOCABULARY, **dict.fromkeys([*COMPOSITES, *self.blocks], Spec)}
        return named.make(
            replace(found, arguments=self.substitute(found.arguments, scope)), names, "layer", self.problems
        )

    def count(self, found: Named) -> None:
        """Count a layer as often as the repetitions around it, and stop before there are too many."""
        self.num_layers += self.times
        if self.num_layers > MAX_LAYERS:
            message = f"The network has more than {MAX_LAYERS:,} layers when blocks and repetitions are expanded."
            raise ConfigError((*self.problems, problem("E029", message, found.origin, path=found.path)))

    def parallel(self, found: Named, scope: Scope) -> Spec | None:
        """Make the branches of a Parallel, a list of lists of layers."""
        if not isinstance(found.arguments, Sequence):
            message = f"Expected the branches as a list of lists of layers; read {read(found.arguments)}."
            self.problems.append(problem("E014", message, found.arguments.origin, path=found.path))
            return None
        branches = tuple(
            self.layers(branch, f"{found.path}[{index}]", scope) for index, branch in enumerate(found.arguments.items)
        )
        return Parallel(branches=branches)

    def composite(self, found: Named, scope: Scope) -> Spec | None:
        """Make a Residual or a Repeat: its layers, then its other arguments."""
        arguments = self.substitute(found.arguments, scope, shallow=True)
        if not isinstance(arguments, Mapping):
            return named.make(found, COMPOSITES, "layer", self.problems)
        times = arguments.get("times")
        before = self.times
        if found.name == "Repeat" and isinstance(times, Scalar) and isinstance(times.value, int) and times.value > 0:
            self.times *= times.value
        ready = {
            key: self.layers(arguments.get(key), f"{found.path}.{key}", scope)
            for key in ("layers", "shortcut")
            if key in arguments.entries and key in COMPOSITES[found.name].model_fields
        }
        self.times = before
        return validation.build(COMPOSITES[found.name], arguments, found.path, self.problems, ready, subject=found.name)

    def block(self, found: Named, scope: Scope) -> Spec | None:
        """Make the layers of a block with this use's arguments in place of its parameters."""
        definition = self.blocks[found.name].value
        if found.name in self.stack or len(self.stack) >= MAX_BLOCK_DEPTH:
            chain = " → ".join([*self.stack, found.name])
            self.problems.append(problem("E028", f"The block uses itself: {chain}.", found.origin, path=found.path))
            return None
        if not isinstance(definition, Mapping):
            message = f"Expected a block's parameters and layers; read {read(definition)}."
            self.problems.append(problem("E014", message, definition.origin, path=f"model.blocks.{found.name}"))
            return None
        inner = self.arguments(found, definition, scope)
        if inner is None:
            return None
        self.stack.append(found.name)
        layers = self.layers(definition.get("layers"), f"{found.path}.layers", inner)
        self.stack.pop()
        return Block(block=found.name, layers=layers) if layers else None

    def arguments(self, found: Named, definition: Mapping, scope: Scope) -> Scope | None:
        """Bind a block's parameters to the arguments of one use."""
        parameters = definition.get("parameters")
        names = (
            [str(p.value) for p in parameters.items if isinstance(p, Scalar)]
            if isinstance(parameters, Sequence)
            else []
        )
        given = self.substitute(found.arguments, scope)
        entries = given.entries if isinstance(given, Mapping) else {}
        for key in entries.keys() - set(names):
            message = f'The block {found.name} has no parameter "{key}".{validation.nearest(key, names)}'
            self.problems.append(problem("E027", message, entries[key].key, path=f"{found.path}.{key}"))
        missing = [name for name in names if name not in entries]
        if missing:
            message = f"The block {found.name} needs {', '.join(missing)}."
            self.problems.append(problem("E027", message, found.origin, path=found.path))
            return None
        return {name: entries[name].value for name in names}

    def substitute(self, value: Value, scope: Scope, shallow: bool = False) -> Value:
        """Put arguments in the place of `$parameter`s."""
        if isinstance(value, Scalar):
            if isinstance(value.value, str) and value.value.startswith("$"):
                return self.parameter(value, scope)
            return value
        if isinstance(value, Sequence):
            return Sequence(tuple(self.substitute(item, scope) for item in value.items), value.origin)
        entries = {
            key: Entry(entry.key, entry.value)
            if shallow and not isinstance(entry.value, Scalar)
            else Entry(entry.key, self.substitute(entry.value, scope))
            for key, entry in value.entries.items()
        }
        return Mapping(entries, value.origin)

    def parameter(self, value: Scalar, scope: Scope) -> Value:
        """Return what a `$parameter` stands for."""
        name = str(value.value)[1:]
        if name in scope:
            return scope[name]
        names = list(scope)
        message = f'There is no parameter "{name}" here.{validation.nearest(name, names)}'
        self.problems.append(problem("E024", message, value.origin))
        return value
