"""An invariance profile as a table on the terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cnncli.report.grid import Column, Grid
from cnncli.report.numbers import full
from cnncli.report.page import Page, Title
from cnncli.report.passport import bar

COLUMNS = (
    Column("Distortion", left=True),
    Column("Amount"),
    Column("Accuracy"),
    Column("Same prediction"),
    Column("", left=True, rank=1),
)


def invariance_page(document: Mapping[str, Any]) -> Page:
    """Return a row for each strength of each distortion: accuracy, and the share of unchanged predictions."""
    rows = []
    for curve in document["curves"]:
        name = f"{curve['distortion']} ({curve['unit']})"
        for point in curve["points"]:
            numbers = f"{point['amount']:g}".replace("-", "−"), f"{point['accuracy']:.4f}", f"{point['agreement']:.4f}"
            rows.append((name, *numbers, bar(point["accuracy"])))
            name = ""
    title = f"Invariance: {full(document['num_examples'])} examples of {document['split']}"
    return Page((Title(title), "", Grid(COLUMNS, rows)))
