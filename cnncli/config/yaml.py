"""YAML text → values with positions, by a reader that no file can make crash, hang or guess.

PyYAML's scanner and parser do the reading; what their events mean is decided here: no tags, no merge
keys, no repeated keys, keys are texts, and limits on size, depth and what aliases expand to.
"""

from __future__ import annotations

import re
from typing import NoReturn

from yaml import events as ev
from yaml.error import Mark, MarkedYAMLError
from yaml.parser import Parser
from yaml.reader import Reader, ReaderError
from yaml.scanner import Scanner

from cnncli.config import scalars
from cnncli.config.places import dotted, fail
from cnncli.config.syntax import advice
from cnncli.config.tree import Entry, Mapping, Origin, Scalar, Sequence, Source, Value

MAX_BYTES = 2**20
MAX_DEPTH = 64
MAX_VALUES = 100_000
"""Values in one file, counting what aliases repeat."""
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")
_NOT_YAML = (ValueError, TypeError, LookupError, AttributeError, AssertionError, ArithmeticError, RecursionError)
"""What PyYAML raises on some malformed files in place of a YAMLError."""


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
        fail("E007", f"The file is larger than {MAX_BYTES:,} bytes, the most that is read.", Origin(source, 1, 1))
    try:
        reader = _Reader(text, source)
    except ReaderError as error:
        fail("E002", f"The character U+{ord(text[error.position]):04X} cannot stand in YAML.", _at(source, text, error))
    return reader.document()


def _at(source: Source, text: str, error: ReaderError) -> Origin:
    lines = Source.of("", text[: error.position]).lines
    offset = source.offset if len(lines) == 1 else 0
    return Origin(source, len(lines), len(lines[-1]) + 1 + offset)


class _FastScanner(Reader, Scanner, Parser):
    """PyYAML's scanner and parser, with the steps that it takes most often made cheap."""

    _STEPS_OUT = re.compile("[\n\r\x85\u2028\u2029\ufeff]")
    _SPACES = re.compile(" *")
    _COMMENT = re.compile("[^\0\n\r\x85\u2028\u2029]*")

    def need_more_tokens(self) -> bool:
        if self.done or (self.tokens and not self.possible_simple_keys):
            return False
        return bool(super().need_more_tokens())

    def check_token(self, *choices: type) -> bool:
        while self.need_more_tokens():
            self.fetch_more_tokens()
        return bool(self.tokens) and (not choices or isinstance(self.tokens[0], choices))

    def forward(self, length: int = 1) -> None:
        end = self.pointer + length
        if self._STEPS_OUT.search(self.buffer, self.pointer, end):
            super().forward(length)
        else:
            self.pointer = end
            self.index += length
            self.column += length

    def scan_to_next_token(self) -> None:
        if self.index == 0 and self.peek() == "\ufeff":
            self.forward()
        while True:
            self._skip(self._SPACES)
            if self.peek() == "#":
                self._skip(self._COMMENT)
            if not self.scan_line_break():
                return
            if not self.flow_level:
                self.allow_simple_key = True

    def _skip(self, pattern: re.Pattern[str]) -> None:
        match = pattern.match(self.buffer, self.pointer)
        if match and match.end() > self.pointer:
            self.forward(match.end() - self.pointer)


