"""Sections of the report about how good a segmentation is: scores, confusions, examples with masks, calibration."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cnncli.report.html import Content, Html, element, section, table
from cnncli.report.html_material import Image, Material
from cnncli.report.html_page import ATTRIBUTION, Section
from cnncli.report.html_parts import caption, image, note
from cnncli.report.numbers import full
from cnncli.tasks.confusion import LARGEST_MATRIX, MOST_LISTED, confusions
from cnncli.tasks.html_parts import score_cell, shares_matrix, swatches
from cnncli.tasks.pages import LegendEntry
from cnncli.tasks.reliability import reliability
from cnncli.tasks.segmentation.page import SCORES


@dataclass(frozen=True)
class MaskPictures:
    """An example: the image, its mask and the prediction laid over it, and what is wrong.

    Attributes:
        images: The pictures.
        caption: The example's name and its IoU.
    """

    images: tuple[Image, ...]
    caption: str


@dataclass(frozen=True)
class ExamplePictures:
    """What is drawn of a split's examples.

    Attributes:
        worst: Those with the lowest IoU.
        first: The first ones.
        legend: Name and colour of each class in them, and of what is wrong.
    """

    worst: tuple[MaskPictures, ...]
    first: tuple[MaskPictures, ...]
    legend: tuple[LegendEntry, ...]


def classes(material: Material) -> Html | None:
    """Return the scores of each class, or None without an evaluation."""
    found = material.evaluation
    if found is None:
        return None
    scores = [name for name in SCORES if found["per_class"] and name in found["per_class"][0]]
    total = max(sum(row["pixels"] for row in found["per_class"]), 1)
    rows: list[Sequence[Content]] = [
        (
            row["class"],
            *(score_cell(row[name], bar=name == "iou") for name in scores),
            f"{100 * row['pixels'] / total:.2f} %",
            full(row["images"]),
        )
        for row in found["per_class"]
    ]
    header = "Class", *(SCORES[name] for name in scores), "Share of pixels", "Images"
    caption_ = f"Scores of each class on {full(found['num_examples'])} images of {found['split']}"
    absent = any(row["iou"] is None for row in found["per_class"])
    hint = note("–: the class neither occurs nor is predicted; the mean IoU leaves it out.") if absent else None
    return section("classes", "Classes", table(header, rows, caption_), hint)


def confusion(material: Material) -> Html | None:
    """Return the confusion matrix in percent of the true class's pixels, or None without an evaluation."""
    found = material.evaluation
    if found is None:
        return None
    if len(found["classes"]) <= LARGEST_MATRIX:
        how = "Rows: true class. Columns: predicted class. Numbers: percent of the true class's pixels."
        shown = shares_matrix(found["classes"], found["confusion_matrix"])
    else:
        how = f"The {MOST_LISTED} most frequent confusions of {full(len(found['classes']))} classes."
        shown = _pairs(found)
    return section("confusion", "Confusion matrix", element("p", how), shown)


def _pairs(found: Mapping[str, Any]) -> Html:
    most = confusions(found["classes"], found["confusion_matrix"])[:MOST_LISTED]
    rows = [(true, predicted, full(count)) for count, true, predicted in most]
    return table(("True class", "Predicted class", "Pixels"), rows, "Most frequent confusions")


def examples(material: Material) -> Html | None:
    """Return examples with their masks laid over them, or None where none are at hand."""
    found = material.pictures.examples
    if not isinstance(found, ExamplePictures):
        return None
    how = "From left to right: the image, its mask, the prediction, and where that is wrong."
    return section(
        "examples",
        "Examples",
        element("p", how),
        swatches(found.legend),
        element("h3", "Lowest IoU"),
        _gallery(found.worst),
        element("h3", "First examples"),
        _gallery(found.first),
    )


def _gallery(shown: Sequence[MaskPictures]) -> Html:
    figures = [element("figure", map(image, one.images), caption(one.caption)) for one in shown]
    return element("div", figures, class_="masks") if figures else note("None.")


def calibration(material: Material) -> Html | None:
    """Return the reliability diagram of the pixels, or None without an evaluation."""
    if material.evaluation is None:
        return None
    return reliability(material.evaluation["calibration"], "pixels", " over all pixels")


SECTIONS = (
    Section("classes", "Classes", classes),
    Section("confusion", "Confusion matrix", confusion),
    Section("examples", "Examples", examples),
    ATTRIBUTION,
    Section("calibration", "Calibration", calibration),
)
"""What the report shows of a segmentation's predictions, in this order."""
