"""YAML text → values with positions, by a reader that no file can make crash, hang or guess.

PyYAML's scanner and parser do the reading; what their events mean is decided here: no tags, no merge
keys, no repeated keys, keys are texts, and limits on size, depth and what aliases expand to.
"""

from __future__ import annotations

from typing import NoReturn

from yaml import events as ev
from yaml.error import Mark, MarkedYAMLError
from yaml.parser import Parser
from yaml.reader import Reader, ReaderError
from yaml.scanner import Scanner

from cnncli.config import scalars
from cnncli.config.tree import Entry, Mapping, Origin, Scalar, Sequence, Source, Value
from cnncli.errors import ConfigError, Problem

MAX_BYTES = 2**20
MAX_DEPTH = 64
MAX_VALUES = 200_000
"""Values in one file, counting what aliases repeat."""


def parse(text: str, name: str, before: str = "") -> Value:
    """Read the one YAML document in a text.

    Args:
        text: The text.
        name: What to call it in messages.
        before: What stands before it on its first line, for positions and excerpts.

    Raises:
        ConfigError: With one problem and its place, whatever is wrong with the text.
    """
    source = Source.of(name, before + text, offset=len(before))
    if len(text.encode("utf-8", "surrogatepass")) > MAX_BYTES:
        fail("E007", f"The file is larger than {MAX_BYTES:,} bytes, the most a config may have", Origin(source, 1, 1))
    try:
        return _Reader(text, source).document()
    except ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        column = error.position - (text.rfind("\n", 0, error.position) + 1) + 1 + (len(before) if line == 1 else 0)
        fail("E002", f"The character U+{int(error.character):04X} is not allowed in YAML", Origin(source, line, column))
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        fail("E003", f"YAML cannot be read here: {error.problem}", _origin(source, mark, mark))


def fail(code: str, message: str, origin: Origin, hint: str | None = None, path: str = "") -> NoReturn:
    """Raise a ConfigError with a single problem."""
    raise ConfigError((problem(code, message, origin, hint, path),))


def problem(code: str, message: str, origin: Origin, hint: str | None = None, path: str = "") -> Problem:
    """Make a problem from the place of a key or value."""
    return Problem(
        code=code,
        message=message,
        file=origin.file,
        line=origin.line,
        column=origin.column,
        path=path,
        hint=hint,
        excerpt=origin.excerpt,
        length=origin.length,
    )


def _origin(source: Source, start: Mark | None, end: Mark | None) -> Origin:
    if start is None:
        return Origin(source, 1, 1)
    one_line = end is not None and end.line == start.line
    length = max(end.column - start.column, 1) if one_line and end else 1
    offset = source.offset if start.line == 0 else 0
    return Origin(source, start.line + 1, start.column + 1 + offset, length)


class _Reader(Reader, Scanner, Parser):
    """PyYAML's events composed into values."""

    def __init__(self, text: str, source: Source) -> None:
        Reader.__init__(self, text)
        Scanner.__init__(self)
        Parser.__init__(self)
        self.source = source
        self.anchors: dict[str, tuple[Value, int]] = {}
        self.num_values = 0

    def document(self) -> Value:
        self.get_event()
        if self.check_event(ev.StreamEndEvent):
            return Scalar(None, Origin(self.source, 1, 1))
        self.get_event()
        value = self.value(0)
        self.get_event()
        if not self.check_event(ev.StreamEndEvent):
            self.fail("E005", "A second document begins here; a config is one document", self.peek_event())
        return value

    def value(self, depth: int) -> Value:
        event = self.get_event()
        if depth > MAX_DEPTH:
            self.fail("E007", f"Lists and mappings nested more than {MAX_DEPTH} deep", event)
        if isinstance(event, ev.AliasEvent):
            return self.alias(event)
        if event.tag is not None:
            self.fail("E005", f"The tag {event.tag} is not allowed; values are plain texts, numbers, lists", event)
        before = self.num_values
        self.count(1, event)
        if isinstance(event, ev.ScalarEvent):
            value: Value = self.scalar(event)
        elif isinstance(event, ev.SequenceStartEvent):
            value = self.sequence(event, depth)
        else:
            value = self.mapping(event, depth)
        if event.anchor is not None:
            self.anchors[event.anchor] = (value, self.num_values - before)
        return value

    def alias(self, event: ev.AliasEvent) -> Value:
        if event.anchor not in self.anchors:
            self.fail("E003", f"The alias *{event.anchor} has no anchor &{event.anchor} before it", event)
        value, size = self.anchors[event.anchor]
        self.count(size, event)
        return value

    def count(self, number: int, event: ev.Event) -> None:
        self.num_values += number
        if self.num_values > MAX_VALUES:
            self.fail("E007", f"The file means more than {MAX_VALUES:,} values", event)

    def scalar(self, event: ev.ScalarEvent) -> Scalar:
        origin = _origin(self.source, event.start_mark, event.end_mark)
        if event.style is not None:
            return Scalar(event.value, origin, quoted=True)
        try:
            return Scalar(scalars.read(event.value), origin)
        except scalars.UnreadableNumber as error:
            self.fail("E006", f"{error}.", event)

    def sequence(self, event: ev.SequenceStartEvent, depth: int) -> Sequence:
        items = []
        while not self.check_event(ev.SequenceEndEvent):
            items.append(self.value(depth + 1))
        return Sequence(tuple(items), _origin(self.source, event.start_mark, self.get_event().end_mark))

    def mapping(self, event: ev.MappingStartEvent, depth: int) -> Mapping:
        entries: dict[str, Entry] = {}
        while not self.check_event(ev.MappingEndEvent):
            key = self.value(depth + 1)
            name = self.key(key, entries)
            entries[name] = Entry(key.origin, self.value(depth + 1))
        return Mapping(entries, _origin(self.source, event.start_mark, self.get_event().end_mark))

    def key(self, key: Value, entries: dict[str, Entry]) -> str:
        if not isinstance(key, Scalar) or not isinstance(key.value, str):
            fail("E006", "A key must be a text", key.origin, "Put it in quotes if it is meant as a text.")
        if key.value == "<<" and not key.quoted:
            fail("E005", "Merge keys (<<) are not read", key.origin, "Use `extends` or a block instead.")
        if key.value in entries:
            first = entries[key.value].key
            fail("E004", f'The key "{key.value}" stands twice; first in line {first.line}', key.origin)
        return key.value

    def fail(self, code: str, message: str, event: ev.Event) -> NoReturn:
        fail(code, message, _origin(self.source, event.start_mark, event.end_mark))
