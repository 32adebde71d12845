"""Student's t against SciPy."""

from __future__ import annotations

import math
import random

import pytest

from cnncli.statistics.distributions import incomplete_beta, t_critical, t_two_sided

special = pytest.importorskip("scipy.special")
stats = pytest.importorskip("scipy.stats")

SHAPES = (0.5, 0.73, 1, 1.5, 2, 2.5, 5, 10, 33.3, 100, 1000)
PLACES = (0, 1e-300, 1e-100, 1e-15, 1e-8, 1e-4, 0.01, 0.1, 0.3, 0.5, 0.7, 0.9, 0.99, 0.9999, 1 - 1e-8, 1)
FREEDOMS = (0.5, 1, 1.7, 2, 3, 4, 5, 9, 12.34, 30, 100, 1000, 20_000)


def test_the_incomplete_beta_function() -> None:
    """Over a grid of shapes and places, and at random ones; tails keep their relative accuracy too."""
    rng = random.Random(0)
    cases = [(a, b, x) for a in SHAPES for b in SHAPES for x in PLACES]
    cases += [(10 ** rng.uniform(-1, 3.5), 10 ** rng.uniform(-1, 3.5), rng.random()) for _ in range(3000)]
    for a, b, x in cases:
        expected = float(special.betainc(a, b, x))
        assert incomplete_beta(a, b, x) == pytest.approx(expected, rel=1e-9, abs=1e-11), (a, b, x)


def test_students_t() -> None:
    """Both tails together, down to 1e-100 and up to 1, and the critical values."""
    for df in FREEDOMS:
        for t in (0, 1e-12, 1e-8, 1e-3, 0.1, 0.5, 1, 1.96, 2.7, 5, 10, 40, 1e3, 1e6):
            # SciPy 1.17 loses digits of a small t: one degree of freedom has 1 − 2/π · arctan t.
            small = 1 - float(special.betainc(0.5, df / 2, t * t / (df + t * t)))
            expected = float(2 * stats.t.sf(t, df)) if t >= 1e-3 else small
            for signed in (t, -t):
                assert t_two_sided(signed, df) == pytest.approx(expected, rel=1e-10, abs=1e-290), (t, df)
    assert 1 - t_two_sided(1e-8, 1) == pytest.approx(2 / math.pi * math.atan(1e-8), rel=1e-7)
    for df in FREEDOMS:
        for level in (0.5, 0.9, 0.95, 0.99):
            expected = float(stats.t.ppf((1 + level) / 2, df))
            assert t_critical(df, level) == pytest.approx(expected, rel=1e-10), (df, level)
