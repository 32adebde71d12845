"""Plain tables that fit the width they are given: numbers to the right, the least important columns left out first.

A thousand rows take a few milliseconds; a general table library needs half a second for them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cnncli.files.characters import visible

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions
    from rich.text import Text

GAP = "  "
NARROWEST = 22
"""Characters to which a column is cut before another column is left out instead."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column.

    Attributes:
        title: Its heading.
        left: Whether its text begins at the left, as words do; numbers end at the right.
        rank: Columns of a higher rank are left out first where the width is short; 0 always stays.
        cut: Whether its texts may be cut with "…".
    """

    title: str
    left: bool = False
    rank: int = 0
    cut: bool = False


@dataclass(frozen=True, slots=True)
class Grid:
    """Cells in rows and columns.

    Attributes:
        columns: The columns, the naming one first.
        rows: Texts, one for each column.
        footer: Rows below a second line: totals.
    """

    columns: tuple[Column, ...]
    rows: Sequence[tuple[str, ...]]
    footer: Sequence[tuple[str, ...]] = ()

    def lines(self, width: int | None = None) -> list[str]:
        """Return the table's lines: heading, line, rows, and with a footer another line and its rows.

        Args:
            width: Characters to fit into, or None for as many as it takes.
        """
        widths = self._fitted(width)
        kept = tuple(widths)
        body = [self._line(row, widths) for row in self.rows]
        ruler = "─" * (sum(widths.values()) + len(GAP) * (len(kept) - 1))
        head = self._line(tuple(column.title for column in self.columns), widths)
        foot = [ruler, *(self._line(row, widths) for row in self.footer)] if self.footer else []
        return [head, ruler, *body, *foot]

    def markdown(self) -> str:
        """Return the table in Markdown, all columns."""
        marks = [":---" if column.left else "---:" for column in self.columns]
        footer = [tuple(f"**{cell.strip()}**" if cell else "" for cell in row) for row in self.footer]
        rows = [tuple(c.title for c in self.columns), tuple(marks), *self.rows, *footer]
        return "\n".join(f"| {' | '.join(cell.strip().replace('|', '&#124;') for cell in row)} |" for row in rows)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Text]:
        """Draw the table in the console's width, headings and totals bold."""
        from rich.text import Text

        lines = self.lines(options.max_width)
        last = len(lines) - len(self.footer)
        text = Text("\n".join(lines), no_wrap=True, overflow="crop")
        start = 0
        for index, line in enumerate(lines):
            if index == 0 or index >= last:
                text.stylize("bold", start, start + len(line))
            elif line.startswith("──"):
                text.stylize("dim", start, start + len(line))
            start += len(line) + 1
        yield text

    def _fitted(self, width: int | None) -> dict[int, int]:
        """Return the width of each column that is shown, by its index."""
        texts = [tuple(column.title for column in self.columns), *self.rows, *self.footer]
        natural = {i: max(len(_shown(text)) for text in column) for i, column in enumerate(zip(*texts, strict=True))}
        if width is None:
            return natural
        widths = {i: min(w, NARROWEST) if self.columns[i].cut else w for i, w in natural.items()}
        for rank in sorted({c.rank for c in self.columns if c.rank}, reverse=True):
            if _total(widths) <= width:
                break
            widths = {i: w for i, w in widths.items() if self.columns[i].rank != rank}
        for i in widths:
            if self.columns[i].cut:
                widths[i] = max(min(natural[i], widths[i] + width - _total(widths)), 1)
        return widths

    def _line(self, row: tuple[str, ...], widths: dict[int, int]) -> str:
        cells = []
        for index, width in widths.items():
            text = _shown(row[index])
            text = text if len(text) <= width else text[: width - 1] + "…"
            cells.append(text.ljust(width) if self.columns[index].left else text.rjust(width))
        return GAP.join(cells).rstrip()


def _shown(cell: str) -> str:
    """Return a cell as one line without control characters: names of files and classes may hold any."""
    return cell if cell.isprintable() else visible(cell).replace("\n", "\\n")


def _total(widths: dict[int, int]) -> int:
    return sum(widths.values()) + len(GAP) * (len(widths) - 1)
