"""Curves of small bars."""

from __future__ import annotations

from typing import Any

import pytest

from cnncli.report.sparkline import curve_lines, sparkline

METRICS = ("loss", "accuracy")


def lines(losses: list[float | None], validation: bool = True) -> list[dict[str, Any]]:
    """Return metrics with these losses; accuracy is one minus a tenth of the loss."""
    found = []
    for epoch, loss in enumerate(losses, start=1):
        split = {"loss": loss, "accuracy": None if loss is None else 1 - loss / 10}
        found.append({"epoch": epoch, "train": split, "validation": split if validation else {}})
    return found


def test_curves_share_a_scale() -> None:
    """Training and validation are drawn to one scale, from the first value to the last."""
    found = lines([2.0, 1.0, 0.0])
    found[2]["validation"] = {"loss": 1.0, "accuracy": 0.9}
    assert curve_lines(found, METRICS) == [
        "loss      training    █▅▁  2.0000 → 0.0000",
        "          validation  █▅▅  2.0000 → 1.0000",
        "accuracy  training    ▁▅█  0.8000 → 1.0000",
        "          validation  ▁▅▅  0.8000 → 0.9000",
    ]


def test_without_validation_there_is_no_line_for_it() -> None:
    """Only what was measured is drawn."""
    assert [line[:22].split() for line in curve_lines(lines([2.0, 1.0], validation=False), METRICS)] == [
        ["loss", "training"],
        ["accuracy", "training"],
    ]


def test_one_epoch_is_no_curve() -> None:
    """Nothing is drawn of a single epoch, or of none."""
    assert curve_lines(lines([2.0]), METRICS) == curve_lines([], METRICS) == []


@pytest.mark.parametrize("width", [60, 80, 120])
@pytest.mark.parametrize("epochs", [2, 40, 100, 1000])
def test_lines_fit_their_width(width: int, epochs: int) -> None:
    """However many epochs, no line is wider than asked, and long curves use the width."""
    found = curve_lines(lines([5 - 4 * i / epochs for i in range(epochs)]), METRICS, width)
    assert max(map(len, found)) <= width
    if epochs >= 100:
        assert max(map(len, found)) == width


def test_unknown_values_are_dots() -> None:
    """An epoch whose loss was not a number leaves a dot."""
    assert "█·▁" in curve_lines(lines([2.0, None, 1.0]), METRICS)[0]
    assert curve_lines(lines([None, None]), METRICS) == []


def test_equal_values_are_low_bars() -> None:
    """A flat curve is drawn at the bottom, without a division by zero."""
    assert sparkline([1.0, 1.0], 1.0, 1.0) == "▁▁"
