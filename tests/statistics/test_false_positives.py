"""The tests find a difference where there is none about as often as they should: the benchmark in small."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType

import pytest

NUMBER = 150
LIMITS = {
    "paired t-test, 5 seeds": (0.01, 0.10),
    "Welch's t-test, 5 and 5 other seeds": (0.01, 0.10),
    "Welch's t-test, 5 and 3 seeds": (0.01, 0.12),
    "Welch's t-test, 5 and 5 seeds, variances 1 : 6": (0.01, 0.12),
    "corrected t-test, 5 folds, nearest centroid": (0.0, 0.10),
    "corrected t-test, 10 folds, nearest neighbour": (0.0, 0.10),
    "corrected t-test, 3 seeds × 5 folds, nearest centroid": (0.0, 0.10),
    "corrected t-test, 5 seeds that draw 10 %, nearest centroid": (0.01, 0.12),
    "corrected t-test, 5 seeds × 2 folds, nearest neighbour": (0.0, 0.10),
    "McNemar, exact, 200 examples": (0.0, 0.08),
    "McNemar, exact, 10,000 examples": (0.01, 0.10),
    "Holm, any of 3 comparisons": (0.0, 0.10),
    "Holm, any of 6 comparisons": (0.0, 0.10),
    # What the corrections are for: without them, these must be far too many.
    "* paired t-test, 10 folds, nearest neighbour": (0.10, 0.35),
    "* paired t-test, 3 seeds × 5 folds, nearest centroid": (0.15, 0.40),
    "* not corrected, any of 6 comparisons": (0.15, 0.40),
    "* paired t-test, 5 seeds, asked about other test examples": (0.40, 0.90),
}
"""Shares of false positives: about three standard deviations of 150 experiments around what 5,000 have shown."""


@pytest.fixture(scope="module")
def rates(script: Callable[[str], ModuleType]) -> dict[str, float]:
    """Return the false positive rate of each test."""
    benchmark = script("benchmarks/false_positives.py")
    return {rate.test: rate.share for kind in benchmark.KINDS for rate in benchmark.rates(kind, NUMBER, seed=1)}


@pytest.mark.parametrize("test", LIMITS)
def test_false_positives(test: str, rates: dict[str, float]) -> None:
    """Within wide limits."""
    low, high = LIMITS[test]
    assert low <= rates[test] <= high
