"""Text and tables that print themselves: styled in a terminal's width, or plain and in full in a pipe."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cnncli.report.grid import Grid

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderableType


@dataclass(frozen=True, slots=True)
class Title:
    """A line that stands out."""

    text: str


@dataclass(frozen=True, slots=True)
class Page:
    """Parts below each other: a text, a title or a table each; an empty text is an empty line."""

    parts: tuple[str | Title | Grid, ...]

    def text(self, width: int | None = None) -> str:
        """Return the page as plain lines, without a line break at the end.

        Args:
            width: Characters that tables fit into, or None for as many as they take.
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
            else:
                title = isinstance(part, Title)
                yield Text(part.text if isinstance(part, Title) else part, style="bold" if title else "")


def _lines(part: str | Title | Grid, width: int | None) -> list[str]:
    if isinstance(part, Grid):
        return part.lines(width)
    return [part.text if isinstance(part, Title) else part]


def _markdown(part: str | Title | Grid) -> str:
    if isinstance(part, Grid):
        return part.markdown()
    return f"### {part.text}" if isinstance(part, Title) else part and f"- {part}"
