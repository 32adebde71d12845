"""What is said of an artifact that answers otherwise, worked out by hand, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from cnncli.datasets.targets import ClassNumbers
from cnncli.errors import ExportError
from cnncli.tasks.classification.parity import ClassificationParity
from cnncli.tasks.parity import ScoreDrop

pytestmark = pytest.mark.engine


def made(real: list[list[float]], edge: list[list[float]], labels: list[int]) -> Any:
    """Return what an artifact with these answers is found to be, where the run is sure of class 0, then of class 1."""
    from cnncli.engine.exporting.parity import compare
    from cnncli.engine.exporting.proof import Case

    run = np.array([[0.75, 0.25], [0.25, 0.75], [0.75, 0.25], [0.25, 0.75]], np.float32)
    answers = {0: np.array(real, np.float32), 1: np.array(edge[:1], np.float32), 2: np.array(edge[1:], np.float32)}

    def case(name: str, mark: int, first: int, last: int, labels: Any = None) -> Case:
        images = np.full((last - first, 2, 2, 1), mark, np.uint8)
        return Case(name, images, {"probabilities": run[first:last]}, labels)

    proof: Any = SimpleNamespace(
        real=case("real examples", 0, 0, 4, ClassNumbers(np.array(labels))),
        edges=(case("edge", 1, 0, 1), case("edge", 2, 1, len(edge))),
        other_sizes=(case("other sizes", 0, 0, 4),),
        split=SimpleNamespace(name="test"),
    )
    artifact: Any = SimpleNamespace(
        description=SimpleNamespace(any_size=False, height=2, width=2, fit="stretch"),
        classes=("cat", "dog"),
        outputs=lambda images: {"probabilities": answers[int(images.flat[0])]},
    )
    return compare(artifact, proof, ClassificationParity())


WHOLE = [[0.75, 0.25], [0.25, 0.75], [0.75, 0.25], [0.25, 0.75]]


def test_what_is_compared() -> None:
    """The largest differences of all cases, the share of equal answers in each, the accuracies of real examples."""
    off = [[0.75, 0.25], [0.25, 0.75], [0.5, 0.5], [0.625, 0.375]]
    found = made(off, [[0.75, 0.25], [0.25, 0.75], [0.125, 0.875]], [0, 1, 1, 1])
    assert found.max_abs_diff == 0.625
    assert found.max_log_diff == pytest.approx(np.log(6))
    assert (found.agreement, found.num_examples, found.split) == (0.75, 4, "test")
    document = found.to_json()
    assert [document[name] for name in ("accuracy", "run_accuracy", "accuracy_drop")] == [0.5, 0.75, 0.25]
    low, high = document["accuracy_drop_interval"]
    assert low < 0.25 < high
    assert list(document) == [
        "max_abs_diff", "max_log_diff", "agreement", "num_examples", "split",
        "accuracy", "run_accuracy", "accuracy_drop", "accuracy_drop_interval", "cases",
    ]  # fmt: skip
    real, edge = found.cases
    assert real == {
        "case": "real examples", "num_images": 4, "max_abs_diff": 0.375,
        "max_log_diff": pytest.approx(np.log(2.5)), "agreement": 0.75,
    }  # fmt: skip
    assert edge == {
        "case": "edge", "num_images": 3, "max_abs_diff": 0.625,
        "max_log_diff": pytest.approx(np.log(6)), "agreement": pytest.approx(2 / 3),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("field", "told"),
    [
        ({"max_abs_diff": 1e-4}, "a probability differs by 0.0001 (edge; allowed: 1e-05); 100.00% of 4 examples"),
        ({"max_abs_diff": float("nan")}, "a probability differs by nan"),
        ({"max_log_diff": 0.002}, "a probability is off by 0.20% of its value (allowed: 0.1%)"),
        ({"cases": "agreement"}, "its most probable class differs (edge)"),
        (
            {"score": ScoreDrop(0.5, 0.75, 0.25, (0.125, 0.5))},
            "accuracy 50.00% instead of 75.00%, 25.00 points (95 % interval 12.50 to 50.00); allowed: 0.00",
        ),
    ],
)
def test_what_is_refused(field: dict[str, Any], told: str) -> None:
    """Each tolerance by itself, with the numbers; a whole artifact passes."""
    from cnncli.engine.exporting.parity import EXACT, check

    whole = made(WHOLE, WHOLE, [0, 1, 0, 1])
    check(whole, EXACT, "x")
    cases = [dict(case) for case in whole.cases]
    cases[1]["max_abs_diff"] = 1e-4
    if "cases" in field:
        cases[1]["agreement"] = 0.75
    with pytest.raises(ExportError) as caught:
        check(replace(whole, **{**field, "cases": cases}), EXACT, "x")
    assert told in caught.value.message


def test_smaller_networks_may_cost_what_was_allowed() -> None:
    """Where only the accuracy counts, differences do not, and a drop of just the limit passes."""
    from cnncli.engine.exporting.parity import Tolerance, check

    off = [[0.75, 0.25], [0.25, 0.75], [0.25, 0.75], [0.25, 0.75]]
    found = made(off, WHOLE, [0, 1, 0, 1])
    check(found, Tolerance(None, None, 0.25), "x")
    with pytest.raises(ExportError, match=r"allowed: 24\.00"):
        check(found, Tolerance(None, None, 0.24), "x")
