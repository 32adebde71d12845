"""`cnn train --overfit-batch`: can the network overfit a single batch? If not, more data will not help it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from time import perf_counter

import numpy as np
import tensorflow as tf

from cnncli.analysis.rehearsal import OverfitResult
from cnncli.config.schema.schedules import Constant
from cnncli.config.schema.schema import Config
from cnncli.datasets import load as load_splits
from cnncli.engine.input_pipeline.feed import Chunk
from cnncli.engine.runtime import configure
from cnncli.engine.training.setup import Setup
from cnncli.layers.graph import Node
from cnncli.tasks.task import get_task

MAX_STEPS = 2000
CHUNK_SECONDS = 0.5


def overfit(config: Config, tell: Callable[[str], None], max_steps: int = MAX_STEPS) -> OverfitResult:
    """Train on one batch until it is overfit; nothing is written.

    What works against that on purpose is left out: augmentation, dropout, label smoothing, the schedule and
    the average of the weights.

    Args:
        config: The config.
        tell: Told about twice a second how it goes.
        max_steps: When to give up.

    Raises:
        CnnError: If the data are missing.
    """
    configure(config)
    splits = load_splits(config)
    setup = Setup.of(_bare(config), splits)
    setup.begin()
    return _Batch(setup, tell).overfit(max_steps)


class _Batch:
    """The first batch of the first epoch, and a network that is to learn it.

    Args:
        setup: Holds both.
        tell: Told how it goes.
    """

    def __init__(self, setup: Setup, tell: Callable[[str], None]) -> None:
        self._loop = setup.loop
        self._rate = setup.rates(0, 1)
        self._task = get_task(setup.config.task)
        self._num_classes = len(setup.splits.classes)
        self._tell = tell
        chunk = setup.feed.chunk(0, 0, 1)
        self.images = tf.gather(chunk.images, chunk.plan[0])
        self.targets = tf.gather(chunk.targets, chunk.plan[0])
        self._row = np.arange(len(self.targets), dtype=np.int32)

    def overfit(self, max_steps: int) -> OverfitResult:
        """Take steps until the batch is overfit or there have been enough."""
        begun = perf_counter()
        metrics = self._step()
        first_loss = metrics["loss"]
        steps, number, finite = 1, 1, bool(np.isfinite(first_loss))
        while finite and steps < max_steps and not self._task.is_overfit(metrics):
            started = perf_counter()
            finite = self._take(min(number, max_steps - steps - 1))
            steps += min(number, max_steps - steps - 1)
            if finite:
                metrics = self._step()
                finite, steps = bool(np.isfinite(metrics["loss"])), steps + 1
            elapsed = perf_counter() - started
            number = max(1, min(4 * number, int(number * CHUNK_SECONDS / elapsed)))
            self._tell(f"step {steps:,}: {self._task.progress(metrics)}")
        learned = finite and self._task.is_overfit(metrics)
        return OverfitResult(
            learned=learned,
            steps=steps,
            seconds=perf_counter() - begun,
            num_examples=len(self._row),
            metrics={name: value for name, value in metrics.items() if name != "regularization_loss"},
            first_loss=first_loss,
            chance_loss=self._task.chance_loss(self._num_classes),
            diverged=not finite,
            layers_without_gradient=() if learned or not finite else self._without_gradient(),
            num_contradictions=_contradictions(np.asarray(self.images), np.asarray(self.targets)),
        )

    def _take(self, number: int) -> bool:
        """Take steps; return whether all were finite."""
        if number < 1:
            return True
        plan = np.tile(self._row, (number, 1))
        chunk = Chunk(self.images, self.targets, plan, len(self._row))
        losses = self._loop.run(chunk, np.repeat(self._rate, number, axis=0), 0)
        return len(losses) == number

    def _step(self) -> dict[str, float]:
        """Take a step; return the means over the batch before it."""
        self._loop.reset_means()
        means = self._loop.means().by_name()
        if not self._take(1):
            return {**means, "loss": float("nan")}
        return self._loop.means().by_name()

    def _without_gradient(self) -> tuple[str, ...]:
        """Return the layers whose gradients are all zero, or are none."""
        loop = self._loop
        with tf.GradientTape() as tape:
            outputs = loop.model(loop.preprocessing.to_float(self.images), training=True)
            loss = tf.reduce_mean(loop.objective.loss(self.targets, outputs))
        layers = [layer for layer in loop.model.layers if layer.trainable_variables]
        gradients = tape.gradient(loss, [[v.value for v in layer.trainable_variables] for layer in layers])
        return tuple(layer.name for layer, of in zip(layers, gradients, strict=True) if not any(map(_flows, of)))


def _flows(gradient: tf.Tensor | None) -> bool:
    return gradient is not None and bool(tf.reduce_any(gradient != 0))


def _bare(config: Config) -> Config:
    """Return the config without what keeps a network from overfitting."""
    loss = config.train.loss.model_copy(update={"label_smoothing": 0.0})
    changed = {"loss": loss, "schedule": Constant(), "ema": None, "accumulate": 1}
    return config.model_copy(
        update={
            "data": config.data.model_copy(update={"augmentation": ()}),
            "train": config.train.model_copy(update=changed),
            "nodes": tuple(map(_without_dropout, config.nodes)),
        }
    )


def _without_dropout(node: Node) -> Node:
    if node.layer.is_random_in_training:
        return replace(node, layer=node.layer.model_copy(update={"rate": 0.0}))
    return node


def _contradictions(images: np.ndarray, targets: np.ndarray) -> int:
    """Count the examples that share their image with one of another target."""
    seen: dict[bytes, set[bytes]] = {}
    for image, target in zip(images, targets, strict=True):
        seen.setdefault(image.tobytes(), set()).add(target.tobytes())
    return sum(len(seen[image.tobytes()]) > 1 for image in images)
