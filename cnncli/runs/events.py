"""What a training run tells whoever listens: the terminal, a test."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Timer
from typing import Any, Protocol


@dataclass(frozen=True)
class Started:
    """Training is about to take its first step.

    Attributes:
        run: Path of the run's directory.
        device: Name of the device that trains.
        epochs: Number of epochs of the whole run.
        steps_per_epoch: Number of steps of an epoch.
        num_examples: Number of training examples.
        num_validation: Number of validation examples.
        num_params: Number of weights.
        metric: Name of the task's primary metric.
        resumed_at: Step at which a resumed run goes on, or None for a new run.
        notes: Further lines a user should read before the first epoch.
        training_metric: Name of the metric of the training examples; None where it is the same.
    """

    run: str
    device: str
    epochs: int
    steps_per_epoch: int
    num_examples: int
    num_validation: int
    num_params: int
    metric: str
    resumed_at: int | None = None
    notes: tuple[str, ...] = ()
    training_metric: str | None = None


@dataclass(frozen=True)
class StepsDone:
    """Some more steps are done; sent about twice a second.

    Attributes:
        epoch: The current epoch, from 1.
        batch: Number of batches of the epoch done.
        metrics: Means over the training examples of the epoch so far, "loss" among them.
        images_per_second: Examples a second in the last steps.
        learning_rate: Of the last step.
    """

    epoch: int
    batch: int
    metrics: Mapping[str, float]
    images_per_second: float
    learning_rate: float


@dataclass(frozen=True)
class EpochDone:
    """One epoch is done: a line of `metrics.jsonl`.

    Attributes:
        epoch: Number of the epoch, from 1.
        step: Number of steps since the beginning.
        learning_rate: Of the epoch's last step.
        seconds: Training time of the epoch, without validation.
        images_per_second: Training examples a second.
        train: Means while training: the task's metrics; with regularizers also regularization_loss, what they added.
        validation: The task's metrics after the epoch; empty without a validation split.
        is_best: Whether no earlier epoch was better.
    """

    epoch: int
    step: int
    learning_rate: float
    seconds: float
    images_per_second: float
    train: dict[str, float]
    validation: dict[str, float]
    is_best: bool = False

    def to_json(self) -> dict[str, Any]:
        """Return the line of `metrics.jsonl`."""
        return {
            "epoch": self.epoch,
            "step": self.step,
            "learning_rate": self.learning_rate,
            "seconds": round(self.seconds, 3),
            "images_per_second": round(self.images_per_second, 1),
            "train": self.train,
            "validation": self.validation,
        }

    def named(self) -> dict[str, float]:
        """Return the numbers as monitors name them: "loss", "validation_loss" and so on."""
        return self.train | {f"validation_{name}": value for name, value in self.validation.items()}


class Listener(Protocol):
    """Hears of a run while it goes on."""

    def started(self, event: Started) -> None:
        """Hear that training begins."""

    def steps_done(self, event: StepsDone) -> None:
        """Hear of progress within an epoch."""

    def epoch_done(self, event: EpochDone) -> None:
        """Hear that an epoch ended."""

    def noted(self, text: str) -> None:
        """Hear one line that a user should read."""

    def ended(self) -> None:
        """Hear that no more steps will come."""


@contextmanager
def told_if_slow(tell: Callable[[str], None], what: str, after: float = 1.0) -> Iterator[None]:
    """Tell what is being done where a block takes longer than some seconds: silence looks like a standstill."""
    timer = Timer(after, tell, [f"{what} …"])
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


class Silence:
    """A listener that does nothing."""

    def started(self, event: Started) -> None:
        """Ignore the event."""

    def steps_done(self, event: StepsDone) -> None:
        """Ignore the event."""

    def epoch_done(self, event: EpochDone) -> None:
        """Ignore the event."""

    def noted(self, text: str) -> None:
        """Ignore the line."""

    def ended(self) -> None:
        """Ignore the end."""
