"""Named things of a config: `{Name: {argument: value}}`, `{Name: {}}` or just `Name`."""

from __future__ import annotations

from collections.abc import Mapping as MappingType
from dataclasses import dataclass
from typing import TypeVar

from cnncli.config import validation
from cnncli.config.expected import read
from cnncli.config.tree import Mapping, Origin, Scalar, Value
from cnncli.config.places import problem
from cnncli.errors import Problem
from cnncli.layers.base import Spec

AnySpec = TypeVar("AnySpec", bound=Spec)


@dataclass(frozen=True)
class Named:
    """A name with what stands behind it.

    Attributes:
        name: The name.
        origin: Where the name was written.
        arguments: What stands behind it; an empty mapping for a bare name.
        path: Path of the arguments, "model.layers[3].Conv2D".
    """

    name: str
    origin: Origin
    arguments: Value
    path: str


def split(value: Value, path: str, noun: str, problems: list[Problem]) -> Named | None:
    """Take a named thing apart, or add to `problems` why it is none."""
    if isinstance(value, Scalar) and isinstance(value.value, str):
        return Named(value.value, value.origin, Mapping({}, value.origin), f"{path}.{value.value}")
    if isinstance(value, Mapping) and len(value.entries) == 1:
        name, entry = next(iter(value.entries.items()))
        empty = isinstance(entry.value, Scalar) and entry.value.value is None
        arguments = Mapping({}, entry.key) if empty else entry.value
        return Named(name, entry.key, arguments, f"{path}.{name}")
    written = f"a mapping of {len(value.entries)} keys" if isinstance(value, Mapping) else read(value)
    message = f"Expected a name, or one name with its arguments; read {written}."
    hint = f"Write `Name` or `Name: {{argument: value}}` for a {noun}."
    problems.append(problem("E018", message, value.origin, hint, path))
    return None


def make(
    named: Named, vocabulary: MappingType[str, type[AnySpec]], noun: str, problems: list[Problem]
) -> AnySpec | None:
    """Make the thing that a name stands for, or add what is wrong to `problems`."""
    if named.name not in vocabulary:
        unknown(named, list(vocabulary), noun, problems)
        return None
    if not isinstance(named.arguments, Mapping):
        message = f"Expected the arguments of {named.name} as a mapping; read {read(named.arguments)}."
        hint = f"Write `{named.name}: {{argument: value}}`."
        problems.append(problem("E014", message, named.arguments.origin, hint, named.path))
        return None
    return validation.build(vocabulary[named.name], named.arguments, named.path, problems, subject=named.name)


def unknown(named: Named, names: list[str], noun: str, problems: list[Problem]) -> None:
    """Add to `problems` that a name stands for nothing."""
    message = f'There is no {noun} "{named.name}".{validation.nearest(named.name, names)}'
    hint = f"Names: {', '.join(sorted(names))}"
    problems.append(problem("E017", message, named.origin, hint, named.path))
