"""How far a run has come, and what it decides from its own metrics: best epoch, early stopping, plateau."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from math import inf, isfinite
from typing import Any

import numpy as np

from cnncli.config.schema.schedules import ReduceLROnPlateau
from cnncli.config.schema.schema import Config, Train
from cnncli.config.schema.tasks import VALIDATION
from cnncli.errors import CheckpointError
from cnncli.files.form import LARGEST, number, optional, real, record, text, whole


@dataclass(frozen=True)
class Best:
    """The epoch (from 1) and step at which the monitored number was best.

    Attributes:
        epoch: Number of the epoch, from 1.
        step: Number of steps since the beginning.
        monitor: Name of the metric.
        value: Its value.
        loss: Loss on the same split, which decides between epochs of equal value: accuracy on a small
            split takes few values.
    """

    epoch: int
    step: int
    monitor: str
    value: float
    loss: float

    def beats(self, other: Best | None, rises: bool) -> bool:
        """Say whether this epoch is better than the best before it; `rises`: whether higher values are better."""
        if other is None or self.value == other.value:
            return other is None or self.loss < other.loss
        return is_better(self.value, other.value, rises)


@dataclass(frozen=True)
class Watch:
    """Counts the epochs since a monitored number last improved by more than `min_delta`."""

    value: float | None = None
    waited: int = 0

    def after(self, value: float, rises: bool, min_delta: float = 0.0) -> Watch:
        """Return the watch after one more epoch; `rises`: whether higher values are better."""
        if self.value is None or is_better(value, self.value, rises, min_delta):
            return Watch(value, 0)
        return Watch(self.value, self.waited + 1)


_WATCH = record({"value": optional(real), "waited": whole(-LARGEST)})

_FORM = record(
    {
        **dict.fromkeys(("epoch", "batch", "step"), whole()),
        "seconds": number(0),
        "best": optional(record({"epoch": whole(), "step": whole(), "monitor": text(), "value": real, "loss": real})),
        "stopping": _WATCH,
        "plateau": _WATCH,
    },
    {"plateau_cooling": whole(), "plateau_factor": number(0), "trained_seconds": number(0)},
)
"""What a checkpoint says of it; earlier versions said less."""


@dataclass(frozen=True)
class Progress:
    """What cannot be derived from (config, epoch, step); part of every checkpoint.

    Attributes:
        epoch: Number of epochs completed.
        batch: Number of batches of the current epoch completed.
        step: Number of steps since the beginning.
        seconds: Training time of the current epoch so far.
        best: Best epoch so far.
        stopping: Early stopping's watch.
        plateau: Watch of `ReduceLROnPlateau`.
        plateau_cooling: Epochs of its cooldown that are left.
        plateau_factor: What the plateau schedule has made of the learning rate so far.
        trained_seconds: Training time since the beginning.
    """

    epoch: int = 0
    batch: int = 0
    step: int = 0
    seconds: float = 0.0
    best: Best | None = None
    stopping: Watch = Watch()
    plateau: Watch = Watch()
    plateau_cooling: int = 0
    plateau_factor: float = 1.0
    trained_seconds: float = 0.0

    def to_json(self) -> dict[str, Any]:
        """Return plain data for a checkpoint's manifest."""
        return asdict(self)

    @classmethod
    def from_json(cls, document: Any) -> Progress:
        """Rebuild from `to_json`.

        Raises:
            CheckpointError: If it is not what that returned.
        """
        try:
            _FORM(document)
        except ValueError as error:
            raise CheckpointError(f"the checkpoint does not say how far its run had come: progress.{error}") from error
        best, plateau = document["best"], Watch(**document["plateau"])
        found = {
            **document,
            "best": Best(**{name: best[name] for name in Best.__dataclass_fields__}) if best else None,
            "stopping": Watch(**document["stopping"]),
            "plateau": plateau,
        }
        found = {name: value for name, value in found.items() if name in cls.__dataclass_fields__}
        if plateau.waited < 0:  # Early checkpoints counted the cooldown so.
            found |= {"plateau": Watch(plateau.value, 0), "plateau_cooling": -plateau.waited}
        return cls(**found)

    def after_steps(self, steps: int, seconds: float) -> Progress:
        """Return the progress after `steps` more steps of the epoch."""
        return replace(
            self,
            batch=self.batch + steps,
            step=self.step + steps,
            seconds=self.seconds + seconds,
            trained_seconds=self.trained_seconds + seconds,
        )

    def stopped_early(self, train: Train) -> bool:
        """Say whether early stopping ends the run here."""
        return train.early_stopping is not None and self.stopping.waited >= train.early_stopping.patience

    def out_of_time(self, train: Train) -> bool:
        """Say whether the run has used the time that it was given."""
        return train.max_minutes is not None and self.trained_seconds >= 60 * train.max_minutes

    def after_epoch(self, metrics: dict[str, float], config: Config) -> Progress:
        """Return the progress after an epoch that ended with `metrics`."""
        monitor = config.task_spec.best_by(config.monitor, metrics)
        loss = metrics["validation_loss" if monitor.startswith(VALIDATION) else "loss"]
        candidate, best = Best(self.epoch + 1, self.step, monitor, metrics[monitor], loss), self.best
        if isfinite(candidate.value) and candidate.beats(best, config.task_spec.higher_is_better(monitor)):
            best = candidate
        ended = replace(self, epoch=self.epoch + 1, batch=0, seconds=0.0, best=best)
        return ended._watched_for_stopping(metrics, config)._watched_for_plateau(metrics, config)

    def _watched_for_stopping(self, metrics: dict[str, float], config: Config) -> Progress:
        rule = config.train.early_stopping
        if rule is None:
            return self
        rises = config.task_spec.higher_is_better(rule.monitor)
        return replace(self, stopping=self.stopping.after(metrics[rule.monitor], rises, rule.min_delta))

    def _watched_for_plateau(self, metrics: dict[str, float], config: Config) -> Progress:
        rule = config.train.schedule
        if not isinstance(rule, ReduceLROnPlateau):
            return self
        # As Keras's callback: in the cooldown nothing is waited for, but its last epoch counts again.
        value, watch, cooling = metrics[rule.monitor], self.plateau, max(self.plateau_cooling - 1, 0)
        rises = config.task_spec.higher_is_better(rule.monitor)
        if watch.value is None or _improves(value, watch.value, rises, rule.min_delta):
            watch = Watch(value, 0)
        elif not cooling:
            watch = replace(watch, waited=watch.waited + 1)
        if watch.waited < rule.patience:
            return replace(self, plateau=watch, plateau_cooling=cooling)
        return replace(
            self,
            plateau=replace(watch, waited=0),
            plateau_cooling=rule.cooldown,
            plateau_factor=self.plateau_factor * rule.factor,
        )


def _improves(value: float, than: float, rises: bool, min_delta: float) -> bool:
    """Say whether a monitored number improves as Keras's callback asks it: in float32, and never on NaN."""
    if rises:
        return bool(np.float32(value - min_delta) > np.float32(than))
    return bool(np.float32(value + min_delta) < np.float32(than))


def is_better(value: float, than: float, rises: bool, min_delta: float = 0.0) -> bool:
    """Say whether `value` improves on `than` by more than `min_delta`."""
    if rises:
        return value > than + min_delta
    return value < (than if isfinite(than) else inf) - min_delta
