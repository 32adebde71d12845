"""Sections of the report about how good a classifier is: scores, confusions, mistakes, calibration."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from cnncli.report.html import Content, Html, data_uri, element, scrolling, section, table
from cnncli.report.html_chart import Axes, Series, line_chart
from cnncli.report.html_material import Image, Material
from cnncli.report.html_page import ATTRIBUTION, Section
from cnncli.report.html_parts import gallery, note
from cnncli.report.numbers import full
from cnncli.tasks.confusion import LARGEST_MATRIX, MOST_LISTED, SHADES, confusions
from cnncli.tasks.reliability import reliability

SCORES = ("precision", "recall", "f1")


@dataclass(frozen=True)
class Cell:
    """Examples of one cell of the confusion matrix.

    Attributes:
        images: Some of them.
        count: Number of all of them.
    """

    images: tuple[Image, ...]
    count: int


@dataclass(frozen=True)
class ExamplePictures:
    """What is drawn of a split's examples.

    Attributes:
        cells: Examples by true and predicted class.
        mistakes: The most confident mistakes.
        hits: The most confident right predictions.
    """

    cells: Mapping[tuple[str, str], Cell] = field(default_factory=dict)
    mistakes: tuple[Image, ...] = ()
    hits: tuple[Image, ...] = ()


def _examples(material: Material) -> ExamplePictures:
    """Return what was drawn of the examples; empty where they are not at hand."""
    found = material.pictures.examples
    return found if isinstance(found, ExamplePictures) else ExamplePictures()


def classes(material: Material) -> Html | None:
    """Return the scores of each class, or None without an evaluation."""
    found = material.evaluation
    if found is None:
        return None
    rows: list[Sequence[Content]] = [
        (row["class"], *(f"{row[name]:.4f}" for name in SCORES), full(row["support"])) for row in found["per_class"]
    ]
    rows += [
        (element("strong", f"{kind} average"), *(f"{scores[name]:.4f}" for name in SCORES), "")
        for kind, scores in found["averages"].items()
    ]
    top = ", ".join(f"{k}: {100 * share:.2f} %" for k, share in found.get("top_k_accuracy", {}).items())
    facts = note(f"Top-k accuracy: {top}.") if top else None
    header = "Class", "Precision", "Recall", "F1", "Support"
    caption = f"Scores of each class on {full(found['num_examples'])} examples of {found['split']}"
    return section("classes", "Classes", table(header, rows, caption), facts)


def confusion(material: Material) -> Html | None:
    """Return the confusion matrix; its cells open their examples. None without an evaluation."""
    found = material.evaluation
    if found is None:
        return None
    if len(found["classes"]) <= LARGEST_MATRIX:
        how = "Rows: true class. Columns: predicted class. Numbers: examples. Shade: fraction of the true class."
        shown = _matrix(found)
    else:
        how = f"The {MOST_LISTED} most frequent confusions of {full(len(found['classes']))} classes."
        shown = _pairs(found)
    keys = (
        "Select a number to see examples; arrow keys move between numbers, Enter opens."
        if _examples(material).cells
        else ""
    )
    panel = element("div", id="cell-panel", aria_live="polite")
    return section("confusion", "Confusion matrix", element("p", how, " ", keys), shown, panel)


def _matrix(found: Mapping[str, Any]) -> Html:
    names = found["classes"]
    head = element("tr", element("td"), [element("th", name, scope="col") for name in names])
    rows = []
    for true, counts in zip(names, found["confusion_matrix"], strict=True):
        total = sum(counts) or 1
        cells = [_count(true, predicted, n, n / total) for predicted, n in zip(names, counts, strict=True)]
        rows.append(element("tr", element("th", true, scope="row"), cells))
    inside = element("thead", head), element("tbody", rows)
    return scrolling(element("table", *inside, id="matrix", class_="matrix"), "Confusion matrix as numbers")


def _count(true: str, predicted: str, count: int, share: float) -> Html:
    if not count:
        return element("td", "0", class_="zero")
    shade = sum(share >= bound for bound in SHADES) - 1
    return element("td", _button(true, predicted, count), class_=f"s{shade}")


def _button(true: str, predicted: str, count: int) -> Html:
    """Return a number that opens its examples."""
    spoken = f"true {true}, predicted {predicted}: {full(count)}"
    return element("button", full(count), type="button", aria_label=spoken, data_true=true, data_predicted=predicted)


def _pairs(found: Mapping[str, Any]) -> Html:
    most = confusions(found["classes"], found["confusion_matrix"])[:MOST_LISTED]
    rows = [(true, predicted, _button(true, predicted, count)) for count, true, predicted in most]
    listed = table(("True class", "Predicted class", "Examples"), rows, "Most frequent confusions")
    return element("div", listed, id="matrix")


def cell_data(material: Material) -> dict[str, Any]:
    """Return what the page's script needs of every cell: by true, then by predicted class."""
    document: dict[str, Any] = {}
    for (true, predicted), cell in _examples(material).cells.items():
        images = [[data_uri(found.content), found.caption] for found in cell.images]
        document.setdefault(true, {})[predicted] = {"count": cell.count, "images": images}
    return {"cells": document}


def mistakes(material: Material) -> Html | None:
    """Return the most confident mistakes and correct predictions, or None where no examples are at hand."""
    pictures = _examples(material)
    if not pictures.mistakes and not pictures.hits:
        return None
    worst = gallery(pictures.mistakes) if pictures.mistakes else note("None.")
    hits = element("h3", "Most confident correct predictions"), gallery(pictures.hits)
    return section(
        "mistakes", "Mistakes and correct predictions", element("h3", "Most confident mistakes"), worst, *hits
    )


def calibration(material: Material) -> Html | None:
    """Return the reliability diagram, or None without an evaluation."""
    if material.evaluation is None:
        return None
    return reliability(material.evaluation["calibration"], "examples")


def distortions(material: Material) -> Html:
    """Return the invariance profile, or how to get one."""
    found = material.invariance
    if found is None:
        how = "Not measured yet: `cnn eval RUN --invariance`, then `cnn report RUN` again."
        return section("invariance", "Invariance", note(how))
    charts = [_distortion(curve) for curve in found["curves"]]
    text = (
        f"Accuracy of {full(found['num_examples'])} examples of {found['split']} under increasing distortions, "
        f"{100 * found['accuracy']:.2f} % without any. The band is the 95 % interval."
    )
    return section("invariance", "Invariance", element("p", text), element("div", charts, class_="charts small"))


def _distortion(curve: Mapping[str, Any]) -> Html:
    points = curve["points"]
    accuracy = Series("accuracy", [(point["amount"], point["accuracy"]) for point in points], "first")
    same = Series("same prediction as without", [(point["amount"], point["agreement"]) for point in points], "second")
    axes = Axes(curve["distortion"].capitalize(), curve["unit"], "", (0.0, 1.0))
    return line_chart(axes, [accuracy, same], [(point["amount"], *point["accuracy_interval"]) for point in points])


SECTIONS = (
    Section("classes", "Classes", classes),
    Section("confusion", "Confusion matrix", confusion, cell_data),
    Section("mistakes", "Mistakes", mistakes),
    ATTRIBUTION,
    Section("calibration", "Calibration", calibration),
    Section("invariance", "Invariance", distortions),
)
"""What the report shows of a classifier's predictions, in this order."""
