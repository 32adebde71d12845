"""How far an artifact's boxes are from its run's: in another order, moved, missing; and the drop in AP."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from cnncli.tasks.detection.parity import DetectionParity

if TYPE_CHECKING:
    from .conftest import Detected

RULES = DetectionParity()


def outputs() -> dict[str, np.ndarray]:
    """Return three boxes in each of two images; the last score of the second is 0."""
    boxes = np.array([[10, 10, 50, 60], [30, 20, 90, 100], [60, 5, 80, 30]], np.float32)
    return {
        "boxes": np.stack([boxes, boxes + 3]),
        "classes": np.array([[0, 1, 1], [1, 0, 0]], np.int32),
        "scores": np.array([[0.9, 0.5, 0.2], [0.8, 0.4, 0]], np.float32),
    }


def changed(name: str, place: tuple[int, ...], value: float) -> dict[str, np.ndarray]:
    """Return the boxes with one number added to."""
    found = outputs()
    found[name] = found[name].copy()
    found[name][place] += value
    return found


def test_equal_boxes_in_any_order() -> None:
    """Boxes of nearly equal scores may change places; boxes whose score is 0 are none."""
    run = outputs()
    order = [1, 0, 2]
    artifact = {name: values[:, order] for name, values in run.items()}
    artifact["boxes"][1, 2] = 77
    found = RULES.difference(artifact, run)
    assert found.max_abs_diff == 0
    assert found.same.tolist() == [True, True]


@pytest.mark.parametrize(
    ("artifact", "difference", "same"),
    [
        (changed("boxes", (0, 1, 2), 1e-3), 1e-3 / 103, True),
        (changed("boxes", (0, 1, 2), 0.5), 0.5, False),
        (changed("scores", (0, 1), 5e-6), 5e-6, True),
        (changed("scores", (0, 1), 5e-5), 5e-5, False),
        (changed("classes", (0, 1), -1), 0.5, False),
        (changed("scores", (0, 0), -0.9), 0.9, False),
    ],
    ids=["edge by little", "edge by much", "score by little", "score by much", "another class", "no such box"],
)
def test_one_number_differs(artifact: dict[str, np.ndarray], difference: float, same: bool) -> None:
    """A small difference is measured; a box that is not the same differs by its score, from either side."""
    for pair in ((artifact, outputs()), (outputs(), artifact)):
        found = RULES.difference(*pair)
        assert found.max_abs_diff == pytest.approx(difference, rel=0.1)
        assert found.same.tolist() == [same, True]
    assert found.agreeing is found.max_log_diff is None


def test_boxes_that_hardly_count_are_not_compared() -> None:
    """Scores below 0.01, and the last of all boxes that there are room for: another one may have come in."""
    run = outputs()
    low = {**run, "scores": run["scores"] * np.array([[1, 1, 0.02], [1, 1, 1]], np.float32)}
    other = {**low, "boxes": low["boxes"].copy()}
    other["boxes"][0, 2] += 40
    assert RULES.difference(other, low).same.all()
    # In the first image all places are taken, so that the third box is the last one.
    last = {**run, "boxes": other["boxes"]}
    assert RULES.difference(last, run).same.all()
    room = {name: np.concatenate([values, values[:, :1] * 0], axis=1) for name, values in run.items()}
    moved = {name: np.concatenate([values, values[:, :1] * 0], axis=1) for name, values in last.items()}
    assert RULES.difference(moved, room).same.tolist() == [False, True]


def test_tiny_boxes_are_the_same_up_to_rounding() -> None:
    """Of a box of a tenth of a pixel, an edge that is off by a thousandth makes another IoU, but no other box."""
    run = outputs()
    run["boxes"][0, 0] = [10, 10, 10.1, 10.1]
    artifact = {**run, "boxes": run["boxes"].copy()}
    artifact["boxes"][0, 0, 0] += 5e-4
    assert RULES.difference(artifact, run).same.all()


@pytest.mark.parametrize("broken", [np.nan, np.inf])
def test_what_is_not_finite_is_infinitely_far(broken: float) -> None:
    """A comparison with NaN is never true, so it must not pass for small."""
    found = RULES.difference(changed("boxes", (1, 2, 0), broken), outputs())
    assert found.max_abs_diff == np.inf
    assert not found.same.any()


def test_the_drop_is_that_of_both_aps(detected: Detected) -> None:
    """AP at IoU 0.5 of both, in the original images' pixels; the interval is around it."""
    run = detected.outputs(range(9))
    artifact = {**run, "scores": run["scores"].copy()}
    artifact["scores"][:, ::3] *= np.float32(0.3)
    targets, options = detected.examples.targets, detected.options
    found = RULES.score_drop(artifact, run, targets, options)
    assert found.run == pytest.approx(detected.document["ap50"], abs=1e-12)
    assert found.artifact < found.run
    assert found.drop == found.run - found.artifact
    assert found.interval[0] <= found.drop <= found.interval[1]
    same = RULES.score_drop(run, run, targets, options)
    assert (same.drop, same.interval) == (0, (0, 0))
