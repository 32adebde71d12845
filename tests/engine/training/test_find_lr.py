"""The advice of `cnn find-lr`, on curves whose best rate is known."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytestmark = pytest.mark.engine

RATES = np.geomspace(1e-6, 10, 200)


def search(seed: int, fall: float, noise: float, first: float = 0.0) -> Any:
    """Read a curve that falls around a rate of 0.01 and rises from 0.3 on, with the noise of batches.

    The first batch has a loss that is higher by `first`.
    """
    from cnncli.engine.training.find_lr import SMOOTHING, read

    x = np.log10(RATES)
    clean = 2.3 - fall / (1 + np.exp(-4 * (x + 2))) + 3 * np.maximum(x + 0.5, 0) ** 2
    losses = clean + np.random.default_rng(seed).normal(0, noise, len(x))
    losses[0] += first
    total, smoothed = 0.0, []
    for step, loss in enumerate(losses, 1):
        total = SMOOTHING * total + (1 - SMOOTHING) * loss
        smoothed.append(total / (1 - SMOOTHING**step))
    return read(RATES, losses.tolist(), smoothed)


@pytest.mark.parametrize("first", [0.0, 1.5])
def test_noise_at_the_first_rates_gives_no_advice_of_its_own(first: float) -> None:
    """Of a hundred noisy curves none suggests a rate at which nothing falls, whatever the first batch was."""
    found = [search(seed, fall=1.5, noise=0.25, first=first) for seed in range(100)]
    assert all(one.reason is None for one in found)
    suggested = np.array([one.suggested for one in found])
    assert np.all((suggested > 1e-3) & (suggested < 0.1))


def test_a_loss_that_does_not_fall_gives_none() -> None:
    """Of noise alone, at most one in a hundred curves is read as a fall; it is said by how much the batches differ."""
    found = [search(seed, fall=0.0, noise=0.25) for seed in range(100)]
    silent = [one for one in found if one.suggested is None]
    assert len(silent) >= 99
    assert all(one.steepest is None for one in silent)
    assert "between batches by chance" in silent[0].reason
    assert silent[0].to_json()["suggested"] is None


def test_a_clean_curve_is_read_as_before() -> None:
    """Without noise the steepest place and a tenth of the lowest one decide."""
    found = search(0, fall=1.5, noise=0.0)
    slopes = np.gradient(found.losses, np.log10(RATES))
    assert found.steepest == RATES[int(np.argmin(slopes))]
    assert found.suggested == min(found.steepest, RATES[int(np.argmin(found.losses))] / 10)
    assert 3e-3 < found.steepest < 0.1
