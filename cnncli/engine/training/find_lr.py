"""Looking for a good learning rate: train a little while it rises, and see where the loss falls and where it breaks."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from math import isfinite, log10
from typing import Any

import numpy as np

from cnncli.config.schema.schema import Config
from cnncli.datasets import load as load_splits
from cnncli.engine.runtime import configure
from cnncli.engine.training.setup import Setup
from cnncli.errors import CnnError
from cnncli.plural import counted

SMOOTHING = 0.9
"""Share of the running mean that each new loss leaves."""

BREAK = 4.0
"""The search ends when the smoothed loss is this many times its smallest value."""


@dataclass(frozen=True)
class Search:
    """How the loss answered to a rising learning rate.

    Attributes:
        rates: Learning rate of each step.
        losses: Smoothed loss of each step.
        steepest: Rate at which the loss fell fastest.
        suggested: Rate to try: a tenth of the one with the smallest loss, but at most the steepest.
    """

    rates: list[float]
    losses: list[float]
    steepest: float
    suggested: float

    def to_json(self) -> dict[str, Any]:
        """Return the fields of `cnn find-lr --json`."""
        return asdict(self)


def find_rate(config: Config, lowest: float = 1e-6, highest: float = 10.0, num_steps: int = 200) -> Search:
    """Train for at most `num_steps` steps with a rate that grows by the same factor at each; keep nothing.

    Raises:
        CnnError: If the loss is not finite from the start, or the data are missing.

    Reference: Smith, Cyclical learning rates for training neural networks, WACV 2017, section 3.3.
    """
    configure(config)
    splits = load_splits(config)
    setup = Setup.of(config, splits)
    setup.begin()
    rates = np.geomspace(lowest, highest, num_steps)
    losses = _losses(setup, rates)
    if len(losses) < 10:
        raise CnnError(
            f"the loss diverged after {counted(len(losses), 'step')}, at a learning rate of {rates[len(losses)]:.1e}"
        )
    return _read(rates[: len(losses)], losses)


def _losses(setup: Setup, rates: np.ndarray) -> list[float]:
    """Return the smoothed losses until they break."""
    smoothed: list[float] = []
    mean = 0.0
    while len(smoothed) < len(rates):
        epoch, batch = divmod(len(smoothed), setup.steps_per_epoch)
        chunk = setup.feed.chunk(epoch, batch, 1)
        rate = np.full((1, len(setup.loop.updates.base_rates)), rates[len(smoothed)], np.float32)
        found = setup.loop.run(chunk, rate, len(smoothed))
        if len(found) == 0 or not isfinite(found[0]):
            break
        mean = SMOOTHING * mean + (1 - SMOOTHING) * float(found[0])
        # Corrected for the mean's start at zero.
        smoothed.append(mean / (1 - SMOOTHING ** (len(smoothed) + 1)))
        if smoothed[-1] > BREAK * min(smoothed):
            break
    return smoothed


def _read(rates: np.ndarray, losses: list[float]) -> Search:
    lowest = int(np.argmin(losses))
    slopes = np.gradient(np.asarray(losses), [log10(rate) for rate in rates])
    steepest = float(rates[int(np.argmin(slopes[: max(lowest, 2)]))])
    return Search(rates.tolist(), losses, steepest, min(steepest, float(rates[lowest]) / 10))
