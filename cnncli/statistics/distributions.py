"""Student's t distribution: tails and critical values, by the regularized incomplete beta function."""

from __future__ import annotations

from math import exp, lgamma, log, log1p, sqrt

_MOST_TERMS = 100_000
_PRECISION = 3e-16
_TINY = 1e-300


def incomplete_beta(a: float, b: float, x: float, rest: float | None = None) -> float:
    """Return the regularized incomplete beta function I_x(a, b): the chance that a Beta(a, b) variable is at most x.

    Args:
        a: Above 0.
        b: Above 0.
        x: From 0 to 1.
        rest: 1 − x, where the caller knows more digits of it than x has.

    Example: incomplete_beta(2, 2, 0.5) == 0.5
    Reference: Abramowitz and Stegun, Handbook of Mathematical Functions, 1964, 26.5.8.
    """
    rest = 1 - x if rest is None else rest
    if x <= 0 or rest <= 0:
        return 0.0 if x <= 0 else 1.0
    # The fraction converges fast on this side of the mean; the other side is its mirror image.
    if x > (a + 1) / (a + b + 2):
        return 1 - _lower_tail(b, a, rest, x)
    return _lower_tail(a, b, x, rest)


def _lower_tail(a: float, b: float, x: float, rest: float) -> float:
    log_front = lgamma(a + b) - lgamma(a) - lgamma(b) + a * log(x) + b * (log1p(-x) if x < 0.5 else log(rest))
    return exp(log_front) * _fraction(a, b, x) / a


def _fraction(a: float, b: float, x: float) -> float:
    """Return the continued fraction 1 / (1 + d₁ / (1 + d₂ / …)) of the incomplete beta function, by Lentz's method."""
    value, upper, lower = 1.0, 1.0, 0.0
    for term in range(1, _MOST_TERMS):
        half, is_odd = divmod(term, 2)
        share = -(a + half) * (a + b + half) if is_odd else half * (b - half)
        coefficient = share * x / ((a + term - 1) * (a + term))
        lower = 1 / _nonzero(1 + coefficient * lower)
        upper = _nonzero(1 + coefficient / upper)
        value *= upper * lower
        if abs(upper * lower - 1) < _PRECISION:
            break
    return 1 / value


def _nonzero(value: float) -> float:
    return value if abs(value) > _TINY else _TINY


def _inverse(a: float, b: float, share: float) -> float:
    """Return the x at which `incomplete_beta` is a share, by halving until no number lies between the bounds."""
    low, high = 0.0, 1.0
    while low < (middle := (low + high) / 2) < high:
        low, high = (middle, high) if incomplete_beta(a, b, middle) < share else (low, middle)
    return middle


def t_two_sided(t: float, df: float) -> float:
    """Return the chance that a variable of Student's t distribution is at least as far from 0 as `t`.

    Args:
        t: The statistic.
        df: Degrees of freedom, above 0; they need not be whole.

    Example: t_two_sided(2.776, 4) == 0.05, rounded
    """
    whole = df + t * t
    return incomplete_beta(df / 2, 0.5, df / whole, t * t / whole)


def t_critical(df: float, level: float = 0.95) -> float:
    """Return the t within which the distribution has a share of `level`, on both sides of 0.

    Example: t_critical(4) == 2.776, rounded
    """
    x = _inverse(df / 2, 0.5, 1 - level)
    return sqrt(df * (1 - x) / x)
