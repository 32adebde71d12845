"""What a run decides from its own metrics, against decisions written out by hand."""

from __future__ import annotations

import json

import pytest

from cnncli.config.schedules import ReduceLROnPlateau
from cnncli.config.schema import EarlyStopping, Train

pytestmark = pytest.mark.engine


def after(train: Train, accuracies: list[float], losses: list[float]) -> list:
    """Return the progress after each epoch of a run with these validation metrics."""
    from cnncli.engine.progress import Progress

    progress, found = Progress(), []
    for accuracy, loss in zip(accuracies, losses, strict=True):
        metrics = {"accuracy": 0.5, "loss": 1.0, "validation_accuracy": accuracy, "validation_loss": loss}
        progress = progress.after_steps(10, 1.0).after_epoch(metrics, train)
        found.append(progress)
    return found


def test_the_best_epoch_of_equal_accuracy_has_the_lower_loss() -> None:
    """Accuracy decides, then the loss; an equal epoch does not replace an earlier one."""
    found = after(Train(), [0.8, 0.9, 0.9, 0.9, 0.7], [0.5, 0.4, 0.3, 0.3, 0.1])
    assert [progress.best.epoch for progress in found] == [1, 2, 3, 3, 3]
    assert found[-1].best.step == 30


def test_early_stopping_waits_for_its_patience() -> None:
    """With patience 2 and a smallest change of 0.05, the run ends two epochs after the last real improvement."""
    train = Train(early_stopping=EarlyStopping(patience=2, min_delta=0.05))
    found = after(train, [0.5, 0.6, 0.62, 0.64], [1.0] * 4)
    assert [progress.stopped_early(train) for progress in found] == [False, False, False, True]
    assert not found[-1].stopped_early(Train())


def test_plateau_reduces_after_patience_and_cooldown() -> None:
    """The rate falls when the loss has not improved for 2 epochs; the epoch of the cooldown does not count."""
    rule = ReduceLROnPlateau(patience=2, factor=0.5, cooldown=1, min_delta=0.0)
    found = after(Train(schedule=rule), [0.5] * 7, [1.0, 0.9, 0.9, 0.9, 0.9, 0.9, 0.9])
    assert [progress.plateau_factor for progress in found] == [1, 1, 1, 0.5, 0.5, 0.5, 0.25]


def test_a_loss_that_is_not_finite_is_never_best() -> None:
    """NaN is no improvement on anything."""
    train = Train(early_stopping=EarlyStopping(monitor="validation_loss", patience=1))
    found = after(train, [0.5, 0.5], [1.0, float("nan")])
    assert found[-1].best.epoch == 1


def test_progress_survives_json() -> None:
    """What a checkpoint keeps is the whole progress."""
    from cnncli.engine.progress import Progress

    progress = after(Train(early_stopping=EarlyStopping()), [0.1, 0.2], [2.0, 1.0])[-1]
    assert Progress.from_json(json.loads(json.dumps(progress.to_json()))) == progress
