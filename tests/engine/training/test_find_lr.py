"""The advice of `cnn find-lr`, on curves whose best rate is known, and against the best of a small grid.

The large campaign is `tests/campaigns/find_lr.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType, SimpleNamespace
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


def test_the_smallest_rate_that_is_as_good_is_chosen() -> None:
    """Within one standard error of the best is as good; what diverged is not, and only that gives no choice."""
    from cnncli.engine.training.find_lr import choose

    batches = np.random.default_rng(0).normal(0, 1, 25)
    differing = np.tile([0.2, -0.2], 13)[:25]
    losses = np.stack([batches, batches, batches + differing, batches + 0.1, batches + differing + 0.1])
    losses[0] = np.inf
    rates = np.array([0.8, 0.4, 0.2, 0.1, 0.05])
    assert choose(rates, losses) == 0.2
    assert choose(rates, losses[[0, 0, 0, 0, 0]]) is None
    # However much the batches differ, a difference that is the same for all of them is none of chance.
    assert choose(rates[[1, 3]], losses[[1, 3]]) == 0.4


@pytest.fixture(scope="module")
def campaign(script: Callable[[str], ModuleType]) -> ModuleType:
    """The campaign's module."""
    return script("campaigns/find_lr.py")


def test_advice_is_near_the_best_of_a_grid(campaign: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """A dense network trained by plain SGD is advised a rate near the best one, which lies close to divergence."""
    monkeypatch.setattr(campaign, "GRID", np.array([0.046, 0.46, 4.6]))
    monkeypatch.setattr(campaign, "GRID_SEEDS", 2)
    (row,) = campaign.rows(["dense"], 1, {})
    assert row.grid.best == 0.46
    assert row.num_right == len(row.advice) == 1
    assert "4.6e-01" in row.text()


def test_what_is_near_and_equally_good(campaign: ModuleType) -> None:
    """A factor 3 from any rate that is at most one standard error above the best; no advice is near nothing."""
    losses = np.array([[3.0, 3.0, 3.0], [1.0, 1.2, 1.1], [1.3, 0.9, 1.0], [np.inf, 1.0, 1.0]])
    grid = campaign.Grid(np.array([0.01, 0.1, 1.0, 10.0]), losses)
    assert grid.best == 1.0
    assert grid.equally_good.tolist() == [0.1, 1.0]
    near = [campaign.is_near(rate, grid.equally_good) for rate in (0.03, 0.034, 0.3, 2.9, 3.1, None)]
    assert near == [False, True, True, True, False, False]


@pytest.mark.parametrize(
    ("falls", "schedule", "suggested"),
    [(True, "Constant", 0.25), (True, "CosineDecay", 0.5), (False, "Constant", None)],
)
def test_a_fall_that_only_constant_rates_show(
    falls: bool, schedule: str, suggested: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A rate is advised where its own training clearly lowers the loss, though the rising rate did not; else none.

    It is the peak of the config's schedule: half a cosine's is its mean.
    """
    from cnncli.config.load import load
    from cnncli.engine.training import find_lr

    generator = np.random.default_rng(0)
    noise = (2.3 + generator.normal(0, 0.05, 200)).tolist()
    smoothed = np.linspace(2.32, 2.31, 200)
    smoothed[RATES.searchsorted(1.0)] = 2.29
    batches = 2.3 + generator.normal(0, 0.05, 25)
    highest = float(RATES[RATES.searchsorted(1.0)])
    monkeypatch.setattr(find_lr, "_losses", lambda *_: (noise, smoothed.tolist()))
    monkeypatch.setattr(
        find_lr, "_try", lambda _, first, rate, steps: batches - (0.3 if falls and rate == highest / 4 else 0.0)
    )
    config = load("mnist_mlp", [f"train.schedule={schedule}", "train.epochs=20"])
    setup = SimpleNamespace(loop=SimpleNamespace(state=dict), config=config, steps_per_epoch=100)
    found = find_lr.search(setup, RATES)
    assert found.suggested == (suggested and pytest.approx(suggested * highest, rel=0.01))
    assert (found.reason is None) == falls
