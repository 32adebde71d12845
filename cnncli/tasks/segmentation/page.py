"""An evaluation of a segmentation as a table on the terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from cnncli.report.grid import Column, Grid
from cnncli.report.numbers import full
from cnncli.report.page import Entry, Page, Title
from cnncli.tasks.confusion import confusions

MOST_CONFUSED = 5

SCORES = {"iou": "IoU", "precision": "Precision", "recall": "Recall", "f1": "F1", "boundary_f1": "Boundary F1"}
"""Scores of a class by their key, and what they are called."""


def evaluation_page(document: Mapping[str, Any]) -> Page:
    """Return the totals, a row for each class and the largest confusions of what `cnn eval --json` prints."""
    low, high = document["mean_iou_interval"]
    headline = Title(f"mean IoU {document['mean_iou']:.4f}, 95 % interval {low:.4f} to {high:.4f} (over images)")
    return Page((headline, *_totals(document), "", _classes(document), *_confusions(document)))


def _totals(document: Mapping[str, Any]) -> Iterator[Entry]:
    where = document.get("data") or document["split"]
    pixels = f"{full(document['num_pixels'])} pixels of {full(document['num_examples'])} images"
    yield Entry("Examples", f"{pixels} of {where}, checkpoint {document['checkpoint']}")
    yield Entry("Loss", f"{document['loss']:.4f} nats")
    yield Entry(
        "Pixel accuracy", f"{document['pixel_accuracy']:.4f}, mean over classes {document['mean_accuracy']:.4f}"
    )
    if document.get("mean_boundary_f1") is not None:
        yield Entry("Boundary F1", f"{document['mean_boundary_f1']:.4f}, mean over classes")
    yield from _foreground(document)
    ece = document["calibration"]["ece"]
    yield Entry("Calibration", f"confidence and accuracy differ by {ece:.4f} on average (ECE over pixels)")


def _foreground(document: Mapping[str, Any]) -> Iterator[Entry]:
    """Yield the scores that only a task of two classes has."""
    if document.get("dice") is not None:
        yield Entry("Dice", f"{document['dice']:.4f} of {document['foreground']}, over all pixels")
    if document.get("adapted_rand_error") is not None:
        about = f"of the objects of {document['foreground']}, mean over images"
        yield Entry("Rand error", f"{document['adapted_rand_error']:.4f}, adapted: {about}")


def _classes(document: Mapping[str, Any]) -> Grid:
    per_class = document["per_class"]
    scores = {name: title for name, title in SCORES.items() if per_class and name in per_class[0]}
    # The last columns go first where there is no room for all.
    ranks = {"precision": 2, "recall": 2, "f1": 3, "boundary_f1": 1}
    columns = (
        Column("Class", left=True),
        *(Column(title, rank=ranks.get(name, 0)) for name, title in scores.items()),
        Column("Share of pixels"),
        Column("Images", rank=1),
    )
    total = max(sum(row["pixels"] for row in per_class), 1)
    rows = [
        (
            row["class"],
            *("–" if row[name] is None else f"{row[name]:.4f}" for name in scores),
            f"{100 * row['pixels'] / total:.2f} %",
            full(row["images"]),
        )
        for row in per_class
    ]
    return Grid(columns, rows)


def _confusions(document: Mapping[str, Any]) -> Iterator[str | Title]:
    worst = confusions(document["classes"], document["confusion_matrix"])[:MOST_CONFUSED]
    total = max(sum(map(sum, document["confusion_matrix"])), 1)
    if worst:
        yield ""
        yield Title("Most confused")
    for count, true, predicted in worst:
        yield f"  {true} predicted as {predicted}: {100 * count / total:.2f} % of all pixels"
