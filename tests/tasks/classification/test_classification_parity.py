"""How far probabilities are apart, and what a drop of accuracy is: worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from cnncli.datasets.targets import ClassNumbers
from cnncli.tasks.classification.parity import ClassificationParity
from cnncli.tasks.predictions import PredictionOptions

RULES = ClassificationParity()
OPTIONS = PredictionOptions(("cat", "dog"), (2, 2), "stretch")
RUN = {"probabilities": np.array([[0.75, 0.25], [0.25, 0.75], [0.5, 0.5]], np.float32)}


def off(*rows: list[float]) -> dict[str, np.ndarray]:
    """Return an artifact's probabilities."""
    return {"probabilities": np.array(rows, np.float32)}


def test_differences() -> None:
    """The largest of all probabilities, as they are and of their logarithms; the class of each image."""
    found = RULES.difference(off([0.75, 0.25], [0.625, 0.375], [0.5, 0.5]), RUN)
    assert found.max_abs_diff == 0.375
    assert found.max_log_diff == pytest.approx(np.log(2.5))
    assert found.same.tolist() == [True, False, True]


def test_classes_that_are_equally_probable_are_the_same() -> None:
    """Where the run cannot choose between two classes, an artifact may choose either; only there."""
    assert RULES.difference(off([0.75, 0.25], [0.25, 0.75], [0.4999, 0.5001]), RUN).same.all()
    assert not RULES.difference(off([0.4999, 0.5001]), off([0.500001, 0.499999])).same.any()


def test_faint_probabilities_do_not_count_by_their_logarithm() -> None:
    """A millionth is a rounding error of the other classes; just above it, it counts."""
    for faint, largest in ((9e-7, 0.0), (2e-6, np.log(4))):
        run, artifact = off([1 - faint, faint]), off([1 - faint, faint / 4])
        assert RULES.difference(artifact, run).max_log_diff == pytest.approx(largest, abs=1e-6)


@pytest.mark.parametrize("broken", [np.nan, np.inf])
def test_what_is_not_finite_is_infinitely_far(broken: float) -> None:
    """A comparison with NaN is never true, so it must not pass for small."""
    assert RULES.difference(off([broken, 0.25], [0.25, 0.75], [0.5, 0.5]), RUN).max_abs_diff == np.inf


def test_drop_of_the_accuracy() -> None:
    """The run's accuracy minus the artifact's, on the same examples; negative where the artifact is better."""
    targets = ClassNumbers(np.array([0, 1, 0]))
    worse = off([0.25, 0.75], [0.25, 0.75], [0.5, 0.5])
    found = RULES.score_drop(worse, RUN, targets, OPTIONS)
    assert (found.artifact, found.run) == (pytest.approx(2 / 3), 1)
    assert found.drop == pytest.approx(1 / 3)
    # Agresti and Min: one lost, none won, three examples; half an example added to each.
    low, high = ((1 + sign * 1.959964 * np.sqrt(2 - 1 / 5)) / 5 for sign in (-1, 1))
    assert found.interval == pytest.approx((low, high), abs=1e-6)
    assert RULES.score_drop(RUN, worse, targets, OPTIONS).drop == pytest.approx(-1 / 3)
