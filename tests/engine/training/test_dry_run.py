"""`--dry-run` and `--overfit-batch`: a forecast and a verdict, and nothing written."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from cnncli.runs.events import Silence

pytestmark = pytest.mark.engine


def test_forecast_fits_the_run(
    small_config: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Steps, batch and checkpoint are the run's; the forecast time is of the same order as the run's own.

    Both are measured by this process's processor time: what else the machine does then does not count.
    """
    from cnncli.engine.training import dry_run as rehearsal
    from cnncli.engine.training.train import train
    from cnncli.runs.run import Run

    monkeypatch.setattr(rehearsal, "perf_counter", time.process_time)
    config = small_config("train.epochs=20")
    forecast = rehearsal.dry_run(config)
    begun = time.process_time()
    run = Run.open(Path(train(config, tmp_path / "runs", Silence()).run))
    seconds = time.process_time() - begun
    assert (forecast.batch_size, forecast.steps_per_epoch, forecast.epochs) == (100, 12, 20)
    assert 0 < forecast.step_seconds < forecast.compile_seconds
    assert forecast.validation_seconds > 0
    assert forecast.epoch_seconds > 12 * forecast.step_seconds
    assert 0.1 * seconds < forecast.total_seconds < 10 * seconds
    newest = run.checkpoints.latest()
    assert newest is not None
    assert forecast.checkpoint_bytes == sum(array.nbytes for array in newest.arrays.values())


def test_an_epoch_of_one_step_is_forecast(small_config: Callable[..., Any]) -> None:
    """All examples in one batch: the one step that there is gets measured."""
    from cnncli.engine.training.dry_run import dry_run

    forecast = dry_run(small_config("train.batch_size=2000"))
    assert forecast.steps_per_epoch == 1
    assert 1000 < forecast.batch_size < 2000
    assert forecast.step_seconds > 0


def test_memory_grows_with_the_batch(small_config: Callable[..., Any]) -> None:
    """The measured memory of a large net is of the order that the analysis estimates, and grows with the batch."""
    from cnncli.engine.training.dry_run import dry_run

    wide = "model.layers=[{Conv2D: {filters: 512, kernel_size: 3, padding: same}}, ReLU, Flatten, {Dense: {units: 10}}]"
    small, large = (dry_run(small_config(wide, f"train.batch_size={size}")) for size in (50, 1000))
    if large.peak_bytes is None or large.network_bytes is None or small.network_bytes is None:
        pytest.skip("the system does not say how much memory a process holds")
    assert large.estimated_bytes > 200e6
    assert 0.2 * large.estimated_bytes < large.network_bytes < 2 * large.estimated_bytes
    assert small.network_bytes < large.network_bytes < large.peak_bytes


def test_diverging_first_steps_are_told(small_config: Callable[..., Any]) -> None:
    """A forecast of a run that diverges at once is an error with advice."""
    from cnncli.engine.training.dry_run import dry_run
    from cnncli.errors import CnnError

    layers = "model.layers=[Flatten, {Dense: {units: 10}}]"
    with pytest.raises(CnnError, match="diverges"):
        dry_run(small_config(layers, "train.optimizer={SGD: {learning_rate: 1.0e+38}}"))


def test_network_that_can_learn(small_config: Callable[..., Any]) -> None:
    """One batch is overfitd, though the config has dropout, smoothing and augmentation against that."""
    from cnncli.engine.training.overfit_batch import overfit

    config = small_config(
        "train.optimizer={Adam: {learning_rate: 0.02}}",
        "train.loss.label_smoothing=0.3",
        "data.augmentation=[{RandomTranslation: {height_factor: 0.3, width_factor: 0.3}}]",
        "model.layers[5].Dropout.rate=0.9",
        "train.accumulate=2",
    )
    told: list[str] = []
    found = overfit(config, told.append)
    assert found.learned
    assert found.metrics["accuracy"] == 1.0
    assert found.metrics["loss"] < 0.1 < found.first_loss
    assert found.num_examples == 100
    assert told


def test_network_that_cannot_learn(small_config: Callable[..., Any]) -> None:
    """A dead activation: not learned, and the layers before it are named."""
    from cnncli.engine.training.overfit_batch import overfit
    from cnncli.report.dry_run import overfit_lines

    layers = "[Flatten, {Dense: {units: 8}}, {ReLU: {threshold: 1000.0}}, {Dense: {units: 10}}]"
    found = overfit(small_config(f"model.layers={layers}"), lambda line: None, max_steps=60)
    assert not found.learned
    assert found.steps == 60
    assert found.layers_without_gradient == ("dense",)
    text = "\n".join(overfit_lines(found))
    assert text.startswith("The network cannot overfit a single batch: after 60 steps")
    assert "No gradient reaches dense:" in text


def test_divergence_on_one_batch(small_config: Callable[..., Any]) -> None:
    """Steps too large are told as such."""
    from cnncli.engine.training.overfit_batch import overfit
    from cnncli.report.dry_run import overfit_lines

    layers = "model.layers=[Flatten, {Dense: {units: 10}}]"
    config = small_config(layers, "train.optimizer={SGD: {learning_rate: 1.0e+38}}")
    found = overfit(config, lambda line: None)
    assert found.diverged
    assert not found.learned
    assert "Lower the optimizer's learning_rate" in overfit_lines(found)[1]


def test_contradictions_are_counted() -> None:
    """The same image under two labels cannot be learned; under one label it can."""
    import numpy as np

    from cnncli.engine.training.overfit_batch import _contradictions

    images = np.zeros((4, 2, 2, 1), np.uint8)
    images[2:] = 1
    assert _contradictions(images, np.array([0, 1, 2, 2])) == 2


@pytest.mark.parametrize("option", ["--dry-run", "--overfit-batch"])
def test_command_writes_nothing(
    option: str, small_config: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """JSON alone on stdout, and no runs folder."""
    from cnncli.cli.app import app

    small_config()
    monkeypatch.chdir(tmp_path)
    sets = ["--set", "train.optimizer={Adam: {learning_rate: 0.02}}"]
    result = CliRunner().invoke(app, ["train", "small.yaml", option, "--json", *sets])
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    assert document["step_seconds" if option == "--dry-run" else "learned"]
    assert [path.name for path in tmp_path.iterdir()] == ["small.yaml"]


def test_words_for_times() -> None:
    """Times in the unit that people would choose."""
    from cnncli.report.dry_run import duration

    times = (0.00123, 0.9994, 1, 59.9, 60, 3599.4, 3600, 7530)
    words = ["1.23 ms", "999 ms", "1 s", "59.9 s", "1 min 0 s", "59 min 59 s", "1 h 0 min", "2 h 6 min"]
    assert [duration(seconds) for seconds in times] == words
