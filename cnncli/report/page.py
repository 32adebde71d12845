"""Text and tables that print themselves: styled in a terminal's width, or plain and in full in a pipe."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cnncli.report.grid import Grid

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderableType

INDENT = 17
"""Column at which the text of an entry begins."""


@dataclass(frozen=True, slots=True)
class Title:
    """A line that stands out."""

    text: str


@dataclass(frozen=True, slots=True)
class Entry:
    """A label with a text beside it and perhaps a remark below that."""

    label: str
    text: str
    remark: str = ""

    def lines(self, width: int | None = None) -> list[str]:
        """Return the entry, wrapped to a width with the text in a column of its own."""
        indent = " " * INDENT
        first = f"  {self.label}".ljust(INDENT - 1) + " "
        found = _wrapped(self.text, width, first, indent)
        return found + (_wrapped(self.remark, width, indent, indent) if self.remark else [])


Part = str | Title | Entry | Grid


@dataclass(frozen=True, slots=True)
class Page:
    """Parts below each other: texts, titles, entries and tables; an empty text is an empty line."""

    parts: tuple[Part, ...]

    def text(self, width: int | None = None) -> str:
        """Return the page as plain lines, without a line break at the end.

        Args:
            width: Characters to fit into, or None for as many as it takes.
        """
        return "\n".join(line for part in self.parts for line in _lines(part, width))

    def markdown(self) -> str:
        """Return the page in Markdown: titles as headings, texts as list entries."""
        return "\n\n".join(filter(None, map(_markdown, self.parts)))

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[RenderableType]:
        """Draw the parts in the console's width."""
        from rich.text import Text

        for part in self.parts:
            if isinstance(part, Grid):
                yield part
            elif isinstance(part, Entry):
                yield _styled(part, options.max_width)
            else:
                text = "\n".join(_lines(part, options.max_width))
                yield Text(text, style="bold" if isinstance(part, Title) else "")


def _styled(entry: Entry, width: int) -> RenderableType:
    from rich.text import Text

    text = Text("\n".join(entry.lines(width)))
    text.stylize("cyan", 0, 2 + len(entry.label))
    if entry.remark:
        text.stylize("dim", len("\n".join(Entry(entry.label, entry.text).lines(width))))
    return text


def _lines(part: Part, width: int | None) -> list[str]:
    if isinstance(part, (Grid, Entry)):
        return part.lines(width)
    text = part.text if isinstance(part, Title) else part
    if width is None or len(text) <= width:
        return [text]
    indent = " " * (len(text) - len(text.lstrip()) + 2)
    return textwrap.wrap(text, max(width, 20), subsequent_indent=indent)


def _markdown(part: Part) -> str:
    if isinstance(part, Grid):
        return part.markdown()
    if isinstance(part, Entry):
        return f"- {part.label}: {part.text}"
    return f"### {part.text}" if isinstance(part, Title) else part and f"- {part}"


def _wrapped(text: str, width: int | None, first: str, rest: str) -> list[str]:
    if width is None:
        return [first + text]
    return textwrap.wrap(text, max(width, INDENT + 20), initial_indent=first, subsequent_indent=rest)
