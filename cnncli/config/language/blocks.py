"""Named blocks: what they are, and what their parameters stand for at one use."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TypeGuard

from cnncli.config.language.expected import read, shortened
from cnncli.config.language.named import Named, split
from cnncli.config.language.suggestions import suggestion
from cnncli.config.yaml.problems import problem
from cnncli.config.yaml.tree import Entry, Mapping, Origin, Scalar, Sequence, Value, larger
from cnncli.errors import Problem

MAX_ARGUMENT, MAX_ARGUMENT_DEPTH = 256, 8
"""Values and levels in one argument of a block; what `$parameter`s repeat must stay small."""

Scope = dict[str, Value]
"""What each `$parameter` stands for inside a block."""


@dataclass(frozen=True)
class Definition:
    """A block as written.

    Attributes:
        name: Its name.
        origin: Where the name was written.
        parameters: Parameters with their defaults, or None where the use must give a value.
        layers: Its layers.
    """

    name: str
    origin: Origin
    parameters: dict[str, Value | None]
    layers: Sequence


def define(name: str, entry: Entry, taken: list[str], problems: list[Problem]) -> Definition | None:
    """Read a block's definition, or add what is wrong with it to `problems`.

    Args:
        name: The block's name.
        entry: Its key and value in `model.blocks`.
        taken: Names of layers, which a block may not have.
        problems: Takes what is wrong.
    """
    path, before = f"model.blocks.{name}", len(problems)
    if not is_block_name(name) or name in taken:
        message = f'"{shortened(name)}" is not a valid block name.'
        hint = "A block's name begins with a lowercase letter, unlike a layer's; then letters, digits and _."
        problems.append(problem("E030", message, entry.key, hint, path))
    if not isinstance(entry.value, Mapping):
        message = f"Expected a mapping with parameters and layers; got {read(entry.value)}."
        problems.append(problem("E014", message, entry.value.origin, _EXAMPLE, path))
        return None
    for key in entry.value.entries.keys() - {"parameters", "layers"}:
        message = f'A block has no key "{shortened(key)}".{suggestion(key, ("parameters", "layers"))}'
        origin = entry.value.entries[key].key
        problems.append(problem("E010", message, origin, "Keys of a block: parameters, layers", f"{path}.{key}"))
    parameters = _parameters(entry.value.get("parameters"), f"{path}.parameters", problems)
    layers = entry.value.get("layers")
    if not isinstance(layers, Sequence) or not layers.items:
        origin = layers.origin if layers else entry.key
        written = read(layers) if layers else "none"
        problems.append(
            problem("E011", f"A block needs a list of layers; got {written}.", origin, _EXAMPLE, f"{path}.layers")
        )
        return None
    return Definition(name, entry.key, parameters, layers) if len(problems) == before else None


def is_block_name(name: str) -> bool:
    """Say whether a name is like a block's or a head's, and unlike a layer's."""
    return name[:1].islower() and name.replace("_", "").isalnum() and name.isascii()


_EXAMPLE = "For example: {parameters: [filters], layers: [{Conv2D: {filters: $filters, kernel_size: 3}}, ReLU]}"


def _parameters(value: Value | None, path: str, problems: list[Problem]) -> dict[str, Value | None]:
    if value is None or (isinstance(value, Scalar) and value.value is None):
        return {}
    found: dict[str, Value | None] = {}
    items = value.items if isinstance(value, Sequence) else ()
    if not isinstance(value, Sequence):
        message = f"Expected a list of parameter names; got {read(value)}."
        problems.append(problem("E014", message, value.origin, _PARAMETERS, path))
    for index, item in enumerate(items):
        named = split(item, f"{path}[{index}]", "parameter", problems)
        if named is None:
            continue
        if not named.name.isidentifier() or named.name in found:
            why = "appears twice" if named.name in found else "is not a valid parameter name"
            message = f'"{shortened(named.name)}" {why}.'
            problems.append(problem("E027", message, named.origin, _PARAMETERS, f"{path}[{index}]"))
            continue
        bare = isinstance(item, Scalar)
        found[named.name] = None if bare or not isinstance(item, Mapping) else item.entries[named.name].value
    return found


_PARAMETERS = "Write names of letters, digits and _, or {name: default}."


def bind(use: Named, definition: Definition, problems: list[Problem]) -> Scope | None:
    """Return what a block's parameters stand for at one use, or add what is wrong with the use to `problems`."""
    names = definition.parameters
    if not isinstance(use.arguments, Mapping):
        message = f"Expected the parameters of {use.name} as a mapping; got {read(use.arguments)}."
        problems.append(problem("E014", message, use.arguments.origin, _parameters_of(definition), use.path))
        return None
    given = {key: entry.value for key, entry in use.arguments.entries.items()}
    before = len(problems)
    for key in given.keys() - names.keys():
        message = f'The block {use.name} has no parameter "{shortened(key)}".{suggestion(key, names)}'
        origin = use.arguments.entries[key].key
        problems.append(problem("E027", message, origin, _parameters_of(definition), f"{use.path}.{key}"))
    for key, value in given.items():
        if larger(value, MAX_ARGUMENT, MAX_ARGUMENT_DEPTH):
            message = f"A block argument can have at most {MAX_ARGUMENT:,} values and {MAX_ARGUMENT_DEPTH} levels."
            problems.append(problem("E007", message, value.origin, path=f"{use.path}.{key}"))
    scope = {name: given.get(name, default) for name, default in names.items()}
    missing = [name for name, value in scope.items() if value is None]
    if missing and len(problems) == before:
        message = f"The block {use.name} needs {', '.join(missing)}."
        problems.append(problem("E027", message, use.origin, _parameters_of(definition), use.path))
    return {k: v for k, v in scope.items() if v is not None} if len(problems) == before else None


def _parameters_of(definition: Definition) -> str:
    names = ", ".join(definition.parameters) or "none"
    return f"Parameters of {definition.name} ({definition.origin.position}): {names}"


def substitute(value: Value, scope: Scope, path: str, problems: list[Problem]) -> Value:
    """Put a block's arguments in the place of its `$parameter`s."""
    if isinstance(value, Scalar):
        return _argument(value, scope, path, problems) if is_parameter(value) else value
    if isinstance(value, Sequence):
        items = [substitute(item, scope, f"{path}[{i}]", problems) for i, item in enumerate(value.items)]
        return Sequence(tuple(items), value.origin)
    entries = {
        key: Entry(entry.key, substitute(entry.value, scope, f"{path}.{key}", problems))
        for key, entry in value.entries.items()
    }
    return Mapping(entries, value.origin)


def is_parameter(value: Value) -> TypeGuard[Scalar]:
    """Say whether a value is a `$parameter`."""
    text = value.value if isinstance(value, Scalar) else None
    return isinstance(text, str) and text.startswith("$") and not text.startswith("${")


def _argument(value: Scalar, scope: Scope, path: str, problems: list[Problem]) -> Value:
    name = str(value.value)[1:]
    if name in scope:
        found = scope[name]
        return replace(found, origin=replace(found.origin, also=value.origin))
    message = f'Unknown parameter "{shortened(name)}".{suggestion(name, scope)}'
    hint = (
        f"Parameters: {', '.join(scope)}"
        if scope
        else "Only the layers of a block have parameters; see also ${values.name}."
    )
    problems.append(problem("E024", message, value.origin, hint, path))
    return value
