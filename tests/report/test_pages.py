"""Tables and pages at every width, in colour and in pipes."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from cnncli.analysis.explain import explain
from cnncli.analysis.summary import summarize
from cnncli.config.load import load
from cnncli.report.explanation import explanation_page
from cnncli.report.grid import Column, Grid
from cnncli.report.numbers import full, short, signed
from cnncli.report.outline import marks
from cnncli.report.page import Page, Title
from cnncli.report.tables import summary_markdown, summary_table, summary_text

GRID = Grid(
    (
        Column("Name", left=True, cut=True),
        Column("Count"),
        Column("Rare", rank=2),
        Column("Rarer", rank=3),
    ),
    [("a", "1", "x", "y"), ("b" * 30, "1,000", "", "")],
    [("Total", "1,001", "", "")],
)


def test_numbers_end_in_one_column() -> None:
    """Words begin at the left, numbers end at the right, totals stand below a line."""
    assert GRID.lines() == [
        "Name                            Count  Rare  Rarer",
        "──────────────────────────────────────────────────",
        "a                                   1     x      y",
        "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbb  1,000",
        "──────────────────────────────────────────────────",
        "Total                           1,001",
    ]


@pytest.mark.parametrize(
    ("width", "heading"),
    [
        (50, "Name                            Count  Rare  Rarer"),
        (42, "Name                    Count  Rare  Rarer"),
        (41, "Name                          Count  Rare"),
        (34, "Name                         Count"),
        (20, "Name           Count"),
    ],
)
def test_columns_go_before_names_are_cut_short(width: int, heading: str) -> None:
    """Names are cut to 22 characters, then columns go by rank, then names are cut further."""
    lines = GRID.lines(width)
    assert lines[0] == heading
    assert max(map(len, lines)) <= width


@pytest.mark.parametrize("name", ["digits_lenet", "googlenet", "resnet50", "vgg16"])
@pytest.mark.parametrize("width", [60, 80, 120])
def test_summaries_fit(name: str, width: int) -> None:
    """No line is longer than the terminal, and the counts are never cut."""
    summary = summarize(load(name))
    text = summary_text(summary, width)
    assert max(map(len, text.splitlines())) <= width
    assert f"{summary.total_params:,}" in text
    assert f"{summary.macs:,}" in text


def test_a_terminal_shows_the_same_text() -> None:
    """What a coloured terminal shows is, without its colours, the plain text."""
    page = summary_table(summarize(load("lenet5")))
    plain = io.StringIO()
    Console(file=plain, width=80).print(page)
    assert [line.rstrip() for line in plain.getvalue().splitlines()] == page.text(80).splitlines()
    colour = io.StringIO()
    Console(file=colour, width=80, force_terminal=True, color_system="truecolor").print(page)
    assert "\x1b[1m" in colour.getvalue()


def test_explanations_on_a_terminal() -> None:
    """Entries keep their column when a terminal wraps them."""
    page = explanation_page(explain(load("googlenet"), "conv2d"))
    plain = io.StringIO()
    Console(file=plain, width=60).print(page)
    assert [line.rstrip() for line in plain.getvalue().splitlines()] == page.text(60).split("\n")


def test_markdown_is_a_table() -> None:
    """Every row has as many cells as the heading, and a bar within a cell does not end it."""
    lines = summary_markdown(summarize(load("lenet5"))).splitlines()
    rows = [line for line in lines if line.startswith("|")]
    assert len(rows) == 2 + 8 + 1
    assert len({row.count("|") for row in rows}) == 1
    assert "&#124;" in Grid((Column("x"),), [("a|b",)]).markdown()


def test_markdown_of_a_page() -> None:
    """Titles become headings and lines become entries."""
    assert Page((Title("T"), "", "a")).markdown() == "### T\n\n- a"


def test_branches_are_drawn() -> None:
    """A mark shows where branches begin, run side by side and meet."""
    paths = [
        "model.layers[0].Conv2D",
        "model.layers[1].Parallel[0][0].Conv2D",
        "model.layers[1].Parallel[0][1].Conv2D",
        "model.layers[1].Parallel[1][0].Residual.layers[0].ReLU",
        "model.layers[1].Parallel[1][0].Residual",
        "model.layers[1].Parallel",
        "model.layers[2].Dense",
    ]
    assert marks(paths) == ["", "┌ ", "│ ", "├ ┌ ", "│ └ ", "└ ", ""]


def test_repeated_residuals_are_drawn_apart() -> None:
    """A residual block that is repeated begins anew each time."""
    body = ["model.layers[0].Repeat.layers[0].Residual.layers[0].Conv2D", "model.layers[0].Repeat.layers[0].Residual"]
    assert marks(body * 2) == ["┌ ", "└ ", "┌ ", "└ "]


@pytest.mark.parametrize(
    ("number", "text"),
    [(0, "0"), (999, "999"), (1000, "1.00 k"), (61_706, "61.7 k"), (416_520, "417 k"), (15_470_000_000, "15.5 G")],
)
def test_short_numbers(number: int, text: str) -> None:
    """Three digits and a prefix."""
    assert short(number) == text


def test_short_numbers_do_not_round_over() -> None:
    """999,999 is 1.00 M, not 1000 k."""
    assert short(999_999) == "1.00 M"
    assert short(999.9) == "1.00 k"
    assert short(9_999) == "10.0 k"


def test_signs() -> None:
    """Differences carry a sign, and minus is a minus."""
    assert [signed(n) for n in (1216, -84, 0)] == ["+1,216", "−84", "0"]
    assert full(-1) == "−1"
    assert short(-2_000_000) == "−2.00 M"
