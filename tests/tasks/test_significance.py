"""How often an interval holds what it should."""

from __future__ import annotations

import numpy as np

from cnncli.tasks.significance import paired_interval


def test_paired_interval_covers() -> None:
    """The 95 % interval of a drop holds the true drop in about 95 of 100 draws, with few and with many errors."""
    generator = np.random.default_rng(0)
    for lost, won in ((0.01, 0.004), (0.1, 0.05)):
        held = 0
        for _ in range(500):
            drawn = generator.random(1000)
            before = drawn > won
            after = (drawn < won) | (drawn > won + lost)
            low, high = paired_interval(before, after)
            held += low <= lost - won <= high
        assert 0.92 <= held / 500 <= 0.99, (lost, won, held)
