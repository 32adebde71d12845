"""Protocol Buffers' text format without a schema: what a prototxt file is."""

from __future__ import annotations

import re
from math import isfinite
from typing import Any

from cnncli.importing.graph import GraphImportError

MAX_DEPTH = 20
MAX_TOKENS = 1_000_000
"""Most words, numbers and signs of a text: networks of hundreds of layers have some ten thousand."""

_TOKEN = re.compile(
    r"""\s+|\#[^\n]*
    |(?P<text>"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*')
    |(?P<word>[A-Za-z_][\w.]*)
    |(?P<number>[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?f?)
    |(?P<sign>[{}:;,<>\[\]])""",
    re.VERBOSE,
)

Message = dict[str, list[Any]]
"""Field → its values in their order; a message for a field with braces."""


def parse(text: str, where: str) -> Message:
    """Return a message of the text format.

    Args:
        text: The file's text.
        where: What errors call the file.

    Raises:
        GraphImportError: With the line, if it is not such text.
    """
    return _Parser(text, where).message(None, 0)


def single(message: Message, field: str, default: Any) -> Any:
    """Return a field's last value, or `default` where it has none."""
    return [default, *message.get(field, ())][-1]


def whole(value: Any, what: str, least: int = 0) -> int:
    """Return a value that must be a whole number.

    Raises:
        GraphImportError: If it is not an integer, or less than `least`.
    """
    if type(value) is not int or value < least:
        raise GraphImportError(f"{what}: got {str(value)[:60]!r}, expected an integer of at least {least}")
    return value


def number(value: Any, what: str) -> float:
    """Return a value that must be a finite number.

    Raises:
        GraphImportError: If it is not a number.
    """
    if type(value) not in (int, float) or not isfinite(value):
        raise GraphImportError(f"{what}: got {str(value)[:60]!r}, expected a number")
    return float(value)


class _Parser:
    """Tokens of a text, one after the other."""

    def __init__(self, text: str, where: str) -> None:
        self._where = where
        self._tokens: list[tuple[str, str, int]] = []
        place, line = 0, 1
        while place < len(text):
            match = _TOKEN.match(text, place)
            if match is None:
                raise GraphImportError(f"{where}:{line}: {text[place : place + 20]!r} cannot be parsed")
            if match.lastgroup:
                self._tokens.append((match.lastgroup, match.group(), line))
            line += match.group().count("\n")
            place = match.end()
            if len(self._tokens) > MAX_TOKENS:
                raise GraphImportError(f"{where} has more than {MAX_TOKENS:,} words, numbers and signs")
        self._next = 0

    def _fail(self, expected: str) -> GraphImportError:
        if self._next >= len(self._tokens):
            return GraphImportError(f"{self._where} ends where {expected} was expected")
        _, text, line = self._tokens[self._next]
        return GraphImportError(f"{self._where}:{line}: got {text!r}, expected {expected}")

    def _peek(self) -> str:
        return self._tokens[self._next][1] if self._next < len(self._tokens) else ""

    def _take(self, *kinds: str, expected: str) -> str:
        if self._next >= len(self._tokens) or self._tokens[self._next][0] not in kinds:
            raise self._fail(expected)
        self._next += 1
        return self._tokens[self._next - 1][1]

    def message(self, end: str | None, depth: int) -> Message:
        """Read fields up to a closing sign."""
        if depth > MAX_DEPTH:
            raise self._fail(f"at most {MAX_DEPTH} nested braces")
        fields: Message = {}
        while self._peek() != (end or "") or (end is None and self._next < len(self._tokens)):
            name = self._take("word", expected="a field's name")
            if self._peek() == ":":
                self._next += 1
            fields.setdefault(name, []).extend(self._values(depth))
            if self._peek() in (";", ","):
                self._next += 1
        if end is not None:
            self._take("sign", expected=f'"{end}"')
        return fields

    def _values(self, depth: int) -> list[Any]:
        sign = self._peek()
        if sign in ("{", "<"):
            self._next += 1
            return [self.message("}" if sign == "{" else ">", depth + 1)]
        if sign != "[":
            return [self._scalar()]
        if depth >= MAX_DEPTH:
            raise self._fail(f"at most {MAX_DEPTH} nested brackets")
        self._next += 1
        values: list[Any] = []
        while self._peek() != "]":
            values += self._values(depth + 1)
            if self._peek() == ",":
                self._next += 1
        self._next += 1
        return values

    def _scalar(self) -> Any:
        text = self._take("text", "word", "number", expected="a value")
        if text[0] in "\"'":
            return text[1:-1]
        if text in ("true", "false"):
            return text == "true"
        if text[0].isalpha() or text[0] == "_":
            return text
        number = text.rstrip("f")
        return int(number) if re.fullmatch(r"[-+]?\d{1,18}", number) else float(number)
