"""Tests of a difference, against SciPy and against their formulas written as NumPy loops."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import numpy.typing as npt
import pytest

from cnncli.statistics.differences import holm, paired_t, welch_t

stats = pytest.importorskip("scipy.stats")

Floats = npt.NDArray[np.float64]


def drawn(seed: int, first: int, second: int) -> tuple[Floats, Floats]:
    """Return scores of two experiments, which share a part of their chance where they are as many."""
    generator = np.random.default_rng(seed)
    shared = generator.normal(0.9, 0.01, max(first, second))
    return shared[:first] + generator.normal(0, 0.005, first), shared[:second] + generator.normal(0.004, 0.008, second)


@pytest.mark.parametrize("seed", range(25))
def test_the_paired_test_is_scipys(seed: int) -> None:
    """P and interval."""
    first, second = drawn(seed, 2 + seed, 2 + seed)
    expected = stats.ttest_rel(second, first)
    interval = expected.confidence_interval(0.95)
    found = paired_t(first.tolist(), second.tolist())
    assert found.p_value == pytest.approx(expected.pvalue, rel=1e-10)
    assert found.interval == pytest.approx((interval.low, interval.high), rel=1e-10)
    assert found.value == pytest.approx((second - first).mean(), rel=1e-12)
    assert found.test == "paired t-test"


@pytest.mark.parametrize("seed", range(25))
def test_welchs_test_is_scipys(seed: int) -> None:
    """P and interval, with other numbers of scores."""
    first, second = drawn(seed, 2 + seed % 7, 2 + seed % 5)
    expected = stats.ttest_ind(second, first, equal_var=False)
    interval = expected.confidence_interval(0.95)
    found = welch_t(first.tolist(), second.tolist())
    assert found.p_value == pytest.approx(expected.pvalue, rel=1e-10)
    assert found.interval == pytest.approx((interval.low, interval.high), rel=1e-10)
    assert found.test == "Welch's t-test"


@pytest.mark.parametrize("folds", [2, 5, 10])
def test_the_corrected_test_is_nadeaus_and_bengios(folds: int) -> None:
    """The variance by 1/k + n_test/n_train, with SciPy's t distribution."""
    first, second = drawn(folds, folds, folds)
    differences = second - first
    error = np.sqrt(np.sum((differences - differences.mean()) ** 2) / (folds - 1) * (1 / folds + 1 / (folds - 1)))
    law = stats.t(folds - 1, differences.mean(), error)
    found = paired_t(first.tolist(), second.tolist(), 1 / (folds - 1))
    assert found.p_value == pytest.approx(2 * stats.t.sf(abs(differences.mean() / error), folds - 1), rel=1e-10)
    assert found.interval == pytest.approx((law.ppf(0.025), law.ppf(0.975)), rel=1e-10)
    assert found.test == "corrected resampled t-test"


def test_the_corrected_test_of_welch() -> None:
    """The variance of each mean by 1/n + n_test/n_train; Satterthwaite's degrees of freedom of those."""
    first, second = drawn(3, 5, 4)
    parts = [first.var(ddof=1) * (1 / 5 + 0.25), second.var(ddof=1) * (1 / 4 + 0.25)]
    df = (parts[0] + parts[1]) ** 2 / (parts[0] ** 2 / 4 + parts[1] ** 2 / 3)
    law = stats.t(df, second.mean() - first.mean(), np.sqrt(sum(parts)))
    found = welch_t(first.tolist(), second.tolist(), 0.25)
    assert found.interval == pytest.approx((law.ppf(0.025), law.ppf(0.975)), rel=1e-10)
    assert found.test == "corrected Welch's t-test"


def test_holms_correction_is_scipys_by_closed_testing() -> None:
    """Holm's is the closed test with Bonferroni's of every subset, which is looked at one by one here."""
    generator = np.random.default_rng(0)
    for _ in range(200):
        p_values = (generator.random(generator.integers(1, 6)) ** 3).tolist()
        number = len(p_values)
        expected = []
        for own in range(number):
            subsets = [[i for i in range(number) if bits >> i & 1] for bits in range(1 << number) if bits >> own & 1]
            expected.append(max(min(1, len(subset) * min(p_values[i] for i in subset)) for subset in subsets))
        assert holm(p_values) == pytest.approx(expected, rel=1e-12)
    assert holm([]) == []


def test_holms_correction_by_hand() -> None:
    """In whatever order the values come."""
    corrected = {0.01: 0.03, 0.04: 0.05, 0.025: 0.05}
    for order in permutations(corrected):
        assert holm(order) == pytest.approx([corrected[p] for p in order])


def test_scores_that_do_not_vary_are_not_tested() -> None:
    """Also where only rounding tells them apart; a difference is still there."""
    first, second = [0.3, 0.7, 0.9], [0.3 + 0.1, 0.7 + 0.1, 0.9 + 0.1]
    assert len({b - a for a, b in zip(first, second, strict=True)}) > 1
    for found in (paired_t(first, second), welch_t([0.5] * 3, [0.6] * 4)):
        assert (found.p_value, found.interval) == (None, None)
        assert found.value == pytest.approx(0.1)
    assert paired_t([0.0, 0.0], [0.0, 0.0]).p_value is None
    assert welch_t([0.5] * 3, [0.6, 0.7]).p_value == pytest.approx(stats.ttest_1samp([0.6, 0.7], 0.5).pvalue)
