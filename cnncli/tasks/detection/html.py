"""Sections of the report about how good a detector is: scores, curves, counting, confusions, examples with boxes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from cnncli.report.figures import AMOUNT
from cnncli.report.figures_pixels import encoded, tinted
from cnncli.report.html import Content, Html, element, section, table
from cnncli.report.html_chart import Axes, Series, line_chart
from cnncli.report.html_material import Image, Material
from cnncli.report.html_page import ATTRIBUTION, Section
from cnncli.report.html_parts import caption, image, note
from cnncli.report.numbers import full
from cnncli.tasks.confusion import LARGEST_MATRIX, MOST_LISTED, confusions
from cnncli.tasks.detection.average_precision import RECALLS
from cnncli.tasks.detection.evaluation import BACKGROUND
from cnncli.tasks.detection.page import confusion_text
from cnncli.tasks.html_parts import score_cell, shares_matrix, swatches
from cnncli.tasks.pages import LegendEntry

SCORES = {"ap": "AP", "ap50": "AP50", "ap75": "AP75", "voc_ap50": "VOC AP50", "ar100": "AR100"}

MOST_CURVES = 8
"""Classes whose curves are drawn: those with the lowest AP50."""


@dataclass(frozen=True)
class ExamplePictures:
    """What is drawn of a split's examples.

    Attributes:
        worst: Those with the lowest F1.
        first: The first ones.
        legend: Name and colour of each kind of box in them.
        heatmaps: The first ones with their objects, beside the heatmap laid over them.
        classes: Name and colour of each class in these.
    """

    worst: tuple[Image, ...]
    first: tuple[Image, ...]
    legend: tuple[LegendEntry, ...]
    heatmaps: tuple[Image, ...] = ()
    classes: tuple[LegendEntry, ...] = ()


def classes(material: Material) -> Html | None:
    """Return the scores of each class, or None without an evaluation."""
    found = material.evaluation
    if found is None:
        return None
    rows: list[Sequence[Content]] = [
        (
            row["class"],
            *(score_cell(row[name], bar=name == "ap50") for name in SCORES),
            full(row["objects"]),
            full(row["images"]),
        )
        for row in found["per_class"]
    ]
    sizes = ", ".join(f"{size} {_text(found[f'ap_{size}'])}" for size in ("small", "medium", "large"))
    what = f"Scores of each class on {full(found['num_examples'])} images of {found['split']}"
    facts = note(f"AP of small, medium and large objects (below 32², below 96² pixels, above): {sizes}.")
    return section("classes", "Classes", table(("Class", *SCORES.values(), "Objects", "Images"), rows, what), facts)


def _text(value: float | None) -> str:
    return "–" if value is None else f"{value:.4f}"


def precision(material: Material) -> Html | None:
    """Return precision against recall of the classes with the lowest AP50, or None without an evaluation."""
    found = material.evaluation
    known = [row for row in found["per_class"] if row["ap50"] is not None] if found else []
    if not known:
        return None
    drawn = sorted(known, key=lambda row: float(row["ap50"]))[:MOST_CURVES]
    charts = [_chart(row) for row in known if row in drawn]
    how = "The highest precision at each recall or beyond, at IoU 0.5."
    if len(drawn) < len(known):
        how += f" The {len(drawn)} of {len(known)} classes with the lowest AP50."
    return section("precision", "Precision and recall", element("p", how), element("div", charts, class_="charts"))


def _chart(row: Mapping[str, Any]) -> Html:
    points = list(zip(RECALLS.tolist(), row["curve"], strict=True))
    axes = Axes(f"{row['class']}: AP50 {row['ap50']:.4f}", "recall", "precision", (0.0, 1.0))
    return line_chart(axes, [Series("this network", points, "first")])


def counting(material: Material) -> Html | None:
    """Return how well objects are counted, or None without an evaluation."""
    found = material.evaluation
    if found is None:
        return None
    rows: list[Sequence[Content]] = [
        (
            row["class"],
            "–" if row["threshold"] is None else f"{row['threshold']:.3f}",
            *(score_cell(row[name]) for name in ("precision", "recall", "f1")),
            full(row["objects"]),
            full(row["detections"]),
            f"{row['count_error']:.2f}",
            f"{row['count_bias']:+.2f}".replace("-", "−"),
        )
        for row in found["per_class"]
    ]
    header = "Class", "Score", "Precision", "Recall", "F1", "Objects", "Detected", "Error an image", "Bias"
    how = (
        "Detections count from the score on that leads to the highest F1 on these images: on others, the numbers will "
        "be somewhat worse. The error is how many objects an image's count is off on average, the bias how many too "
        "many it has."
    )
    listed = table(header, rows, "Counting the objects of each class")
    return section("counting", "Counting", element("p", how), listed)


def confusion(material: Material) -> Html | None:
    """Return the confusion matrix in percent of the true class's objects, or None without an evaluation."""
    found = material.evaluation
    if found is None:
        return None
    names = [*found["classes"], BACKGROUND]
    if len(names) <= LARGEST_MATRIX:
        how = (
            f"Rows: true class. Columns: detected class. Numbers: percent of the true class's objects. {BACKGROUND} "
            "stands for no object: its column holds what is missed, its row false detections, of nothing or again."
        )
        shown = shares_matrix(names, found["confusion_matrix"])
    else:
        how = f"The {MOST_LISTED} most frequent errors of {full(len(found['classes']))} classes."
        most = confusions(names, found["confusion_matrix"])[:MOST_LISTED]
        rows = [(confusion_text(true, detected), full(count)) for count, true, detected in most]
        shown = table(("Error", "Objects"), rows, "Most frequent errors")
    return section("confusion", "Confusion matrix", element("p", how), shown)


