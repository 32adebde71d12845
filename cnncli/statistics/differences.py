"""How much higher the scores of one experiment are than those of another, and whether that is chance.

Each function takes the scores of the first experiment and those of the second; the difference is the second's mean less
the first's. Scores that are paired have the same place in both.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from statistics import fmean, variance

from cnncli.statistics.distributions import t_critical, t_two_sided

_ROUNDING = 1e-12
"""Relative to the scores: differences that differ by less are equal."""


@dataclass(frozen=True)
class Difference:
    """A difference of means and its test.

    Attributes:
        test: What the test is called.
        value: The difference, in the unit of the scores.
        interval: The differences that the test would not reject at 5 %; None where nothing can be tested.
        p_value: Two-sided; None where the scores do not vary, so that nothing can be tested.
    """

    test: str
    value: float
    interval: tuple[float, float] | None = None
    p_value: float | None = None


def paired_t(first: Sequence[float], second: Sequence[float], overlap: float = 0.0) -> Difference:
    """Return Student's t-test of paired scores, corrected where they come from resampled examples.

    The scores of folds, or of splits drawn again and again, vary too little, since their training examples overlap.
    The correction multiplies the variance by 1/n + n_test/n_train in the place of 1/n.

    Args:
        first: At least two scores.
        second: As many.
        overlap: Examples that are measured, as a multiple of those that are trained on: 1/(k−1) for k folds; 0 where
            the same examples are measured each time.

    Reference: Nadeau and Bengio, Inference for the Generalization Error, Machine Learning 52, 2003.
    """
    differences = [b - a for a, b in zip(first, second, strict=True)]
    value, number = fmean(differences), len(differences)
    test = "corrected resampled t-test" if overlap else "paired t-test"
    spread = variance(differences)
    if _is_rounding(spread, (*first, *second)):
        return Difference(test, value)
    return _by_t(test, value, sqrt(spread * (1 / number + overlap)), number - 1)


def welch_t(first: Sequence[float], second: Sequence[float], overlap: float = 0.0) -> Difference:
    """Return Welch's t-test of scores that are not paired, whose variances may differ.

    Args:
        first: At least two scores.
        second: At least two, not necessarily as many.
        overlap: As in `paired_t`.

    Reference: Welch, Biometrika 34, 1947.
    """
    value = fmean(second) - fmean(first)
    test = "corrected Welch's t-test" if overlap else "Welch's t-test"
    spreads = [variance(scores) for scores in (first, second)]
    if all(_is_rounding(spread, (*first, *second)) for spread in spreads):
        return Difference(test, value)
    parts = [spread * (1 / len(scores) + overlap) for spread, scores in zip(spreads, (first, second), strict=True)]
    freedom = sum(parts) ** 2 / sum(
        part**2 / (len(scores) - 1) for part, scores in zip(parts, (first, second), strict=True)
    )
    return _by_t(test, value, sqrt(sum(parts)), freedom)


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p-values corrected for their number: below 5 %, the chance of any false one among all is at most 5 %.

    Reference: Holm, Scandinavian Journal of Statistics 6, 1979.
    """
    corrected = [0.0] * len(p_values)
    highest = 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[index]))
        corrected[index] = highest
    return corrected


def _by_t(test: str, value: float, error: float, freedom: float) -> Difference:
    """Return the test of a difference with a standard error."""
    reach = t_critical(freedom) * error
    return Difference(test, value, (value - reach, value + reach), t_two_sided(value / error, freedom))


def _is_rounding(spread: float, scores: Sequence[float]) -> bool:
    """Say whether a variance is no more than what rounding leaves of 0."""
    return sqrt(spread) <= _ROUNDING * max(map(abs, scores))
