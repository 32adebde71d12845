"""YAML text → values with positions, by a reader that no file can make crash, hang or guess.

PyYAML's scanner and parser do the reading; what their events mean is decided here: no tags, no merge
keys, no repeated keys, keys are texts, and limits on size, depth and what aliases expand to.
"""

from __future__ import annotations

import re
from typing import Any, NoReturn

from yaml import events as ev
from yaml.error import MarkedYAMLError
from yaml.reader import ReaderError

from cnncli.config.yaml import scalars
from cnncli.config.yaml.problems import dotted, fail
from cnncli.config.yaml.scanner import Events, TooDeepError
from cnncli.config.yaml.syntax_errors import advice
from cnncli.config.yaml.tree import Entry, Mapping, Origin, Scalar, Sequence, Source, Value

MAX_BYTES = 2**20
MAX_DEPTH = 64
MAX_VALUES = 50_000
"""Values in one file, counting what aliases repeat."""
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")
_NOT_YAML = (ValueError, TypeError, LookupError, AttributeError, AssertionError, ArithmeticError, RecursionError)
"""What PyYAML raises on some malformed files in place of a YAMLError."""


def parse(text: str, name: str, before: str = "", root: str = "") -> Value:
    """Read the one YAML document in a text.

    Args:
        text: The text.
        name: What to call it in messages.
        before: What stands before it on its first line, for positions and excerpts.
        root: Path of the value in the config, for problems.

    Raises:
        ConfigError: With one problem and its place, whatever is wrong with the text.
    """
    source = Source.of(name, before + text, offset=len(before))
    if len(text.encode("utf-8", "surrogatepass")) > MAX_BYTES:
        fail("E007", f"Larger than the limit of {MAX_BYTES:,} bytes.", Origin(source, 1, 1), path=root)
    try:
        events = Events(text, MAX_DEPTH)
    except ReaderError as error:
        message = f"The character U+{ord(text[error.position]):04X} is not allowed in YAML."
        fail("E002", message, _at(source, text[: error.position]), path=root)
    return _Composer(events, source, root).document()


def _at(source: Source, before: str) -> Origin:
    lines = Source.of("", before).lines
    offset = source.offset if len(lines) == 1 else 0
    return Origin(source, len(lines), len(lines[-1]) + 1 + offset)


