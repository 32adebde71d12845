"""Looking for a good learning rate: train a little while it rises, then a little at each of a few constant rates.

Where the loss is smallest while the rate rises tells the order of magnitude alone: with momentum, or with steps that
normalize the gradient, the best constant rate lies a factor 10 and more below it, with plain SGD beside it. So rates
from there down are tried.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from math import isfinite, log10, sqrt
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

FEWEST = 10
"""Steps without which there is nothing to read."""

CLEAR = 1.5
"""A fall counts if it is this many times what the loss differs by chance from batch to batch; smoothing leaves a
quarter of that, and the smallest of some hundred smoothed values lies about three quarters of it below their mean."""

LEAST_FALL = 0.02
"""Share of the first loss by which it must fall at least."""

EDGE = 0.1
"""Share of the fall after which it has begun."""

BREAK = 4.0
"""The search ends when the smoothed loss is this many times its smallest value."""

NUM_TRIALS = 7
"""Constant rates that are tried: that of the smallest loss, and others down from it, each half the one before."""


@dataclass(frozen=True)
class Search:
    """How the loss answered to a rising learning rate.

    Attributes:
        rates: Learning rate of each step.
        losses: Smoothed loss of each step.
        steepest: Rate at which the loss fell fastest, where it had clearly fallen; None where it never did.
        suggested: Rate to try: the smallest whose short training ended as well as the best one, as the peak of the
            config's schedule; None likewise.
        lowest: Rate with the smallest loss while it rose, however small the fall.
        reason: Why no rate is suggested, or None.
    """

    rates: list[float]
    losses: list[float]
    steepest: float | None
    suggested: float | None
    lowest: float
    reason: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the fields of `cnn find-lr --json`."""
        return asdict(self)


def find_rate(config: Config, lowest: float = 1e-6, highest: float = 10.0, num_steps: int = 200) -> Search:
    """Train at most `num_steps` steps with a rate that grows by the same factor at each, then try a few; keep nothing.

    Raises:
        CnnError: If the loss is not finite from the start, or the data are missing.

    Reference: Smith, Cyclical learning rates for training neural networks, WACV 2017, section 3.3.
    """
    configure(config)
    setup = Setup.of(config, load_splits(config))
    setup.begin()
    return search(setup, np.geomspace(lowest, highest, num_steps))


