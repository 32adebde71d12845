"""Markdown as plain lines: what fits stands in columns, what does not is wrapped or stacked."""

from __future__ import annotations

from cnncli.report.markdown import plain, row, table

PAIRS = table(("name", "what"), [("`a`", "one two three four five six"), ("a_long_label_indeed", "seven | eight")])
TRIPLES = table(("what", "n", "time"), [("first", "1", "2 s"), ("second", "–", "3 s")])


def test_a_title_a_paragraph_and_a_section() -> None:
    """A title is underlined, a paragraph filled, and what follows a heading indented; code stays as it is."""
    text = "## Title\n\none two\nthree **four** `five six`\n\n"
    text += "### Part\n\n- item one\n  goes on\n- two\n\n```sh\na\n\nb  # c\n```\n"
    assert plain(text, 20).splitlines() == [
        "Title",
        "─────",
        "",
        "one two three four",
        "`five six`",
        "",
        "Part",
        "",
        "  - item one goes on",
        "  - two",
        "",
        "    a",
        "",
        "    b  # c",
    ]


def test_two_columns_are_a_label_and_its_text() -> None:
    """A label too long for its column stands above its text; an escaped bar is a bar."""
    assert plain(PAIRS, 24).splitlines() == [
        "  a  one two three four",
        "     five six",
        "  a_long_label_indeed",
        "     seven | eight",
    ]


def test_more_columns_stand_side_by_side_or_are_stacked() -> None:
    """Where the table is too wide, each row is a label with the other cells below it, empty ones left out."""
    assert plain(TRIPLES, 80).splitlines() == [
        "what    n  time",
        "───────────────",
        "first   1  2 s",
        "second  –  3 s",
    ]
    assert plain(TRIPLES, 14).splitlines() == [
        "first",
        "  n     1",
        "  time  2 s",
        "",
        "second",
        "  time  3 s",
    ]


def test_short_code_is_not_broken() -> None:
    """A command goes to the next line as a whole."""
    assert plain("run this: `cnn help layers`", 24) == "run this:\n`cnn help layers`"


def test_lines_are_never_too_wide_to_read() -> None:
    """A terminal of 300 columns is filled to 120."""
    assert max(map(len, plain("word " * 200, 300).splitlines())) in range(110, 121)


def test_a_row_escapes_bars() -> None:
    """A bar in a cell would begin another."""
    assert row("a|b", "c") == r"| a\|b | c |"
