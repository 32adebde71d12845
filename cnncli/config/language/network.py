"""Layers as written → layers as objects: names looked up, blocks expanded, composites filled."""

from __future__ import annotations

from dataclasses import replace

from cnncli.config.language import validation
from cnncli.config.language.blocks import Definition, Scope, bind, define, is_block_name, is_parameter, substitute
from cnncli.config.language.expected import read, shortened
from cnncli.config.language.named import Named, make, split, unknown
from cnncli.config.language.suggestions import suggestion
from cnncli.config.yaml.problems import problem
from cnncli.config.yaml.tree import Entry, Mapping, Scalar, Sequence, Value
from cnncli.errors import ConfigError, Problem
from cnncli.layers import VOCABULARY
from cnncli.layers.base import Spec
from cnncli.layers.composites import COMPOSITES, Block, Composite, Layers, Parallel

MAX_LAYERS = 10_000
"""Layers in one network, blocks and repetitions expanded."""
MAX_DEPTH = 32
"""How deep layers, composites and blocks may stand in one another."""
_HOLDS_LAYERS = ("layers", "shortcut")
_HEADS = "For example: `heads: {heatmap: [{Conv2D: {filters: 3, kernel_size: 1}}]}`."


class Network:
    """The blocks of a model, and the way from what is written to layers.

    Args:
        blocks: The mapping `model.blocks`, or None.
        problems: Takes what is wrong.
    """

    def __init__(self, blocks: Mapping | None, problems: list[Problem]) -> None:
        self.problems = problems
        self.names = [*VOCABULARY, *COMPOSITES]
        entries = blocks.entries if blocks else {}
        self.blocks: dict[str, Definition | None] = {
            name: define(name, entry, self.names, problems) for name, entry in entries.items()
        }
        self.num_layers = 0
        self.times = 1
        self.depth = 0
        self.stack: list[str] = []

    def sound(self, value: Value) -> tuple[Spec, ...]:
        """Make the layers of the model up to the first with something wrong; their shapes can be checked already."""
        if not isinstance(value, Sequence):
            return self.layers(value, "model.layers", {})
        made: list[Spec] = []
        broken = False
        for index, item in enumerate(value.items):
            before = len(self.problems)
            layer = self.layer(item, f"model.layers[{index}]", {})
            broken = broken or layer is None or len(self.problems) > before
            if layer is not None and not broken:
                made.append(layer)
        return tuple(made)

    def heads(self, value: Mapping) -> dict[str, tuple[Spec, ...]]:
        """Make the layers of each head by its name; those with something wrong are left out."""
        return {name: self.head(name, entry) for name, entry in value.entries.items()}

    def head(self, name: str, entry: Entry) -> tuple[Spec, ...]:
        """Make the layers of one head."""
        path = f"model.heads.{name}"
        if not is_block_name(name):
            message = f'"{shortened(name)}" is not a valid name of a head.'
            hint = "A head's name begins with a lowercase letter, unlike a layer's; then letters, digits and _."
            self.problems.append(problem("E030", message, entry.key, hint, path))
        if isinstance(entry.value, Sequence) and not entry.value.items:
            message = "A head needs one or more layers; got an empty list."
            self.problems.append(problem("E015", message, entry.value.origin, _HEADS, path))
        return self.layers(entry.value, path, {})

    def layers(self, value: Value, path: str, scope: Scope) -> tuple[Spec, ...]:
        """Make the layers of a list; those with something wrong are left out and added to the problems."""
        if is_parameter(value):
            before = len(self.problems)
            value = substitute(value, scope, path, self.problems)
            if len(self.problems) > before:
                return ()
        if not isinstance(value, Sequence):
            hint = "Write one layer per line: `- Conv2D: {filters: 8, kernel_size: 3}`."
            message = f"Expected a list of layers; got {read(value)}."
            self.problems.append(problem("E014", message, value.origin, hint, path))
            return ()
        if self.depth >= MAX_DEPTH:
            message = f"Layers are nested more than {MAX_DEPTH} levels deep here."
            self.problems.append(problem("E028", message, value.origin, path=path))
            return ()
        self.depth += 1
        made = [self.layer(item, f"{path}[{index}]", scope) for index, item in enumerate(value.items)]
        self.depth -= 1
        return tuple(layer for layer in made if layer is not None)

    def layer(self, value: Value, path: str, scope: Scope) -> Spec | None:
        """Make one layer, composite or use of a block, or add to the problems why that cannot be done."""
        if is_parameter(value):
            return self.parameter(value, path, scope)
        found = split(value, path, "layer", self.problems)
        if found is None:
            return None
        if found.name == "Parallel":
            return self.parallel(found, scope)
        if found.name in COMPOSITES:
            return self.composite(found, scope)
        self.count(found)
        before = len(self.problems)
        found = replace(found, arguments=substitute(found.arguments, scope, found.path, self.problems))
        if len(self.problems) > before:
            return None
        if found.name in self.blocks:
            return self.block(found)
        if found.name not in VOCABULARY:
            self.problems.append(unknown(found, [*self.names, *self.blocks]))
            return None
        return make(found, VOCABULARY, self.problems)

    def parameter(self, value: Value, path: str, scope: Scope) -> Spec | None:
        """Make what a block's parameter stands for in the place of a layer: a layer, or a list of them."""
        before = len(self.problems)
        meant = substitute(value, scope, path, self.problems)
        if len(self.problems) > before:
            return None
        if isinstance(meant, Sequence):
            return Layers(layers=self.layers(meant, path, scope))
        return None if is_parameter(meant) else self.layer(meant, path, scope)

    def count(self, found: Named) -> None:
        """Count a layer as often as the repetitions around it, and stop before there are too many."""
        self.num_layers += self.times
        if self.num_layers > MAX_LAYERS:
            message = f"The network has more than {MAX_LAYERS:,} layers when blocks and repetitions are expanded."
            hint = "Use fewer repetitions."
            raise ConfigError((*self.problems, problem("E029", message, found.origin, hint, found.path)))

    def parallel(self, found: Named, scope: Scope) -> Spec | None:
        """Make the branches of a Parallel, a list of lists of layers."""
        value, path, inputs = found.arguments, found.path, None
        if isinstance(value, Mapping) and "branches" in value.entries:
            path = f"{path}.branches"
            inputs, others = self.inputs(found, value, scope)
            for key in others.keys() - {"branches"}:
                message = f'Parallel has no argument "{shortened(key)}".{suggestion(key, ("branches", "inputs"))}'
                hint = "Arguments of Parallel: branches, inputs"
                self.problems.append(problem("E012", message, value.entries[key].key, hint, f"{found.path}.{key}"))
            value = value.entries["branches"].value
        if is_parameter(value):
            value = substitute(value, scope, path, self.problems)
        if not isinstance(value, Sequence) or len(value.items) < 2:
            message = f"Parallel needs a list of two or more branches, each a list of layers; got {read(value)}."
            hint = (
                "For example: `Parallel: [[{Conv2D: {filters: 8, kernel_size: 1}}], [{MaxPooling2D: {pool_size: 2}}]]`."
            )
            self.problems.append(problem("E014", message, value.origin, hint, found.path))
            return None
        branches = [self.layers(branch, f"{path}[{i}]", scope) for i, branch in enumerate(value.items)]
        return Parallel(branches=tuple(branches), inputs=inputs)

    def inputs(self, found: Named, arguments: Mapping, scope: Scope) -> tuple[tuple[str, ...] | None, dict[str, Entry]]:
        """Return the names of what a composite or block reads, and its other arguments."""
        others = dict(arguments.entries)
        entry = others.pop("inputs", None)
        if entry is None:
            return None, others
        before = len(self.problems)
        value = substitute(entry.value, scope, f"{found.path}.inputs", self.problems)
        if len(self.problems) > before:
            return None, others
        part = validation.Part(Mapping({"inputs": Entry(entry.key, value)}, entry.key), found.path, found.name)
        made = validation.build(Composite, part, self.problems)
        return made.inputs if made else None, others

    def composite(self, found: Named, scope: Scope) -> Spec | None:
        """Make a Residual or a Repeat: its layers, then its other arguments."""
        if not isinstance(found.arguments, Mapping):
            return make(found, COMPOSITES, self.problems)
        before = len(self.problems)
        others = {key: e for key, e in found.arguments.entries.items() if key not in _HOLDS_LAYERS}
        rest = substitute(Mapping(others, found.arguments.origin), scope, found.path, self.problems)
        entries = {**found.arguments.entries, **(rest.entries if isinstance(rest, Mapping) else {})}
        outside = self.times
        self.times *= _repetitions(rest)
        ready = {
            key: self.layers(entries[key].value, f"{found.path}.{key}", scope)
            for key in _HOLDS_LAYERS
            if key in entries and key in COMPOSITES[found.name].model_fields
        }
        self.times = outside
        if any(not layers for layers in ready.values()) and len(self.problems) > before:
            return None
        part = validation.Part(Mapping(entries, found.arguments.origin), found.path, found.name)
        return validation.build(COMPOSITES[found.name], part, self.problems, ready)

    def block(self, found: Named) -> Spec | None:
        """Make the layers of a block with this use's arguments in place of its parameters."""
        definition, inputs = self.blocks[found.name], None
        if found.name in self.stack:
            chain = " → ".join([*self.stack, found.name])
            self.problems.append(problem("E028", f"A block uses itself: {chain}.", found.origin, path=found.path))
            return None
        if definition and "inputs" not in definition.parameters and isinstance(found.arguments, Mapping):
            inputs, others = self.inputs(found, found.arguments, {})
            found = replace(found, arguments=replace(found.arguments, entries=others))
        scope = bind(found, definition, self.problems) if definition else None
        if definition is None or scope is None:
            return None
        before = len(self.problems)
        self.stack.append(found.name)
        layers = self.layers(definition.layers, f"{found.path}.layers", scope)
        self.stack.pop()
        if not self.stack:
            self.problems[before:] = [_used(p, found) for p in self.problems[before:]]
        return Block(block=found.name, layers=layers, inputs=inputs) if layers else None


def _repetitions(arguments: Value) -> int:
    times = arguments.get("times") if isinstance(arguments, Mapping) else None
    number = times.value if isinstance(times, Scalar) else 1
    return number if isinstance(number, int) and number > 0 else 1


def _used(found: Problem, use: Named) -> Problem:
    """Add to a problem inside a block where the block is used."""
    if found.line == use.origin.line and found.file == use.origin.file:
        return found
    note = f"In block {use.name}, used at {use.origin.position}."
    return replace(found, hint=f"{found.hint}\n{note}" if found.hint else note)