def search(setup: Setup, rates: np.ndarray) -> Search:
    """Train one step with each of the rates, until the loss breaks, then half as many with each of a few; it has begun.

    Raises:
        CnnError: If the loss is not finite from the start.
    """
    first = setup.loop.state()
    measured, smoothed = _losses(setup, rates)
    if len(smoothed) < FEWEST:
        count = len(smoothed)
        raise CnnError(f"the loss diverged after {counted(count, 'step')}, at a learning rate of {rates[count]:.1e}")
    found = read(rates[: len(smoothed)], measured, smoothed)
    tried = found.lowest / 2.0 ** np.arange(NUM_TRIALS)
    losses = np.array([_try(setup, first, rate, max(len(rates) // 2, FEWEST)) for rate in tried.tolist()])
    chosen = choose(tried, losses)
    if chosen is None:
        return found
    # A loss that falls slowly may not fall clearly while the rate rises, and yet do so at a constant rate.
    level, noise = _beginning(measured)
    if found.reason is not None and level - losses.mean(axis=1).min() <= max(noise, LEAST_FALL * level):
        return found
    return replace(found, suggested=chosen / _mean_factor(setup), reason=None)


def _mean_factor(setup: Setup) -> float:
    """Return the mean of the schedule's rates as a share of the rate that a config names.

    The trials' rates are constant; a schedule that warms up and falls has them on the average only of a higher one.
    """
    train = setup.config.train
    steps = range(0, train.epochs * setup.steps_per_epoch, max(train.epochs * setup.steps_per_epoch // 1000, 1))
    return float(np.mean([train.schedule.rate(1.0, step, setup.steps_per_epoch, train.epochs) for step in steps]))


def _try(setup: Setup, first: Mapping[str, np.ndarray], rate: float, num_steps: int) -> np.ndarray:
    """Return the losses of the last quarter of a training's steps at one rate; infinite where it diverges."""
    setup.loop.restore(first)
    losses: list[float] = []
    while len(losses) < num_steps:
        epoch, batch = divmod(len(losses), setup.steps_per_epoch)
        chunk = setup.feed.chunk(epoch, batch, num_steps - len(losses))
        rates = np.full((len(chunk.plan), len(setup.loop.updates.base_rates)), rate, np.float32)
        found = setup.loop.run(chunk, rates, len(losses))
        losses.extend(found.tolist())
        if len(found) < len(chunk.plan):
            return np.full(num_steps // 4, np.inf)
    return np.array(losses[-(num_steps // 4) :])


def choose(rates: np.ndarray, losses: np.ndarray) -> float | None:
    """Return the smallest rate whose losses are at most one standard error above those of the best.

    Short trainings favour large rates: of two that are as good, the smaller one is safer in a longer training. Every
    training saw the same batches, so that it is their differences from the best one's which vary by chance.

    Args:
        rates: The rates.
        losses: Loss of each of the last steps with each rate, (rates, steps).

    Returns:
        The rate, or None where all diverged.
    """
    finite = np.isfinite(losses).all(axis=1)
    if not finite.any():
        return None
    rates, losses = rates[finite], losses[finite]
    above = losses - losses[np.argmin(losses.mean(axis=1))]
    error = above.std(axis=1, ddof=1) / sqrt(above.shape[1])
    return float(rates[above.mean(axis=1) <= error].min())


def _losses(setup: Setup, rates: np.ndarray) -> tuple[list[float], list[float]]:
    """Return the losses of the batches until they break, as they are and smoothed."""
    measured: list[float] = []
    smoothed: list[float] = []
    mean = 0.0
    while len(smoothed) < len(rates):
        epoch, batch = divmod(len(smoothed), setup.steps_per_epoch)
        chunk = setup.feed.chunk(epoch, batch, 1)
        rate = np.full((1, len(setup.loop.updates.base_rates)), rates[len(smoothed)], np.float32)
        found = setup.loop.run(chunk, rate, len(smoothed))
        if len(found) == 0 or not isfinite(found[0]):
            break
        measured.append(float(found[0]))
        mean = SMOOTHING * mean + (1 - SMOOTHING) * measured[-1]
        # Corrected for the mean's start at zero.
        smoothed.append(mean / (1 - SMOOTHING ** (len(smoothed) + 1)))
        if smoothed[-1] > BREAK * min(smoothed):
            break
    return measured, smoothed


def read(rates: np.ndarray, measured: list[float], smoothed: list[float]) -> Search:
    """Read from a search where the loss fell, and guess at the rate to try: a tenth of that of the smallest loss.

    The first steps, whose rates are too small to change anything, tell the loss of the untrained network and how much
    it differs between batches by chance. Only what lies clearly below that is a fall; before it, slopes are noise.

    Args:
        rates: Learning rate of each step.
        measured: Loss of each step's batch.
        smoothed: The same, smoothed.
    """
    level, noise = _beginning(measured)
    # Of the first steps, the smoothed losses are still those of single batches.
    begin = _num_first(measured)
    lowest = begin + int(np.argmin(smoothed[begin:]))
    fall = level - smoothed[lowest]
    if fall <= CLEAR * noise or fall <= LEAST_FALL * level:
        reason = (
            f"the loss fell by {max(fall, 0.0):.3f} from {level:.3f}, "
            f"and differs by {noise:.3f} between batches by chance: too little to tell a good rate"
        )
        return Search(rates.tolist(), smoothed, None, None, float(rates[lowest]), reason)
    edge = level - max(EDGE * fall, min(noise, fall / 2))
    begun = 1 + max((i for i in range(lowest) if smoothed[i] > edge), default=-1)
    slopes = np.gradient(np.asarray(smoothed), [log10(rate) for rate in rates])
    steepest = float(rates[begun + int(np.argmin(slopes[begun : lowest + 1]))])
    best = float(rates[lowest])
    return Search(rates.tolist(), smoothed, steepest, min(steepest, best / 10), best)


def _num_first(measured: list[float]) -> int:
    """Return the number of the first steps, whose rates are too small to change anything."""
    return max(len(measured) // 8, 5)


def _beginning(measured: list[float]) -> tuple[float, float]:
    """Return the loss of the untrained network, and how much it differs between batches by chance."""
    head = measured[: _num_first(measured)]
    return float(np.mean(head)), float(np.std(head, ddof=1))
