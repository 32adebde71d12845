"""`cnn train --overfit-batch`: can the network learn one batch by heart? If not, more data will not help it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from math import log
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import tensorflow as tf

from cnncli.config.schema.schedules import Constant
from cnncli.config.schema.schema import Config
from cnncli.datasets import load as load_splits
from cnncli.engine.input_pipeline.feed import Chunk
from cnncli.engine.runtime import configure
from cnncli.engine.training.trainer import Trainer
from cnncli.layers.graph import Node
from cnncli.runs.events import Silence
from cnncli.runs.run import Run

MAX_STEPS = 2000
KNOWN = 0.1
"""Mean loss below which a batch whose examples are all right is known by heart: e^−0.1 is 90 % certainty."""

CHUNK_SECONDS = 0.5


@dataclass(frozen=True)
class Memorization:
    """How the training on a single batch went.

    Attributes:
        learned: Whether all examples are right, with a mean loss below 0.1.
        steps: Steps taken.
        seconds: Time of them.
        num_examples: Examples of the batch.
        accuracy: Share of examples that are right at the end, as training sees them.
        loss: Mean loss at the end.
        first_loss: Mean loss before the first step.
        chance_loss: Loss of a network that knows nothing: the logarithm of the number of classes.
        diverged: Whether a loss or gradient was no longer a finite number.
        layers_without_gradient: Layers whose weights get no gradient at the end.
        num_contradictions: Examples of the batch with the same image as another one and another label.
    """

    learned: bool
    steps: int
    seconds: float
    num_examples: int
    accuracy: float
    loss: float
    first_loss: float
    chance_loss: float
    diverged: bool
    layers_without_gradient: tuple[str, ...]
    num_contradictions: int

    def to_json(self) -> dict[str, Any]:
        """Return the fields of `cnn train --overfit-batch --json`."""
        return asdict(self)


def memorize(config: Config, tell: Callable[[str], None], max_steps: int = MAX_STEPS) -> Memorization:
    """Train on one batch until it is known by heart; nothing is written.

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
    trainer = Trainer(_bare(config), Run(Path("overfit-batch")), splits, Silence())
    trainer.begin()
    return _Batch(trainer, tell).learn(max_steps, len(splits.classes))


class _Batch:
    """The first batch of the first epoch, and a network that is to learn it.

    Args:
        trainer: Holds both.
        tell: Told how it goes.
    """

    def __init__(self, trainer: Trainer, tell: Callable[[str], None]) -> None:
        self._learner = trainer.learner
        self._rate = trainer.rates(0, 1)
        self._tell = tell
        chunk = trainer.feed.chunk(0, 0, 1)
        self.images = tf.gather(chunk.images, chunk.plan[0])
        self.labels = tf.gather(chunk.labels, chunk.plan[0])
        self._row = np.arange(len(self.labels), dtype=np.int32)

    def learn(self, max_steps: int, num_classes: int) -> Memorization:
        """Take steps until the batch is known or there have been enough."""
        begun = perf_counter()
        first_loss, _ = loss, accuracy = self._step()
        steps, number, finite = 1, 1, np.isfinite(loss)
        while finite and steps < max_steps and not _knows(loss, accuracy):
            started = perf_counter()
            finite = self._take(min(number, max_steps - steps - 1))
            steps += min(number, max_steps - steps - 1)
            if finite:
                loss, accuracy = self._step()
                finite, steps = bool(np.isfinite(loss)), steps + 1
            elapsed = perf_counter() - started
            number = max(1, min(4 * number, int(number * CHUNK_SECONDS / elapsed)))
            self._tell(f"step {steps:,}: loss {loss:.4f}, {accuracy:.1%} right")
        learned = bool(finite) and _knows(loss, accuracy)
        return Memorization(
            learned=learned,
            steps=steps,
            seconds=perf_counter() - begun,
            num_examples=len(self._row),
            accuracy=accuracy,
            loss=loss,
            first_loss=first_loss,
            chance_loss=log(num_classes),
            diverged=not finite,
            layers_without_gradient=() if learned or not finite else self._without_gradient(),
            num_contradictions=_contradictions(np.asarray(self.images), np.asarray(self.labels)),
        )

    def _take(self, number: int) -> bool:
        """Take steps; return whether all were finite."""
        if number < 1:
            return True
        plan = np.tile(self._row, (number, 1))
        losses = self._learner.run(Chunk(self.images, self.labels, plan), np.repeat(self._rate, number, axis=0), 0)
        return len(losses) == number

    def _step(self) -> tuple[float, float]:
        """Take a step; return mean loss and accuracy before it."""
        self._learner.reset_means()
        if not self._take(1):
            return float("nan"), 0.0
        means = self._learner.means()
        return means.loss, means.accuracy

    def _without_gradient(self) -> tuple[str, ...]:
        """Return the layers whose gradients are all zero, or are none."""
        learner = self._learner
        with tf.GradientTape() as tape:
            logits = learner.model(learner.preprocessing.to_float(self.images), training=True)
            loss = tf.reduce_mean(learner.loss(self.labels, logits))
        layers = [layer for layer in learner.model.layers if layer.trainable_variables]
        gradients = tape.gradient(loss, [[v.value for v in layer.trainable_variables] for layer in layers])
        return tuple(layer.name for layer, of in zip(layers, gradients, strict=True) if not any(map(_flows, of)))


def _flows(gradient: tf.Tensor | None) -> bool:
    return gradient is not None and bool(tf.reduce_any(gradient != 0))


def _knows(loss: float, accuracy: float) -> bool:
    return accuracy == 1.0 and loss < KNOWN


def _bare(config: Config) -> Config:
    """Return the config without what keeps a network from learning by heart."""
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


def _contradictions(images: np.ndarray, labels: np.ndarray) -> int:
    """Count the examples that share their image with one of another label."""
    seen: dict[bytes, set[int]] = {}
    for image, label in zip(images, labels, strict=True):
        seen.setdefault(image.tobytes(), set()).add(int(label))
    return sum(len(seen[image.tobytes()]) > 1 for image in images)
