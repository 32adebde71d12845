"""A run that is stopped and resumed ends as the run that was not, to the last bit."""

from __future__ import annotations

import hashlib
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "faults"))
from training_process import BOXES, write_digits
from training_process import VARIANTS as VARIANTS_IN_ARCHIVES

from cnncli.runs.events import Silence, StepsDone

pytestmark = pytest.mark.engine

VARIANTS = {
    "momentum, cosine and ema": [
        "train.optimizer={SGD: {momentum: 0.9, nesterov: true}}",
        "train.schedule=CosineDecay",
        "train.ema=0.9",
    ],
    "warm-up, checkpoints in mid-epoch": [
        "train.schedule={LinearDecay: {warmup_epochs: 1.5}}",
        "train.checkpoint={every: {steps: 4}}",
    ],
    "plateau": [
        "train.schedule={ReduceLROnPlateau: {patience: 1, min_delta: 0.5, monitor: validation_accuracy, cooldown: 3}}",
        "train.epochs=5",
    ],
    "early stopping": ["train.early_stopping={patience: 1, min_delta: 0.3}", "train.epochs=6"],
    "accumulation and clipping": ["train.accumulate=3", "train.clip_norm=0.5"],
    "clipping of groups, regularizers": [
        "train.accumulate=2",
        "train.clip_norm=0.5",
        "train.groups=[{layers: dense, learning_rate: 0.01}, {layers: 'conv*', trainable: false}]",
        "model.layers[6].Dense.kernel_regularizer={L2: {l2: 0.05}}",
    ],
    "muon, bfloat16 and replay": [
        "train.optimizer={Muon: {exclude_layers: [dense]}}",
        "train.precision=mixed_bfloat16",
        "train.replay=true",
    ],
    "augmentation": ["data.augmentation=[RandomCrop: {padding: 1}, RandAugment: {num_ops: 1}, RandomErasing, MixUp]"],
}
"""What does not meet in the code is in one run: a mistake in either is seen, as every array is compared.

The plain config is that of the run that is renamed below.
"""

STOPS = (5, 24, 41)
"""Steps: in mid-epoch, at the end of the second epoch, and in mid-epoch again where there are more than three."""

ONE_STOP = (17,)
"""In mid-epoch, for what is the same at an epoch's end as within it and whose graph takes seconds to trace."""

STOPPED_ONCE = ("clipping of groups, regularizers", "muon, bfloat16 and replay", "augmentation")


class StopAt(Silence):
    """Asks the run to stop once it has taken a number of steps."""

    def __init__(self, steps: int, steps_per_epoch: int) -> None:
        self._steps, self._per_epoch = steps, steps_per_epoch

    def steps_done(self, event: StepsDone) -> None:
        """Send this process the signal that Ctrl-C sends."""
        if (event.epoch - 1) * self._per_epoch + event.batch == self._steps:
            signal.raise_signal(signal.SIGINT)


@pytest.fixture(autouse=True)
def one_step_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let Python be asked after every step, so that a run can be stopped at any of them."""
    from cnncli.engine.training import pace

    monkeypatch.setattr(pace.Pace, "measured", lambda self, batches, seconds: None)


def digest_of(run: Path) -> dict[str, str]:
    """Return a digest of every array of the run's newest checkpoint, read without the project's own reader."""
    import json

    newest = max((run / "checkpoints").glob("step-*"))
    manifest = json.loads((newest / "manifest.json").read_text())
    data = (newest / "arrays.bin").read_bytes()
    found = {}
    for entry in manifest["entries"]:
        raw = data[entry["offset"] : entry["offset"] + entry["num_bytes"]]
        found[entry["name"]] = hashlib.sha256(raw).hexdigest()
    assert len(found) > 5
    return found


def metrics_of(run: Path) -> list[dict[str, Any]]:
    """Return the run's metrics without what the clock decides."""
    import json

    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [{k: v for k, v in line.items() if k not in ("seconds", "images_per_second")} for line in lines]


def replay_of(run: Path) -> dict[str, bytes]:
    """Return the files of the run's replay; none if it keeps none."""
    return {path.name: path.read_bytes() for path in sorted(run.glob("replay/*"))}


@pytest.mark.parametrize("name", VARIANTS)
def test_resumed_run_is_bit_identical(small_config: Callable[..., Any], tmp_path: Path, name: str) -> None:
    """Stopped in mid-epoch, and resumed at an epoch's end, a run ends with the same arrays, metrics and replay."""
    from cnncli.engine.training.train import resume, train
    from cnncli.runs.run import Run

    config = small_config(*VARIANTS[name])
    at = ONE_STOP if name in STOPPED_ONCE else STOPS
    whole = train(config, tmp_path / "whole", Silence())
    assert whole.status == "done"

    parts = train(config, tmp_path / "parts", StopAt(at[0], 12))
    stops = 0
    while parts.status == "interrupted":
        assert parts.signal == signal.SIGINT
        stops += 1
        run = Run.open(Path(parts.run))
        parts = resume(run, run.config(), StopAt(at[stops], 12) if stops < len(at) else Silence())
    assert stops >= min(len(at), 2)
    assert metrics_of(Path(parts.run)) == metrics_of(Path(whole.run))
    assert parts.best == whole.best
    assert digest_of(Path(parts.run)) == digest_of(Path(whole.run))
    assert replay_of(Path(parts.run)) == replay_of(Path(whole.run))
    assert bool(replay_of(Path(whole.run))) == config.train.replay


