"""Named things of a config: `{Name: {argument: value}}`, `{Name: }` or just `Name`."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Mapping as MappingType
from dataclasses import dataclass
from typing import TypeVar

from cnncli.config.language import validation
from cnncli.config.language.expected import read, shortened
from cnncli.config.language.suggestions import suggestion
from cnncli.config.yaml.problems import problem
from cnncli.config.yaml.tree import Mapping, Origin, Scalar, Value
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
        noun: What kind of thing it is in messages: "layer", "optimizer".
    """

    name: str
    origin: Origin
    arguments: Value
    path: str
    noun: str


def split(value: Value, path: str, noun: str, problems: list[Problem]) -> Named | None:
    """Take a named thing apart, or add to `problems` why it is not one."""
    if isinstance(value, Scalar) and isinstance(value.value, str):
        return Named(value.value, value.origin, Mapping({}, value.origin), f"{path}.{value.value}", noun)
    if isinstance(value, Mapping) and len(value.entries) == 1:
        name, entry = next(iter(value.entries.items()))
        empty = isinstance(entry.value, Scalar) and entry.value.value is None
        arguments = Mapping({}, entry.key) if empty else entry.value
        return Named(name, entry.key, arguments, f"{path}.{name}", noun)
    problems.append(_not_named(value, path, noun))
    return None


def _not_named(value: Value, path: str, noun: str) -> Problem:
    written, hint = read(value), f"Write `Name` or `Name: {{argument: value}}` for a {noun}."
    if isinstance(value, Mapping) and value.entries:
        keys = list(value.entries)
        written = f"{len(keys)} keys: {', '.join(shortened(key) for key in keys[:4])}{', …' if keys[4:] else ''}"
        hint = f"Write the arguments after the name, in braces or indented further: `{keys[0]}: {{…}}`."
    return problem(
        "E018", f"Expected the name of one {noun}, with or without arguments; got {written}.", value.origin, hint, path
    )


def make(named: Named, vocabulary: MappingType[str, type[AnySpec]], problems: list[Problem]) -> AnySpec | None:
    """Make the thing that a name stands for, or add what is wrong to `problems`."""
    if named.name not in vocabulary:
        problems.append(unknown(named, vocabulary))
        return None
    if not isinstance(named.arguments, Mapping):
        message = f"Expected the arguments of {named.name} as a mapping; got {read(named.arguments)}."
        hint = f"Write `{named.name}: {{argument: value}}`."
        problems.append(problem("E014", message, named.arguments.origin, hint, named.path))
        return None
    part = validation.Part(named.arguments, named.path, subject=named.name)
    return validation.build(vocabulary[named.name], part, problems)


def unknown(named: Named, names: Iterable[str]) -> Problem:
    """Say that a name stands for nothing, which one was meant, and which there are."""
    message = f'Unknown {named.noun} "{shortened(named.name)}".{suggestion(named.name, names)}'
    hint = f"{named.noun.capitalize()}s: {', '.join(sorted(names))}"
    return problem("E017", message, named.origin, hint, named.path)
