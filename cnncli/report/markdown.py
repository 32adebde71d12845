"""Markdown as plain lines that fit a width: headings, paragraphs, lists, tables and code.

It knows what this project's own pages use. Code is never broken, because it is there to be copied.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Iterator

WIDEST = 120
"""Characters above which lines are hard to read, however wide the terminal."""
_GAP = "  "
_LABEL = 0.4
"""Largest share of the width that the first column of two takes; longer labels stand above their text."""
_BLANK = re.compile(r"\n\s*\n")
_HEADING = re.compile(r"(#+) (.+)")
_ITEM = re.compile(r"^- ", re.MULTILINE)
_COMMAND = re.compile(r"`[^`]{1,40}`")
_STICKY = "\N{NO-BREAK SPACE}"
"""Stands for the spaces of short code while lines are filled, so that `cnn help` stays on one of them."""
_CELL = re.compile(r"(?<!\\)\|")


def plain(markdown: str, width: int) -> str:
    """Return a page as plain text, without a line break at the end.

    A title (`##`) is underlined; what follows a heading (`###`) is indented below it.

    Args:
        markdown: The page.
        width: Characters to fit into.
    """
    width = min(width, WIDEST)
    indent, parts = "", []
    for block in _blocks(markdown):
        heading = _HEADING.fullmatch(block)
        if heading is None:
            margin = "" if _is_code(block) else indent
            lines = [(margin + line).rstrip() for line in _lines(block, width - len(margin))]
        else:
            indent = "  " if len(heading[1]) > 2 else ""
            lines = _wrapped(heading[2], width)
            lines += [] if indent else ["─" * max(map(len, lines))]
        parts.append("\n".join(lines))
    return "\n\n".join(parts)


def row(*cells: str) -> str:
    """Return a line of a table."""
    escaped = (cell.replace("|", r"\|") for cell in cells)
    return f"| {' | '.join(escaped)} |"


def table(titles: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    """Return a table in Markdown."""
    return "\n".join([row(*titles), "|" + "---|" * len(titles), *(row(*cells) for cells in rows)])


def _blocks(markdown: str) -> Iterator[str]:
    """Return paragraphs, headings, lists, tables and code, each as it is written; a fenced code is one block."""
    for index, part in enumerate(re.split(r"^```.*\n((?:.*\n)*?)```$", markdown, flags=re.MULTILINE)):
        if index % 2:
            yield textwrap.indent(part.rstrip("\n"), "    ")
        else:
            yield from _joined([block for block in _BLANK.split(part.strip("\n")) if block.strip()])


def _joined(blocks: list[str]) -> list[str]:
    """Return blocks with the parts of an indented code, between which there are empty lines, put together."""
    found: list[str] = []
    for block in blocks:
        if found and _is_code(block) and _is_code(found[-1]):
            found[-1] += f"\n\n{block}"
        else:
            found.append(block)
    return found


def _is_code(block: str) -> bool:
    return block.startswith("    ")


def _lines(block: str, width: int) -> list[str]:
    if _is_code(block):
        return block.splitlines()
    if block.startswith("|"):
        return _table(block, width)
    lead, *items = _ITEM.split(block)
    lines = _wrapped(lead, width) if lead.strip() else []
    for item in items:
        lines += _wrapped(item, width, "- ", "  ")
    return lines


def _table(block: str, width: int) -> list[str]:
    """Return a table: a label and its text beside it, in columns where they fit, else one row below the other."""
    titles, _, *rows = ([_cell(cell) for cell in _CELL.split(line)[1:-1]] for line in block.splitlines())
    if len(titles) == 2:
        return _pairs(rows, width)
    widths = [max(map(len, column)) for column in zip(titles, *rows, strict=True)]
    if sum(widths) + len(_GAP) * (len(widths) - 1) > width:
        return _stacked(titles, rows, width)
    lines = [
        _GAP.join(cell.ljust(n) for cell, n in zip(line, widths, strict=True)).rstrip() for line in [titles, *rows]
    ]
    return [lines[0], "─" * (sum(widths) + len(_GAP) * (len(widths) - 1)), *lines[1:]]


def _pairs(rows: list[list[str]], width: int, indent: str = "  ") -> list[str]:
    """Return labels with their texts in a second column."""
    labels = [label for label, _ in rows if len(label) <= width * _LABEL]
    rest = " " * (max(map(len, labels), default=4) + 2 * len(_GAP))
    lines = []
    for label, text in rows:
        if label in labels:
            lines += _wrapped(text, width, f"{indent}{label}".ljust(len(rest)), rest)
        else:
            lines += [*_wrapped(label, width, indent, indent * 2), *_wrapped(text, width, rest, rest)]
    return lines


def _stacked(titles: list[str], rows: list[list[str]], width: int) -> list[str]:
    """Return each row as its first cell, and below it the others with their titles."""
    lines: list[str] = []
    for label, *cells in rows:
        pairs = [[title, cell] for title, cell in zip(titles[1:], cells, strict=True) if cell not in ("", "–")]
        lines += [*([""] if lines else []), *_wrapped(label, width), *_pairs(pairs, width)]
    return lines


def _cell(text: str) -> str:
    return text.strip().replace(r"\|", "|").replace("`", "").replace("**", "")


def _wrapped(text: str, width: int, first: str = "", rest: str = "") -> list[str]:
    joined = _COMMAND.sub(lambda code: code[0].replace(" ", _STICKY), " ".join(text.replace("**", "").split()))
    lines = textwrap.wrap(
        joined,
        width,
        initial_indent=first,
        subsequent_indent=rest,
        break_long_words=False,
        break_on_hyphens=False,
    )
    return [line.replace(_STICKY, " ") for line in lines] or [first.rstrip()]
