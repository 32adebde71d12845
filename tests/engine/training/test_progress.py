"""What a run decides from its own metrics, against decisions written out by hand."""

from __future__ import annotations

import json
from itertools import product
from types import SimpleNamespace

import numpy as np
import pytest

from cnncli.config.schema.schedules import ReduceLROnPlateau
from cnncli.config.schema.schema import Config, EarlyStopping, Train

pytestmark = pytest.mark.engine


def config_of(train: Train) -> Config:
    """Return a config of a train section alone."""
    return Config.model_construct(train=train)


def after(train: Train, accuracies: list[float], losses: list[float]) -> list:
    """Return the progress after each epoch of a run with these validation metrics."""
    from cnncli.engine.training.progress import Progress

    progress, found = Progress(), []
    for accuracy, loss in zip(accuracies, losses, strict=True):
        metrics = {"accuracy": 0.5, "loss": 1.0, "validation_accuracy": accuracy, "validation_loss": loss}
        progress = progress.after_steps(10, 1.0).after_epoch(metrics, config_of(train))
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
    """The rate falls when the loss has not improved for 2 epochs; after it the second epoch counts again."""
    rule = ReduceLROnPlateau(patience=2, factor=0.5, cooldown=2, min_delta=0.0)
    found = after(Train(schedule=rule), [0.5] * 7, [1.0, 0.9, 0.9, 0.9, 0.9, 0.9, 0.9])
    assert [progress.plateau_factor for progress in found] == [1, 1, 1, 0.5, 0.5, 0.5, 0.25]


@pytest.mark.parametrize("monitor", ["validation_loss", "validation_accuracy"])
def test_plateau_equals_the_callback_of_keras(monitor: str) -> None:
    """For 200 random courses, each with every patience and cooldown, the rate falls at the same epochs.

    The values have one decimal, so that changes of exactly `min_delta` occur; some are not a number.
    """
    from keras.callbacks import ReduceLROnPlateau as Callback

    from cnncli.engine.training.progress import Progress

    rng = np.random.default_rng(0)
    mode = "min" if monitor.endswith("loss") else "max"
    cooled = 0
    for number in range(200):
        values = rng.integers(1, 10, 12) / 10
        values[rng.random(12) < 0.02] = np.nan
        min_delta = (0.0, 0.1, 0.15)[number % 3]
        for patience, cooldown in product((1, 2, 3), (0, 1, 2, 3)):
            settings = {"factor": 0.5, "patience": patience, "cooldown": cooldown, "min_delta": min_delta}
            callback = Callback("watched", mode=mode, **settings)
            model = SimpleNamespace(optimizer=SimpleNamespace(learning_rate=1.0))
            callback.set_model(model)
            callback.on_train_begin()
            train, progress = Train(schedule=ReduceLROnPlateau(monitor=monitor, **settings)), Progress()
            ours, expected = [], []
            for epoch, value in enumerate(values.tolist()):
                callback.on_epoch_end(epoch, {"watched": value})
                expected.append(model.optimizer.learning_rate)
                metrics = {"loss": 1.0, "accuracy": 0.5, "validation_loss": 1.0, "validation_accuracy": 0.5}
                progress = progress.after_epoch(metrics | {monitor: value}, config_of(train))
                ours.append(progress.plateau_factor)
            assert ours == expected, (values, settings)
            cooled += cooldown > 1 and expected[-1] < 0.5
    assert cooled > 100


def test_a_plateau_of_an_early_checkpoint_goes_on_cooling() -> None:
    """Checkpoints once held what is left of the cooldown as a negative wait: two epochs, of which the second counts."""
    from cnncli.engine.training.progress import Progress

    document = Progress(plateau_factor=0.5).to_json() | {"plateau": {"value": 0.9, "waited": -2}}
    del document["plateau_cooling"]
    progress = Progress.from_json(document)
    train = Train(schedule=ReduceLROnPlateau(patience=2, factor=0.5, cooldown=0))
    factors = []
    for _ in range(3):
        metrics = {"loss": 1.0, "accuracy": 0.5, "validation_loss": 0.9, "validation_accuracy": 0.5}
        progress = progress.after_epoch(metrics, config_of(train))
        factors.append(progress.plateau_factor)
    assert factors == [0.5, 0.5, 0.25]


def test_a_loss_that_is_not_finite_is_never_best() -> None:
    """NaN is no improvement on anything."""
    train = Train(early_stopping=EarlyStopping(monitor="validation_loss", patience=1))
    found = after(train, [0.5, 0.5], [1.0, float("nan")])
    assert found[-1].best.epoch == 1


def test_progress_survives_json() -> None:
    """What a checkpoint keeps is the whole progress."""
    from cnncli.engine.training.progress import Progress

    progress = after(Train(early_stopping=EarlyStopping()), [0.1, 0.2], [2.0, 1.0])[-1]
    assert Progress.from_json(json.loads(json.dumps(progress.to_json()))) == progress


def test_steps_and_seconds_are_counted() -> None:
    """Those of an epoch begin anew with the next; those of the run go on."""
    from cnncli.engine.training.progress import Best, Progress, Watch

    begun = Progress()
    assert (begun.epoch, begun.batch, begun.step, begun.seconds, begun.trained_seconds) == (0, 0, 0, 0.0, 0.0)
    assert (begun.best, begun.plateau_factor, begun.plateau_cooling) == (None, 1.0, 0)
    assert begun.stopping == begun.plateau == Watch(None, 0)
    twice = begun.after_steps(3, 1.5).after_steps(4, 0.25)
    assert (twice.batch, twice.step, twice.seconds, twice.trained_seconds) == (7, 7, 1.75, 1.75)
    ended = twice.after_epoch({"loss": 0.5, "accuracy": 0.25}, config_of(Train()))
    assert (ended.epoch, ended.batch, ended.step, ended.seconds, ended.trained_seconds) == (1, 0, 7, 0.0, 1.75)
    assert ended.best == Best(1, 7, "accuracy", 0.25, 0.5)
    again = ended.after_steps(2, 1.0)
    assert (again.batch, again.step, again.seconds, again.trained_seconds) == (2, 9, 1.0, 2.75)


@pytest.mark.parametrize(("seconds", "out"), [(89.9, False), (90.0, True), (200.0, True)])
def test_a_run_is_out_of_time_after_its_minutes(seconds: float, out: bool) -> None:
    """A minute and a half is 90 seconds of training; without a limit there is time."""
    from cnncli.engine.training.progress import Progress

    progress = Progress().after_steps(1, seconds)
    assert progress.out_of_time(Train(max_minutes=1.5)) == out
    assert not progress.out_of_time(Train())


@pytest.mark.parametrize("monitor", ["loss", "accuracy"])
def test_a_change_of_just_the_smallest_is_no_improvement(monitor: str) -> None:
    """Early stopping waits on through changes of `min_delta`, and starts anew at a larger one."""
    from cnncli.engine.training.progress import Watch

    sign = -1 if monitor == "loss" else 1
    watch, waited = Watch(), []
    for value in (1.0, 1.25, 1.25, 1.5625, 1.5625):
        watch = watch.after(sign * value, monitor == "accuracy", 0.25)
        waited.append(watch.waited)
    assert waited == [0, 1, 2, 0, 1]
    assert watch.value == sign * 1.5625
    assert Watch(float("nan"), 3).after(0.5, rises=False) == Watch(0.5, 0)
