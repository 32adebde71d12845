"""The zoo as a table."""

from __future__ import annotations

import re
from collections.abc import Sequence

from cnncli.analysis.zoo import Exhibit
from cnncli.report.grid import Column, Grid
from cnncli.report.numbers import full, short, size
from cnncli.report.page import Page

COLUMNS = (
    Column("Name", left=True),
    Column("Input", rank=2),
    Column("Layers", rank=3),
    Column("Parameters"),
    Column("MACs"),
    Column("Accuracy"),
    Column("Source", left=True, rank=1, cut=True),
)


def zoo_table(exhibits: Sequence[Exhibit]) -> Page:
    """Return the shipped networks for a console."""
    rows = [
        (
            exhibit.entry.name,
            size(exhibit.summary.input_shape),
            full(len(exhibit.summary.rows)),
            full(exhibit.summary.total_params),
            short(exhibit.summary.macs),
            exhibit.accuracy,
            _source(exhibit.entry.source),
        )
        for exhibit in exhibits
    ]
    hint = "Show one: cnn summary NAME. Train one: cnn train NAME. Change one: cnn init my.yaml --from NAME."
    return Page((Grid(COLUMNS, rows), "", hint))


def _source(source: str) -> str:
    """Return the authors or the place in short."""
    return re.split(r"[:;(]", source)[0].strip()
