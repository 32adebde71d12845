"""What the check finds in detectors, and that two heads are nothing to warn of."""

from __future__ import annotations

import pytest

from cnncli.analysis.check import check
from cnncli.config.load import loads

GOOD = {
    "trunk": "Conv2D: {filters: 8, kernel_size: 7, strides: 4, padding: same, activation: relu, name: fine}, "
    "Conv2D: {filters: 8, kernel_size: 5, padding: same, activation: relu, name: seen}",
    "heatmap": "Conv2D: {filters: 10, kernel_size: 1}",
    "box": "Conv2D: {filters: 4, kernel_size: 1}",
    "more": "",
}


def problems(**parts: str) -> list[tuple[str, str | None]]:
    """Return code and path of each problem of a detector with some parts replaced."""
    used = GOOD | parts
    text = (
        "name: x\ntask: detection\ndata: {source: digit_boxes, image_size: [64, 64]}\n"
        f"model:\n  layers: [{used['trunk']}]\n"
        f"  heads: {{heatmap: [{used['heatmap']}], box: [{used['box']}]{used['more']}}}\n"
    )
    return [(problem.code, problem.path) for problem in check(loads(text))]


def strided(number: int) -> str:
    """Return convolutions that each halve the size."""
    return ", ".join(["Conv2D: {filters: 8, kernel_size: 3, strides: 2, padding: same, activation: relu}"] * number)


def test_a_good_detector_has_no_findings() -> None:
    """Neither with heads of one layer, nor with more, nor with a second pair."""
    deep = "Conv2D: {filters: 8, kernel_size: 3, padding: same, activation: relu}, "
    coarse = ", box_8: [Conv2D: {filters: 4, kernel_size: 3, strides: 2, padding: same}]"
    coarse += ", heatmap_8: [Conv2D: {filters: 10, kernel_size: 3, strides: 2, padding: same}]"
    assert problems() == []
    assert problems(heatmap=deep + GOOD["heatmap"], box=deep + GOOD["box"]) == []
    assert problems(more=coarse) == []


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ({"heatmap": "Conv2D: {filters: 10, kernel_size: 1, activation: sigmoid}"}, ("W302", "model.heads.heatmap")),
        ({"box": "Conv2D: {filters: 4, kernel_size: 1, activation: relu}"}, ("W302", "model.heads.box")),
        ({"trunk": strided(5)}, ("W318", "model.heads.heatmap[0].Conv2D")),
        (
            {"heatmap": "Conv2D: {filters: 10, kernel_size: 1, inputs: fine}", "box": GOOD["box"]},
            ("W307", "model.heads.heatmap[0].Conv2D"),
        ),
        (
            {"heatmap": "Conv2D: {filters: 8, kernel_size: 3, padding: same}, " + GOOD["heatmap"]},
            ("W310", "model.heads.heatmap[1].Conv2D"),
        ),
        ({"box": "Conv2D: {filters: 5, kernel_size: 1}"}, ("E301", "model.heads.box")),
        ({"more": ", size: [Conv2D: {filters: 2, kernel_size: 1}]"}, ("E304", "model.heads.size")),
    ],
)
def test_findings_of_detectors(parts: dict[str, str], expected: tuple[str, str]) -> None:
    """Each is told at its head: heatmaps decide how coarse the cells are and how much they see."""
    assert problems(**parts) == [expected]