class _Reader(_FastScanner):
    """PyYAML's events composed into values.

    Attributes:
        path: Steps to what is being read, for problems.
    """

    def __init__(self, text: str, source: Source) -> None:
        Reader.__init__(self, text)
        Scanner.__init__(self)
        Parser.__init__(self)
        self.source = source
        self.path: list[str | int] = []
        self.anchors: dict[str, tuple[Value, int]] = {}
        self.num_values = 0

    def document(self) -> Value:
        """Read the text's one document; nothing at all is null."""
        try:
            self.get_event()
            if self.check_event(ev.StreamEndEvent):
                return Scalar(None, Origin(self.source, 1, 1))
            self.get_event()
            value = self.value(0)
            self.get_event()
            if not self.check_event(ev.StreamEndEvent):
                self.fail("E005", "A second document begins here; a config is one.", self.peek_event())
        except MarkedYAMLError as error:
            self.fail_syntax(str(error.problem or error.context), error.problem_mark or error.context_mark)
        except _NOT_YAML as error:
            self.fail_syntax(str(error), self.get_mark())
        return value

    def fetch_flow_collection_start(self, token: type) -> None:
        # The scanner reads ahead of the values, and slower the deeper it is.
        if self.flow_level > MAX_DEPTH:
            self.fail_depth(self.get_mark(), self.get_mark())
        super().fetch_flow_collection_start(token)

    def value(self, depth: int) -> Value:
        """Read one value with all that is in it."""
        event = self.get_event()
        if depth > MAX_DEPTH:
            self.fail_depth(event.start_mark, event.end_mark)
        if isinstance(event, ev.AliasEvent):
            return self.alias(event)
        if event.tag is not None:
            self.fail("E005", f"Tags (here {event.tag}) are not allowed.", event, "Leave the tag out.")
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
            self.fail("E003", f"The alias *{event.anchor} has no complete anchor &{event.anchor} before it.", event)
        value, size = self.anchors[event.anchor]
        self.count(size, event)
        return value

    def count(self, number: int, event: ev.Event) -> None:
        self.num_values += number
        if self.num_values > MAX_VALUES:
            self.fail("E007", f"The file means more than {MAX_VALUES:,} values, the most that are read.", event)

    def scalar(self, event: ev.ScalarEvent) -> Scalar:
        origin = self.origin(event.start_mark, event.end_mark)
        if event.style is not None:
            bad = _CONTROL.search(event.value)
            if bad:
                self.fail("E002", f"The text contains the control character U+{ord(bad[0]):04X}.", event)
            return Scalar(event.value, origin, quoted=True)
        try:
            return Scalar(scalars.read(event.value), origin)
        except scalars.NumberError as error:
            self.fail("E008", str(error), event)

    def sequence(self, event: ev.SequenceStartEvent, depth: int) -> Sequence:
        items: list[Value] = []
        while not self.check_event(ev.SequenceEndEvent):
            self.path.append(len(items))
            items.append(self.value(depth + 1))
            self.path.pop()
        return Sequence(tuple(items), self.origin(event.start_mark, self.get_event().end_mark))

    def mapping(self, event: ev.MappingStartEvent, depth: int) -> Mapping:
        entries: dict[str, Entry] = {}
        while not self.check_event(ev.MappingEndEvent):
            key = self.value(depth + 1)
            name = self.key(key, entries)
            self.path.append(name)
            entries[name] = Entry(key.origin, self.value(depth + 1))
            self.path.pop()
        return Mapping(entries, self.origin(event.start_mark, self.get_event().end_mark))

    def key(self, key: Value, entries: dict[str, Entry]) -> str:
        """Return a key's text, or fail if it is none, is a merge key, or has been there before."""
        path = dotted(self.path)
        if not isinstance(key, Scalar) or not isinstance(key.value, str):
            fail("E006", "A key is a text.", key.origin, "Put it in quotes if it is meant as a text.", path)
        if key.value == "<<" and not key.quoted:
            hint = "Use extends, a block or ${values.name} for what is written twice."
            fail("E005", "Merge keys (<<) are not allowed.", key.origin, hint, path)
        if key.value in entries:
            message = f'The key "{key.value}" stands here twice; first at {entries[key.value].key.position}.'
            fail("E004", message, key.origin, "Keep one of the two.", dotted([*self.path, key.value]))
        return key.value

    def fail(self, code: str, message: str, event: ev.Event, hint: str | None = None) -> NoReturn:
        fail(code, message, self.origin(event.start_mark, event.end_mark), hint, dotted(self.path))

    def fail_depth(self, start: Mark, end: Mark) -> NoReturn:
        message = f"Lists and mappings are nested more than {MAX_DEPTH} deep here."
        fail("E007", message, self.origin(start, end), path=dotted(self.path[:8]))

    def fail_syntax(self, complaint: str, mark: Mark | None) -> NoReturn:
        message, hint = advice(complaint)
        fail("E003", message, self.origin(mark, mark), hint, dotted(self.path))

    def origin(self, start: Mark | None, end: Mark | None) -> Origin:
        """Return the place between two marks; one that spans lines is as long as its first."""
        if start is None or end is None:
            return Origin(self.source, 1, 1)
        offset = self.source.offset if start.line == 0 else 0
        length = end.column - start.column if end.line == start.line else 1
        return Origin(self.source, start.line + 1, start.column + 1 + offset, max(length, 1))
