"""An evaluation as a table on the terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from cnncli.report.grid import Column, Grid
from cnncli.report.numbers import full
from cnncli.report.page import Entry, Page, Title
from cnncli.tasks.confusion import confusions

MOST_CLASSES = 20
"""Classes up to which the confusion matrix is printed; larger ones are for `cnn show confusion` and the report."""
MOST_CONFUSED = 5


def evaluation_page(document: Mapping[str, Any], width: int | None = None) -> Page:
    """Return the totals, a row for each class and the confusion matrix of what `cnn eval --json` prints.

    Args:
        document: The evaluation.
        width: Characters that the matrix must fit into to be printed, or None where there is no limit.
    """
    low, high = document["accuracy_interval"]
    headline = Title(f"accuracy {document['accuracy']:.4f}, 95 % interval {low:.4f} to {high:.4f}")
    parts = headline, *_totals(document), "", _classes(document), *_matrix(document, width), *_confusions(document)
    return Page(parts)


def _totals(document: Mapping[str, Any]) -> Iterator[Entry]:
    where = document.get("data") or document["split"]
    yield Entry("Examples", f"{full(document['num_examples'])} of {where}, checkpoint {document['checkpoint']}")
    yield Entry("Loss", f"{document['loss']:.4f} nats")
    top = document["top_k_accuracy"]
    if len(top) > 1:
        yield Entry("Top-k accuracy", ", ".join(f"{k}: {share:.4f}" for k, share in top.items()))
    ece = document["calibration"]["ece"]
    yield Entry("Calibration", f"confidence and accuracy differ by {ece:.4f} on average (ECE)")


def _classes(document: Mapping[str, Any]) -> Grid:
    names = ("precision", "recall", "f1")
    columns = (Column("Class", left=True), *map(Column, ("Precision", "Recall", "F1", "Support")))
    rows = [
        (row["class"], *(f"{row[name]:.4f}" for name in names), full(row["support"])) for row in document["per_class"]
    ]
    footer = [
        (f"{kind} average", *(f"{values[name]:.4f}" for name in names), "")
        for kind, values in document["averages"].items()
    ]
    return Grid(columns, rows, footer)


def _matrix(document: Mapping[str, Any], width: int | None) -> Iterator[str | Title | Grid]:
    """Yield the confusion matrix where it fits, zeros as dots so that mistakes stand out."""
    classes = document["classes"]
    columns = (Column("True", left=True), *(Column(_short(name)) for name in classes))
    rows = [
        (_short(name, 16), *("·" if count == 0 else full(count) for count in counts))
        for name, counts in zip(classes, document["confusion_matrix"], strict=True)
    ]
    grid = Grid(columns, rows)
    if len(classes) > MOST_CLASSES or (width is not None and max(map(len, grid.lines())) > width):
        return
    yield ""
    yield Title("Confusion matrix (number of examples)")
    yield "Rows: true class. Columns: predicted class."
    yield grid


def _confusions(document: Mapping[str, Any]) -> Iterator[str | Title]:
    worst = confusions(document["classes"], document["confusion_matrix"])[:MOST_CONFUSED]
    if worst:
        yield ""
        yield Title("Most confused")
    for count, true, predicted in worst:
        yield f"  {true} predicted as {predicted}: {full(count)}"


def _short(name: str, length: int = 5) -> str:
    return name if len(name) <= length else f"{name[: length - 1]}…"
