"""A config as read: plain values that remember where they were written."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

COMMAND_LINE = "--set"
"""Name of the source of values given on the command line."""
Plain = None | bool | int | float | str
"""What a scalar can be."""

_LINE_BREAK = re.compile("\r\n|[\n\r\x85\u2028\u2029]")


@dataclass(frozen=True, slots=True)
class Source:
    """A text that values come from.

    Attributes:
        name: The file as the user wrote it, or "--set".
        lines: Its lines, for excerpts.
        offset: Characters before the YAML on the first line: the path of a `--set`.
    """

    name: str
    lines: tuple[str, ...]
    offset: int = 0

    @classmethod
    def of(cls, name: str, text: str, offset: int = 0) -> Source:
        """Split a text into the lines that its positions count."""
        return cls(name, tuple(_LINE_BREAK.split(text)), offset)


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a key or value was written: line and column count from 1.

    Attributes:
        also: A second place, of a value that is written in one and used in another.
    """

    source: Source
    line: int
    column: int
    length: int = 1
    also: Origin | None = None

    @property
    def file(self) -> str:
        """Name of the file, or "--set"."""
        return self.source.name

    @property
    def excerpt(self) -> str:
        """The line that it stands in."""
        return self.source.lines[self.line - 1] if self.line <= len(self.source.lines) else ""

    @property
    def position(self) -> str:
        """The place in words: "lenet.yaml:14:7", or "--set train.epochs=3"."""
        if self.file == COMMAND_LINE:
            return f"{self.file} {self.excerpt}"
        return f"{self.file}:{self.line}:{self.column}"

    def __str__(self) -> str:
        return self.file if self.file == COMMAND_LINE else f"{self.file}:{self.line}"


@dataclass(frozen=True, slots=True)
class Scalar:
    """A number, text, truth value or null, with its text in the file and whether that was quoted."""

    value: Plain
    origin: Origin
    quoted: bool = False


@dataclass(frozen=True, slots=True)
class Sequence:
    """A list."""

    items: tuple[Value, ...]
    origin: Origin


@dataclass(frozen=True, slots=True)
class Entry:
    """A key's own position, and its value."""

    key: Origin
    value: Value


@dataclass(frozen=True, slots=True)
class Mapping:
    """Keys, in the order written, with their values."""

    entries: dict[str, Entry]
    origin: Origin

    def get(self, key: str) -> Value | None:
        """Return the value of `key`, or None where there is none."""
        entry = self.entries.get(key)
        return entry.value if entry else None


Value = Scalar | Sequence | Mapping


def plain(value: Value) -> Any:
    """Return a value as dicts, lists and scalars, without its positions."""
    if isinstance(value, Mapping):
        return {key: plain(entry.value) for key, entry in value.entries.items()}
    if isinstance(value, Sequence):
        return [plain(item) for item in value.items]
    return value.value


def children(value: Value) -> tuple[Value, ...]:
    """Return the values directly inside a value."""
    if isinstance(value, Mapping):
        return tuple(entry.value for entry in value.entries.values())
    return value.items if isinstance(value, Sequence) else ()


def larger(value: Value, values: int, depth: int) -> bool:
    """Say whether a value has more values in it, itself included, or is nested deeper than allowed."""
    count, rest = 0, [(value, 0)]
    while rest:
        found, level = rest.pop()
        count += 1
        if count > values or level > depth:
            return True
        rest += [(part, level + 1) for part in children(found)]
    return False
