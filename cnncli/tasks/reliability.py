"""The reliability diagram of the report: confidence against accuracy, whatever has a class."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cnncli.report.html import Html, element, section, table
from cnncli.report.html_chart import Axes, Series, line_chart
from cnncli.report.numbers import full


def reliability(calibration: Mapping[str, Any], counted: str, over: str = "") -> Html:
    """Return the section of the report.

    Args:
        calibration: Error and bins, as an evaluation has them.
        counted: What the bins count, in the plural: "examples".
        over: What the error is the mean of, " over all pixels", where it is not the examples.
    """
    points = [(part["confidence"], part["accuracy"]) for part in calibration["bins"]]
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
        for part in calibration["bins"]
    ]
    noun = counted.capitalize()
    listed = table(("Confidence", noun, "Mean confidence", "Accuracy"), rows, f"{noun} by confidence")
    text = (
        f"On average{over}, confidence and accuracy differ by {calibration['ece']:.4f} (expected calibration error, "
        f"{calibration['num_bins']} bins)."
    )
    return section("calibration", "Calibration", element("p", text), element("div", chart, listed, class_="pair"))
