"""A config made ready to train: what `train`, `find-lr`, `bench`, `--dry-run` and `--overfit-batch` have in common."""

from __future__ import annotations

import math
from dataclasses import dataclass

import keras
import numpy as np

from cnncli.config.schema.schema import Config
from cnncli.datasets.splits import Splits
from cnncli.engine.distribution.strategy import OneProcess, Strategy
from cnncli.engine.input_pipeline.feed import Feed, make_feed
from cnncli.engine.input_pipeline.preprocessing import Preprocessing
from cnncli.engine.network.adapt import adapt, freeze_statistics
from cnncli.engine.network.model import build
from cnncli.engine.network.pretrained import Source
from cnncli.engine.network.transfer import take_weights
from cnncli.engine.tasks.objective import make_objective
from cnncli.engine.training.step_loop import StepLoop


def make_step_loop(config: Config, splits: Splits | None = None, strategy: Strategy | None = None) -> StepLoop:
    """Return a config's network with its optimizer and its task's objective, freshly initialized from its seed.

    Args:
        config: The experiment.
        splits: Its examples, from which class weights follow; None where nothing is learned.
        strategy: How several processes share the steps; by default this one takes them all.

    Raises:
        CnnError: If the config names something that the examples do not have.
    """
    return StepLoop(config, build(config), Preprocessing(config.data), make_objective(config, splits), strategy)


@dataclass(frozen=True)
class Setup:
    """A network and the examples that it learns from.

    Attributes:
        config: The experiment.
        splits: Its examples.
        loop: Takes steps: the network, its optimizer, the objective.
        feed: The training split, batch by batch.
        strategy: How several processes share the work.
    """

    config: Config
    splits: Splits
    loop: StepLoop
    feed: Feed
    strategy: Strategy

    @classmethod
    def of(cls, config: Config, splits: Splits, strategy: Strategy | None = None) -> Setup:
        """Build all that training a config takes; what the network takes from the examples comes with `begin`.

        Args:
            config: The experiment.
            splits: Its examples.
            strategy: How several processes share the work; by default this one does it all.

        Raises:
            CnnError: If the config names something that the examples do not have.
        """
        strategy = strategy or OneProcess.of(config)
        loop = make_step_loop(config, splits, strategy)
        feed = make_feed(splits.train, loop.preprocessing, config.seed, config.train.batch_size, strategy.share)
        return cls(config, splits, loop, feed, strategy)

    @property
    def model(self) -> keras.Model:
        """The network."""
        return self.loop.model

    @property
    def steps_per_epoch(self) -> int:
        """Number of steps of an epoch; the last may be of fewer examples."""
        return math.ceil(self.feed.num_examples / self.config.train.batch_size)

    def begin(self, source: Source | None = None) -> tuple[str, ...]:
        """Give the network what it takes from the examples, and from another run or a file.

        Returns:
            What the user should know about it, a line each.
        """
        adapt(self.config, self.model, self.feed, self.loop.preprocessing)
        notes: tuple[str, ...] = ()
        start = self.config.train.start_from
        if start is not None and source is not None:
            notes = take_weights(self.model, source.arrays, start.layers, source.name).lines()
        freeze_statistics(self.model)
        return notes

    def rates(self, first_step: int, num_steps: int, factor: float = 1.0) -> np.ndarray:
        """Return the learning rates of steps, float32 (num_steps, groups).

        Args:
            first_step: Number of the first one, from 0 at the run's start.
            num_steps: Number of steps.
            factor: By how much a plateau schedule has scaled the rates so far.
        """
        train = self.config.train
        steps = range(first_step, first_step + num_steps)
        factors = [train.schedule.rate(1.0, step, self.steps_per_epoch, train.epochs) for step in steps]
        bases = self.loop.updates.base_rates * factor
        return np.outer(factors, bases).astype(np.float32)
