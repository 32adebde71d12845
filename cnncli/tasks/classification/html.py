"""Sections of the report about how good the network is: scores, confusions, mistakes, reasons, calibration."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from cnncli.report.html import Content, Html, data_uri, element, scrolling, section, table
from cnncli.report.html_chart import Axes, Series, line_chart
from cnncli.report.html_material import Cell, Heat, Material
from cnncli.report.html_parts import gallery, image, note
from cnncli.report.numbers import full
from cnncli.tasks.classification.page import confusions

SCORES = ("precision", "recall", "f1")
LARGEST_MATRIX = 120
"""Classes up to which the whole matrix is drawn; beyond, the most frequent confusions are listed."""
MOST_LISTED = 100
SHADES = (0.0, 0.02, 0.1, 0.3, 0.6, 0.85)
"""Shares of a row from which on a cell is darker."""


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
        if material.pictures.cells
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
        cells = [_count(true, said, count, count / total) for said, count in zip(names, counts, strict=True)]
        rows.append(element("tr", element("th", true, scope="row"), cells))
    inside = element("thead", head), element("tbody", rows)
    return scrolling(element("table", *inside, id="matrix", class_="matrix"), "Confusion matrix as numbers")


def _count(true: str, said: str, count: int, share: float) -> Html:
    if not count:
        return element("td", "0", class_="zero")
    shade = sum(share >= bound for bound in SHADES) - 1
    spoken = f"true {true}, predicted {said}: {full(count)}"
    button = element("button", full(count), type="button", aria_label=spoken, data_true=true, data_said=said)
    return element("td", button, class_=f"s{shade}")


def _pairs(found: Mapping[str, Any]) -> Html:
    rows = []
    for count, true, said in confusions(found["classes"], found["confusion_matrix"])[:MOST_LISTED]:
        spoken = f"true {true}, predicted {said}: {full(count)}"
        button = element("button", full(count), type="button", aria_label=spoken, data_true=true, data_said=said)
        rows.append((true, said, button))
    listed = table(("True class", "Predicted class", "Examples"), rows, "Most frequent confusions")
    return element("div", listed, id="matrix")


def cell_data(cells: Mapping[tuple[str, str], Cell]) -> dict[str, Any]:
    """Return what the page's script needs of every cell: by true, then by predicted class."""
    document: dict[str, Any] = {}
    for (true, said), cell in cells.items():
        images = [[data_uri(found.content), found.caption] for found in cell.images]
        document.setdefault(true, {})[said] = {"count": cell.count, "images": images}
    return document


def mistakes(material: Material) -> Html | None:
    """Return the most confident mistakes and correct predictions, or None where no examples are at hand."""
    pictures = material.pictures
    if not pictures.mistakes and not pictures.hits:
        return None
    worst = gallery(pictures.mistakes) if pictures.mistakes else note("None.")
    parts = (
        element("h3", "Most confident mistakes"),
        worst,
        element("h3", "Most confident correct predictions"),
        gallery(pictures.hits),
    )
    return section("mistakes", "Mistakes and correct predictions", *parts)


def reasons(material: Material) -> Html | None:
    """Return what some answers hang on, or None where it could not be drawn."""
    heats = material.pictures.heats
    if not heats:
        return None
    how = (
        "Grad-CAM, in the middle: regions that support the prediction, yellow most. "
        "Saliency, at the right: the pixels that change it most."
    )
    figures = [element("figure", _heat(heat), element("figcaption", heat.caption)) for heat in heats]
    return section("reasons", "Attribution", element("p", how), element("div", figures, class_="heats"))


def _heat(heat: Heat) -> list[Html]:
    shown = (heat.original, heat.gradcam, heat.saliency)
    return [image(found) for found in shown if found is not None]


def calibration(material: Material) -> Html | None:
    """Return the reliability diagram, or None without an evaluation."""
    if material.evaluation is None:
        return None
    found = material.evaluation["calibration"]
    points = [(part["confidence"], part["accuracy"]) for part in found["bins"]]
    axes = Axes("Reliability", "confidence: probability of the predicted class", "accuracy", (0.0, 1.0))
    ideal = Series("perfect calibration", [(0.0, 0.0), (1.0, 1.0)], "guide")
    chart = line_chart(axes, [Series("this network", points, "first"), ideal])
    rows = [
        (
            f"{part['low']:.2f} to {part['high']:.2f}",
            full(part["count"]),
            f"{part['confidence']:.4f}",
            f"{part['accuracy']:.4f}",
        )
        for part in found["bins"]
    ]
    listed = table(("Confidence", "Examples", "Mean confidence", "Accuracy"), rows, "Examples by confidence")
    said = (
        f"On average, confidence and accuracy differ by {found['ece']:.4f} (expected calibration error, "
        f"{found['num_bins']} bins)."
    )
    return section("calibration", "Calibration", element("p", said), element("div", chart, listed, class_="pair"))


def distortions(material: Material) -> Html:
    """Return the invariance profile, or how to get one."""
    found = material.invariance
    if found is None:
        how = "Not measured yet: `cnn eval RUN --invariance`, then `cnn report RUN` again."
        return section("invariance", "Invariance", note(how))
    charts = [_distortion(curve) for curve in found["curves"]]
    said = (
        f"Accuracy of {full(found['num_examples'])} examples of {found['split']} under increasing distortions, "
        f"{100 * found['accuracy']:.2f} % without any. The band is the 95 % interval."
    )
    return section("invariance", "Invariance", element("p", said), element("div", charts, class_="charts small"))


def _distortion(curve: Mapping[str, Any]) -> Html:
    points = curve["points"]
    accuracy = Series("accuracy", [(point["amount"], point["accuracy"]) for point in points], "first")
    same = Series("same prediction as without", [(point["amount"], point["agreement"]) for point in points], "second")
    axes = Axes(curve["distortion"].capitalize(), curve["unit"], "", (0.0, 1.0))
    return line_chart(axes, [accuracy, same], [(point["amount"], *point["accuracy_interval"]) for point in points])