def test_a_run_that_stops_after_epochs_is_bit_identical(
    small_config: Callable[..., Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Stopped after its first two epochs, and resumed: the rate's schedule is that of all its epochs."""
    from cnncli.cli.training import finish
    from cnncli.engine.training.train import resume, train
    from cnncli.runs.run import Run

    config = small_config(
        "train.epochs=3", "train.schedule={CosineDecay: {warmup_epochs: 1}}", "train.ema=0.9", "train.batch_size=50"
    )
    whole = train(config, tmp_path / "whole", Silence())
    parts = train(config, tmp_path / "parts", Silence(), stop_after=1)
    run = Run.open(Path(parts.run))
    for epochs in (1, 2):
        assert (parts.status, parts.epochs, parts.signal) == ("interrupted", epochs, None)
        assert (run.status, run.record["epochs"], len(run.metrics())) == ("interrupted", epochs, epochs)
        parts = resume(run, run.config(), Silence(), stop_after=2)
    assert parts.epochs == 2  # Already there, it stopped at once.
    finish(parts, as_json=True)
    assert capsys.readouterr().err == f"Stopped after 2 epochs. Continue with: cnn resume {run.path}\n"
    parts = resume(run, run.config(), Silence(), stop_after=3)
    assert (parts.status, parts.best) == ("done", whole.best)
    assert metrics_of(run.path) == metrics_of(Path(whole.run))
    assert digest_of(run.path) == digest_of(Path(whole.run))


def test_a_renamed_run_is_resumed_bit_identical(small_config: Callable[..., Any], tmp_path: Path) -> None:
    """Renamed and deleted and brought back in mid-epoch: arrays and metrics are those of a run that was left alone."""
    from cnncli.engine.training.train import resume, train
    from cnncli.runs.renaming import rename
    from cnncli.runs.run import Run
    from cnncli.runs.trash import delete, restore

    config = small_config()
    whole = train(config, tmp_path / "whole", Silence())
    stopped = train(config, tmp_path / "parts", StopAt(STOPS[0], 12))
    run = rename(Run.open(Path(stopped.run)), "another", tmp_path / "parts")
    run = restore(delete(run, tmp_path / "parts"), tmp_path / "parts")
    resumed = resume(run, run.config(), Silence())
    assert Path(resumed.run).parent.name == "another"
    assert metrics_of(Path(resumed.run)) == metrics_of(Path(whole.run))
    assert resumed.best == whole.best
    assert digest_of(Path(resumed.run)) == digest_of(Path(whole.run))


def test_resumed_detector_is_bit_identical(
    small_config: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped in mid-epoch while images and boxes stream from a .zip: the same as from memory and without a stop."""
    from cnncli.engine.input_pipeline import feed
    from cnncli.engine.training.train import resume, train
    from cnncli.runs.run import Run

    write_digits(tmp_path / BOXES)
    batch, steps_per_epoch = 12, 13  # the last batch has 4
    config = small_config(
        *(value.replace(BOXES, str(tmp_path / BOXES)) for value in VARIANTS_IN_ARCHIVES["streamed boxes"]),
        "data.augmentation=[RandomFlip, Mosaic: {probability: 0.5}, RandomRotate90]",
        f"train={{epochs: 2, batch_size: {batch}, ema: 0.9, precision: mixed_bfloat16}}",
    )
    whole = train(config, tmp_path / "whole", Silence())
    monkeypatch.setattr(feed, "MEMORY_LIMIT", 0)
    parts = train(config, tmp_path / "parts", StopAt(17, steps_per_epoch))
    assert parts.status == "interrupted"
    run = Run.open(Path(parts.run))
    resume(run, run.config(), Silence())
    assert metrics_of(run.path) == metrics_of(Path(whole.run))
    assert digest_of(run.path) == digest_of(Path(whole.run))


def test_a_changed_seed_is_seen(small_config: Callable[..., Any], tmp_path: Path) -> None:
    """The comparison above can fail: another seed gives other arrays and metrics."""
    from cnncli.engine.training.train import train

    runs = [train(small_config("train.epochs=1", f"seed={seed}"), tmp_path, Silence()) for seed in (1, 2)]
    first, second = (Path(run.run) for run in runs)
    assert metrics_of(first) != metrics_of(second)
    assert digest_of(first).keys() == digest_of(second).keys()
    assert digest_of(first) != digest_of(second)


def test_every_example_once_an_epoch() -> None:
    """An epoch's order is a permutation, another one each epoch, and follows from seed and epoch alone."""
    from cnncli.engine.input_pipeline.feed import epoch_order

    orders = [epoch_order(7, epoch, 1000) for epoch in range(3)]
    assert all(np.array_equal(np.sort(order), np.arange(1000)) for order in orders)
    assert not np.array_equal(orders[0], orders[1])
    assert np.array_equal(orders[2], epoch_order(7, 2, 1000))
