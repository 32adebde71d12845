"""PyYAML's scanner and parser as one stream of events: bounded in depth, and fast where it is used most."""

from __future__ import annotations

import re
from typing import Any

from yaml.error import Mark
from yaml.parser import Parser
from yaml.reader import Reader
from yaml.scanner import Scanner

_LINE_BREAK_OR_BOM = re.compile("[\n\r\x85\u2028\u2029\ufeff]")
_SPACES = re.compile(" *")
_COMMENT = re.compile("[^\0\n\r\x85\u2028\u2029]*")


class TooDeepError(Exception):
    """Brackets and braces are nested deeper than allowed.

    Args:
        mark: Where the first that is too deep begins.
    """

    def __init__(self, mark: Mark) -> None:
        super().__init__("too deep")
        self.mark = mark


class Events(Reader, Scanner, Parser):
    """The events of a YAML text.

    Pure Python: libyaml's parser ends the process on a few thousand nested brackets.

    Args:
        text: The text.
        max_depth: How deep brackets and braces may be nested; reading ahead gets slower with the depth.
    """

    def __init__(self, text: str, max_depth: int) -> None:
        Reader.__init__(self, text)
        Scanner.__init__(self)
        Parser.__init__(self)
        self.max_depth = max_depth

    def next(self) -> Any:
        """Return the next event."""
        return self.get_event()  # type: ignore[no-untyped-call]

    def peek_next(self) -> Any:
        """Return the next event and leave it there."""
        return self.peek_event()  # type: ignore[no-untyped-call]

    def fetch_flow_collection_start(self, TokenClass: Any) -> None:  # noqa: N803 - PyYAML's name
        """Begin a list in brackets or a mapping in braces."""
        if self.flow_level > self.max_depth:
            raise TooDeepError(self.get_mark())
        super().fetch_flow_collection_start(TokenClass)

    def need_more_tokens(self) -> bool:
        """Say whether the next token is not yet certain."""
        if self.done or (self.tokens and not self.possible_simple_keys):
            return False
        return bool(super().need_more_tokens())

    def check_token(self, *choices: Any) -> bool:
        """Say whether the next token is of one of these types."""
        if not self.tokens or self.possible_simple_keys:
            while self.need_more_tokens():
                self.fetch_more_tokens()
        return bool(self.tokens) and (not choices or isinstance(self.tokens[0], choices))

    def forward(self, length: int = 1) -> None:
        """Step over characters."""
        end = self.pointer + length
        if _LINE_BREAK_OR_BOM.search(self.buffer, self.pointer, end):
            super().forward(length)
        else:
            self.pointer = end
            self.index += length
            self.column += length

    def scan_to_next_token(self) -> None:
        """Step over spaces, comments and line breaks."""
        if self.index == 0 and self.peek() == "\ufeff":
            self.forward()
        while True:
            self._skip(_SPACES)
            if self.peek() == "#":
                self._skip(_COMMENT)
            if not self.scan_line_break():  # type: ignore[no-untyped-call]
                return
            if not self.flow_level:
                self.allow_simple_key = True

    def _skip(self, pattern: re.Pattern[str]) -> None:
        match = pattern.match(self.buffer, self.pointer)
        if match and match.end() > self.pointer:
            self.forward(match.end() - self.pointer)