class _Composer:
    """Events composed into values.

    Attributes:
        path: Steps to what is being read, for problems.
    """

    def __init__(self, events: Events, source: Source, root: str) -> None:
        self.events = events
        self.source = source
        self.root = root
        self.path: list[str | int] = []
        self.anchors: dict[str, tuple[Value, int]] = {}
        self.num_values = 0

    def document(self) -> Value:
        """Read the text's one document; nothing at all is null."""
        try:
            self.events.next()
            if self.events.check_event(ev.StreamEndEvent):
                return Scalar(None, Origin(self.source, 1, 1))
            self.events.next()
            value = self.value(0)
            self.events.next()
            if not self.events.check_event(ev.StreamEndEvent):
                self.fail(
                    "E005", "A second document begins here; a config is a single document.", self.events.peek_next()
                )
        except MarkedYAMLError as error:
            self.fail_syntax(error)
        except TooDeepError as error:
            self.fail_depth(self.origin(error.mark, error.mark))
        except _NOT_YAML:
            mark = self.events.get_mark()
            message = "Invalid YAML: no such number or character."
            fail("E003", message, self.origin(mark, mark), path=self.dotted())
        return value

    def value(self, depth: int) -> Value:
        """Read one value with all that is in it."""
        event = self.events.next()
        if depth > MAX_DEPTH:
            self.fail_depth(self.place(event))
        if isinstance(event, ev.AliasEvent):
            return self.alias(event)
        if event.tag is not None:
            self.fail("E005", f"Tags (here {event.tag}) are not allowed.", event, "Remove the tag.")
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

    def alias(self, event: Any) -> Value:
        """Return the value that an alias repeats."""
        if event.anchor not in self.anchors:
            self.fail("E003", f"The alias *{event.anchor} has no complete anchor &{event.anchor} before it.", event)
        value, size = self.anchors[event.anchor]
        self.count(size, event)
        return value

    def count(self, number: int, event: Any) -> None:
        """Count values, and stop before there are too many."""
        self.num_values += number
        if self.num_values > MAX_VALUES:
            self.fail("E007", f"The file expands to more than the limit of {MAX_VALUES:,} values.", event)

    def scalar(self, event: Any) -> Scalar:
        """Read a text, number, truth value or null."""
        if event.style is not None:
            bad = _CONTROL.search(event.value)
            if bad:
                self.fail("E002", f"The string contains the control character U+{ord(bad[0]):04X}.", event)
            return Scalar(event.value, self.place(event), quoted=True)
        try:
            return Scalar(scalars.read(event.value), self.place(event))
        except scalars.NumberError as error:
            self.fail("E008", str(error), event)

    def sequence(self, event: Any, depth: int) -> Sequence:
        """Read a list."""
        items: list[Value] = []
        while not self.events.check_event(ev.SequenceEndEvent):
            self.path.append(len(items))
            items.append(self.value(depth + 1))
            self.path.pop()
        return Sequence(tuple(items), self.origin(event.start_mark, self.events.next().end_mark))

    def mapping(self, event: Any, depth: int) -> Mapping:
        """Read a mapping."""
        entries: dict[str, Entry] = {}
        while not self.events.check_event(ev.MappingEndEvent):
            key = self.value(depth + 1)
            name = self.key(key, entries)
            self.path.append(name)
            entries[name] = Entry(key.origin, self.value(depth + 1))
            self.path.pop()
        return Mapping(entries, self.origin(event.start_mark, self.events.next().end_mark))

    def key(self, key: Value, entries: dict[str, Entry]) -> str:
        """Return a key's text, or fail if it is not a string, is a merge key, or appears twice."""
        if not isinstance(key, Scalar) or not isinstance(key.value, str):
            fail("E006", "A key must be a string.", key.origin, _advice_on_key(key.origin), self.dotted())
        if key.value == "<<" and not key.quoted:
            hint = "Use extends, a block or ${values.name} for repeated values."
            fail("E005", "Merge keys (<<) are not allowed.", key.origin, hint, self.dotted())
        if key.value in entries:
            message = f'The key "{key.value}" appears twice; first at {entries[key.value].key.position}.'
            fail("E004", message, key.origin, "Keep one of the two.", self.dotted(key.value))
        return key.value

    def dotted(self, *more: str | int) -> str:
        """Return the path of what is being read."""
        return dotted([*self.path, *more], self.root)

    def fail(self, code: str, message: str, event: Any, hint: str | None = None) -> NoReturn:
        """Raise a problem at an event."""
        fail(code, message, self.place(event), hint, self.dotted())

    def fail_depth(self, origin: Origin) -> NoReturn:
        """Raise the problem of too much nesting."""
        fail(
            "E007", f"Lists and mappings are nested more than {MAX_DEPTH} levels deep here.", origin, path=self.dotted()
        )

    def fail_syntax(self, error: MarkedYAMLError) -> NoReturn:
        """Raise what the parser complains of, where that is best seen."""
        mark = error.problem_mark or error.context_mark
        origin = self.origin(mark, mark)
        advised = advice(str(error.problem or error.context), origin.excerpt[: origin.column - 1])
        if advised.at_begin and error.context_mark is not None:
            origin = self.origin(error.context_mark, error.context_mark)
        fail("E003", advised.message, origin, advised.hint, self.dotted())

    def place(self, event: Any) -> Origin:
        """Return where an event stands."""
        return self.origin(event.start_mark, event.end_mark)

    def origin(self, start: Any, end: Any) -> Origin:
        """Return the place between two marks; one that spans lines has the length 1."""
        if start is None or end is None:
            return Origin(self.source, 1, 1)
        offset = self.source.offset if start.line == 0 else 0
        length = end.column - start.column if end.line == start.line else 1
        return Origin(self.source, start.line + 1, start.column + 1 + offset, max(length, 1))


def _advice_on_key(origin: Origin) -> str:
    """Say how to write what was probably meant: in braces, the digits after a decimal comma are a key of their own."""
    before, rest = origin.excerpt[: origin.column - 1], origin.excerpt[origin.column - 1 :]
    whole, decimals = re.search(r"(\d+),$", before), re.match(r"\d+", rest)
    if whole and decimals:
        return f"Write {whole[1]}.{decimals[0]} if you mean a decimal number: a comma separates keys."
    return "Put it in quotes if you mean a string."
