"""Problems as a compiler prints them: place, message, excerpt with a caret, what to do."""

from __future__ import annotations

import os
import textwrap
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from cnncli.errors import Problem

if TYPE_CHECKING:
    from rich.console import Console

WIDTH = 100
"""Columns that a problem takes at most, and where neither a terminal nor COLUMNS says how many there are."""
LEAST_WIDTH = 20
_STYLES = {"place": "bold", "error": "bold red", "warning": "bold yellow", "caret": "bold red", "hint": "cyan"}

Line = tuple[str, str]
"""A line and what it is: a key of `_STYLES`, or nothing special."""


def problem_text(problem: Problem, width: int = WIDTH) -> str:
    """Return a problem as lines of plain text."""
    return "\n".join(text for text, _ in _lines(problem, width))


def problems_text(problems: Iterable[Problem], width: int = WIDTH) -> str:
    """Return problems as plain text, an empty line between two."""
    return "\n\n".join(problem_text(problem, width) for problem in problems)


def print_problems(problems: Iterable[Problem], console: Console) -> None:
    """Print problems in the width of the terminal or of COLUMNS, with colours where a terminal has them."""
    from rich.text import Text

    is_known = console.is_terminal or "COLUMNS" in os.environ
    width = max(min(WIDTH, console.width), LEAST_WIDTH) if is_known else WIDTH
    for number, problem in enumerate(problems):
        if number:
            console.print()
        for text, kind in _lines(problem, width):
            console.print(Text(text, style=_STYLES.get(kind, "")), soft_wrap=True)


def _lines(problem: Problem, width: int) -> Iterator[Line]:
    yield from ((line, problem.severity) for line in _header(problem, width))
    yield from ((line, "") for line in _wrapped(problem.message, width))
    if problem.excerpt is not None and problem.line is not None:
        yield from _excerpt(problem, width)
    if problem.hint:
        yield from ((line, "hint") for line in _wrapped(problem.hint, width))


def _header(problem: Problem, width: int) -> Iterator[str]:
    """Yield where it is and its code; in a narrow terminal the path in a line of its own."""
    place = ":".join(str(part) for part in (problem.file, problem.line, problem.column) if part is not None)
    left, room = printable(f"{place}  {problem.path}".strip()), width - len(problem.code) - 1
    if len(left) <= room or width == WIDTH or not place:
        yield f"{left:<{room}} {problem.code}"
        return
    yield f"{printable(place):<{room}} {problem.code}"
    yield f"  {printable(problem.path)}"


def _wrapped(text: str, width: int) -> list[str]:
    lines: list[str] = []
    for line in printable(text).split("\n"):
        lines += textwrap.wrap(line, width, initial_indent="  ", subsequent_indent="  ", break_on_hyphens=False)
    return lines


def _excerpt(problem: Problem, width: int) -> Iterator[Line]:
    """Yield the line with a margin, cut to the width around the caret, and the caret below it."""
    gutter = f"{problem.line:>7} | "
    room = width - len(gutter)
    text = printable(problem.excerpt or "")
    caret = (problem.column or 1) - 1
    start = 0
    if len(text) > room and caret > room // 2:
        start = min(caret - room // 2, len(text) - room)
    shown = text[start : start + room]
    if start:
        shown = "…" + shown[1:]
    if start + room < len(text):
        shown = shown[:-1] + "…"
    length = max(1, min(problem.length, len(shown) - (caret - start)))
    yield f"{gutter}{shown}".rstrip(), ""
    indent = _columns(shown[: caret - start])
    yield f"{'':>7} | {'':{indent}}{'^' * length}", "caret"


def printable(text: str) -> str:
    """Replace what would move a terminal's cursor or change its colours."""
    text = text.replace("\t", " ")
    return text if text.isprintable() else "".join(c if c.isprintable() or c == "\n" else "�" for c in text)


def _columns(text: str) -> int:
    """Return the width of a text on a terminal; characters of East Asian scripts take two columns."""
    if text.isascii():
        return len(text)
    from rich.cells import cell_len

    return cell_len(text)