def examples(material: Material) -> Html | None:
    """Return examples with their boxes, or None where none are at hand."""
    found = material.pictures.examples
    if not isinstance(found, ExamplePictures):
        return None
    return section(
        "examples",
        "Examples",
        element("p", "Objects are dashed, detections solid; a label says of what class an error is."),
        swatches(found.legend),
        element("h3", "Lowest F1"),
        _gallery(found.worst),
        element("h3", "First examples"),
        _gallery(found.first),
    )


def heatmaps(material: Material) -> Html | None:
    """Return the heatmaps of examples, or None where none are at hand."""
    found = material.pictures.examples
    if not isinstance(found, ExamplePictures) or not found.heatmaps:
        return None
    how = (
        "At the left objects, dashed, with a square on each centre, in the colours of their classes; at the right the "
        "highest score of all classes in each cell, and the same squares. An object is found where the score is higher "
        "than around it."
    )
    scale = Image(encoded(tinted(np.tile(np.linspace(0, 1, 160), (10, 1)), AMOUNT)), "dark to yellow")
    colours = element("p", "Scores: 0 ", image(scale, "drawing"), " 1")
    return section(
        "heatmaps", "Heatmaps", element("p", how), swatches(found.classes), colours, _gallery(found.heatmaps)
    )


def labels(material: Material) -> Html | None:
    """Return what the objects of the training split are as a whole, or None where they are not at hand."""
    found = material.pictures.labels
    if found is None:
        return None
    how = "Centres and boxes of the training split, in the pixels of the original images; each class has its colour."
    shown = element("figure", image(found, "sheet"), class_="sheet")
    return section("labels", "Objects of training", element("p", how), shown)


def _gallery(shown: Sequence[Image]) -> Html:
    figures = [element("figure", image(one, "drawing"), caption(one.caption)) for one in shown]
    return element("div", figures, class_="boxes") if figures else note("None.")


SECTIONS = (
    Section("classes", "Classes", classes),
    Section("precision", "Precision and recall", precision),
    Section("counting", "Counting", counting),
    Section("confusion", "Confusion matrix", confusion),
    Section("examples", "Examples", examples),
    Section("heatmaps", "Heatmaps", heatmaps),
    ATTRIBUTION,
    Section("labels", "Objects of training", labels),
)
"""What the report shows of a detector, in this order."""
