"""An evaluation of a detector as tables on the terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from cnncli.report.grid import Column, Grid
from cnncli.report.numbers import full
from cnncli.report.page import Entry, Page, Title
from cnncli.tasks.confusion import confusions
from cnncli.tasks.detection.evaluation import BACKGROUND

MOST_CONFUSED = 5


def evaluation_page(document: Mapping[str, Any]) -> Page:
    """Return the totals, two tables of the classes and the largest confusions of what `cnn eval --json` prints."""
    interval = document["ap50_interval"]
    certain = "" if interval is None else ", 95 % interval {:.4f} to {:.4f} (over images)".format(*interval)
    headline = Title(f"AP {_score(document['ap'])}, AP50 {_score(document['ap50'])}{certain}")
    tables = (_classes(document), "", *_counting(document)) if document["per_class"] else ()
    return Page((headline, *_totals(document), "", *tables, *_confusions(document)))


def _totals(document: Mapping[str, Any]) -> Iterator[Entry]:
    where = document.get("data") or document["split"]
    objects = f"{full(document['num_objects'])} objects in {full(document['num_examples'])} images"
    yield Entry("Examples", f"{objects} of {where}, checkpoint {document['checkpoint']}")
    if document["loss"] is not None:
        yield Entry("Loss", f"{document['loss']:.4f}")
    small, medium, large = (_score(document[f"ap_{size}"]) for size in ("small", "medium", "large"))
    yield Entry("AP75", _score(document["ap75"]))
    yield Entry("AP by size", f"small objects, to 32² pixels, {small}; medium, to 96², {medium}; large {large}")
    recalls = ", ".join(f"{_score(document[f'ar{most}'])} from {most}" for most in (1, 10, 100))
    yield Entry("AR", f"{recalls} detections of an image and class")
    yield Entry("VOC AP50", f"{_score(document['voc_ap50'])}, the area below all points of the curve")


def _score(value: float | None) -> str:
    return "–" if value is None else f"{value:.4f}"


def _classes(document: Mapping[str, Any]) -> Grid:
    """Return the scores of each class; the last columns go first where there is no room for all."""
    scores = {"ap": "AP", "ap50": "AP50", "ap75": "AP75", "voc_ap50": "VOC AP50", "ar100": "AR100"}
    ranks = {"ap75": 2, "voc_ap50": 3, "ar100": 3}
    columns = (
        Column("Class", left=True),
        *(Column(title, rank=ranks.get(name, 0)) for name, title in scores.items()),
        Column("Objects"),
        Column("Images", rank=1),
    )
    rows = [
        (row["class"], *(_score(row[name]) for name in scores), full(row["objects"]), full(row["images"]))
        for row in document["per_class"]
    ]
    return Grid(columns, rows)


def _counting(document: Mapping[str, Any]) -> Iterator[str | Title | Grid]:
    """Yield how well objects are counted from the score on that is best for each class."""
    yield Title("Counting from the score with the highest F1 on these images: error and bias of an image's count")
    columns = (
        Column("Class", left=True),
        Column("Score"),
        Column("Precision", rank=2),
        Column("Recall", rank=2),
        Column("F1"),
        Column("Detected"),
        Column("Error"),
        Column("Bias", rank=1),
    )
    rows = [
        (
            row["class"],
            "–" if row["threshold"] is None else f"{row['threshold']:.3f}",
            *(_score(row[name]) for name in ("precision", "recall", "f1")),
            full(row["detections"]),
            f"{row['count_error']:.2f}",
            f"{row['count_bias']:+.2f}".replace("-", "−"),
        )
        for row in document["per_class"]
    ]
    yield Grid(columns, rows)


def _confusions(document: Mapping[str, Any]) -> Iterator[str | Title]:
    names = [*document["classes"], BACKGROUND]
    worst = confusions(names, document["confusion_matrix"])[:MOST_CONFUSED]
    if worst:
        yield ""
        yield Title("Most errors, from these scores on")
    for count, true, detected in worst:
        yield f"  {confusion_text(true, detected)}: {full(count)}"


def confusion_text(true: str, detected: str) -> str:
    """Return what an error is, in words."""
    if detected == BACKGROUND:
        return f"{true} missed"
    return f"{detected} detected falsely" if true == BACKGROUND else f"{true} detected as {detected}"
