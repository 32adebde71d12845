"""What a trial before training found: the forecast of `--dry-run`, the outcome of `--overfit-batch`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class OverfitResult:
    """How the training on a single batch went.

    Attributes:
        learned: Whether the batch is overfit, of classification all examples right with a mean loss below 0.1.
        steps: Steps taken.
        seconds: Time of them.
        num_examples: Examples of the batch.
        metrics: The task's metrics at the end, as training sees them; "loss" among them.
        first_loss: Mean loss before the first step.
        chance_loss: Loss of a network that knows nothing, of classification the logarithm of the number of classes;
            None where there is no such number.
        diverged: Whether a loss or gradient was no longer a finite number.
        layers_without_gradient: Layers whose weights get no gradient at the end.
        num_contradictions: Examples of the batch with the same image as another one and another label.
    """

    learned: bool
    steps: int
    seconds: float
    num_examples: int
    metrics: Mapping[str, float]
    first_loss: float
    chance_loss: float | None
    diverged: bool
    layers_without_gradient: tuple[str, ...]
    num_contradictions: int

    def to_json(self) -> dict[str, Any]:
        """Return the fields of `cnn train --overfit-batch --json`."""
        document = asdict(self)
        return {**document.pop("metrics"), **document}


@dataclass(frozen=True)
class Forecast:
    """What a run will take, measured on its own first steps.

    Attributes:
        device: What trained.
        batch_size: Examples in a step.
        steps_per_epoch: Steps in an epoch.
        epochs: Epochs of the whole run, if nothing stops it before.
        compile_seconds: Time of the first step, which also compiles the loop.
        step_seconds: Time of a step after that.
        validation_seconds: Time of measuring the validation split; 0 without one.
        peak_bytes: Most memory that the process held, the device's where that is a GPU; None where no one can tell.
        network_bytes: What of that came with the network and its training.
        estimated_bytes: The estimate of `cnn summary` for a step.
        checkpoint_bytes: Size of a checkpoint.
    """

    device: str
    batch_size: int
    steps_per_epoch: int
    epochs: int
    compile_seconds: float
    step_seconds: float
    validation_seconds: float
    peak_bytes: int | None
    network_bytes: int | None
    estimated_bytes: int
    checkpoint_bytes: int

    @property
    def images_per_second(self) -> float:
        """Training examples a second."""
        return self.batch_size / self.step_seconds

    @property
    def epoch_seconds(self) -> float:
        """Time of an epoch with its validation."""
        return self.steps_per_epoch * self.step_seconds + self.validation_seconds

    @property
    def total_seconds(self) -> float:
        """Time of the whole run, from its first step on."""
        return self.compile_seconds + self.epochs * self.epoch_seconds

    def to_json(self) -> dict[str, Any]:
        """Return the fields of `cnn train --dry-run --json`."""
        derived = {name: getattr(self, name) for name in ("images_per_second", "epoch_seconds", "total_seconds")}
        return {**asdict(self), **derived}
