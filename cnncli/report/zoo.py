"""The zoo as a table."""

from __future__ import annotations

import re
from collections.abc import Sequence

from cnncli.analysis.zoo import Exhibit
from cnncli.report.grid import Column, Grid
from cnncli.report.numbers import full, short, size
from cnncli.report.page import Page


def zoo_table(exhibits: Sequence[Exhibit]) -> Page:
    """Return the shipped networks for a console."""
    metrics = {exhibit.metric for exhibit in exhibits}
    one_metric = metrics.pop() if len(metrics) == 1 else None
    columns = (
        Column("Name", left=True),
        Column("Input", rank=2),
        Column("Layers", rank=3),
        Column("Parameters"),
        Column("MACs"),
        Column("Result" if one_metric is None else one_metric.replace("_", " ").capitalize()),
        Column("Source", left=True, rank=1, cut=True),
    )
    rows = [
        (
            exhibit.entry.name,
            size(exhibit.summary.input_shape),
            full(len(exhibit.summary.rows)),
            full(exhibit.summary.total_params),
            short(exhibit.summary.macs),
            exhibit.result if one_metric or not exhibit.result else f"{exhibit.metric} {exhibit.result}",
            _source(exhibit.entry.source),
        )
        for exhibit in exhibits
    ]
    hint = "Show one: cnn summary NAME. Train one: cnn train NAME. Change one: cnn init my.yaml --from NAME."
    return Page((Grid(columns, rows), "", hint))


def _source(source: str) -> str:
    """Return the authors or the place in short."""
    return re.split(r"[:;(]", source)[0].strip()
