"""What the engine reads back from a run is checked: kept examples, the recorded training, the progress, the metrics."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cnncli.errors import CheckpointError, RunError
from cnncli.runs.run import Run

pytestmark = pytest.mark.engine

CLASSES = tuple("0123456789")
PROOF: dict[str, Any] = {
    "pixels": np.zeros((2, 8, 8, 1), np.uint8),
    "labels": np.array([0, 9]),
    "ids": np.array(["1", "2"]),
    "split": np.array("test"),
}
WATCHED: dict[str, Any] = {
    "pixels": np.zeros((2, 8, 8, 1), np.uint8),
    "ids": np.array(["1", "2"]),
    "truths": np.array(["0", "9"]),
}
FRAME: dict[str, Any] = {
    "kernels/c1": np.zeros((3, 3, 1, 4), np.float32),
    "maps/c1": np.zeros((2, 6, 6, 4), np.float16),
    "probabilities": np.zeros((2, 10), np.float32),
}


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Return a run that has a line of metrics and nothing else."""
    run = Run.create(tmp_path, "small", "name: small\n")
    run.append_metrics({"epoch": 1})
    run.replay_dir.mkdir()
    return run


@pytest.mark.parametrize(
    "change",
    [
        {"pixels": np.zeros((2, 8, 8, 3), np.uint8)},
        {"pixels": np.zeros((2, 8, 8, 1), np.float32)},
        {"pixels": np.zeros((3, 8, 8, 1), np.uint8)},
        {"labels": np.array([0, 10])},
        {"labels": np.array([0, -1])},
        {"labels": np.array([0.0, 1.0])},
        {"labels": np.array(5)},
        {"ids": np.array([1, 2])},
        {"split": np.array(["a", "b"])},
    ],
)
def test_kept_examples_of_another_form(run: Run, small_config: Callable[..., Any], change: dict[str, Any]) -> None:
    """Images of another size, classes that there are not, another number of names."""
    from cnncli.engine.evaluation import proof_examples

    config = small_config()
    np.savez(run.proof_file, **PROOF)
    kept = proof_examples.load(run, config, CLASSES)
    assert kept is not None
    assert (len(kept), kept.name) == (2, "test")
    np.savez(run.proof_file, **{**PROOF, **change})
    with pytest.raises(RunError, match=r"proof\.npz cannot be read: expected images of 8×8×1"):
        proof_examples.load(run, config, CLASSES)


@pytest.mark.parametrize("change", [{"pixels": np.zeros(5)}, {"ids": np.array(["1"])}, {"truths": np.array([1, 2])}])
def test_watched_examples_of_another_form(run: Run, change: dict[str, Any]) -> None:
    """The error says what to do without them; a file that is none is such an error too."""
    from cnncli.engine.training.replay import read_examples

    path = run.replay_dir / "examples.npz"
    np.savez(path, **WATCHED)
    assert read_examples(run).named(CLASSES) == ("0", "9")
    np.savez(path, **{**WATCHED, **change})
    for _ in range(2):
        with pytest.raises(RunError, match=r"examples\.npz cannot be read") as caught:
            read_examples(run)
        assert "Remove the run's replay/" in str(caught.value.hint)
        path.write_bytes(path.read_bytes()[:100])


@pytest.mark.parametrize(
    "change",
    [
        {"kernels/c1": np.zeros(5, np.float32)},
        {"kernels/c1": np.zeros((3, 3, 1, 0), np.float32)},
        {"maps/c1": np.zeros((2, 6, 6), np.float16)},
        {"maps/c1": np.zeros((0, 6, 6, 4), np.float16)},
        {"maps/c1": np.array([["a"]])},
    ],
)
def test_recorded_epochs_of_another_form(run: Run, change: dict[str, Any]) -> None:
    """Of other axes, empty, or cut off."""
    from cnncli.engine.training.replay import read_frames

    path = run.replay_dir / "epoch-0001.npz"
    np.savez(path, **FRAME)
    (frame,) = read_frames(run)
    assert set(frame.images()) == {"kernels/c1", "feature_maps/c1"}
    np.savez(path, **{**FRAME, **change})
    for _ in range(2):
        with pytest.raises(RunError, match=r"epoch-0001\.npz cannot be read"):
            list(read_frames(run))
        path.write_bytes(path.read_bytes()[:100])


def test_recorded_predictions_of_another_form() -> None:
    """None, or for other examples than those that were watched."""
    from cnncli.tasks.task import get_task

    pages = get_task("classification").pages
    for recorded in ({}, {"probabilities": np.zeros((1, 10))}, {"probabilities": np.zeros(2)}):
        with pytest.raises(RunError, match="holds no probabilities of 2 examples"):
            pages.recall(recorded, ("0", "9"), CLASSES)


def test_a_progress_that_is_none() -> None:
    """A checkpoint of an import has none; one whose first loss was NaN has one all the same."""
    from cnncli.engine.training.progress import Best, Progress, Watch

    whole = Progress(epoch=2, step=8, best=Best(1, 4, "loss", 0.5, float("nan")), stopping=Watch(float("nan"), 1))
    document = whole.to_json()
    assert repr(Progress.from_json(document)) == repr(whole)
    assert repr(Progress.from_json({**document, "new": 5})) == repr(whole)
    changes = ({"epoch": "1"}, {"step": -1}, {"best": 5}, {"best": {"epoch": 1}}, {"stopping": {}}, {"seconds": None})
    for damaged in (None, {}, [], *({**document, **change} for change in changes)):
        with pytest.raises(CheckpointError, match="does not say how far its run had come"):
            Progress.from_json(damaged)


def test_metrics_that_event_files_cannot_be_made_of(tmp_path: Path) -> None:
    """A line without its step is an error; a number that was NaN is left out, and a huge integer is no error."""
    from cnncli.analysis.summary import summarize
    from cnncli.config.load import load
    from cnncli.engine.training.tensorboard import EventLog

    summary = summarize(load("mnist_mlp"))
    train = {"loss": None, "accuracy": 10**30}
    line = {"epoch": 1, "step": 4, "learning_rate": 0.1, "images_per_second": 5.0, "train": train}
    EventLog(tmp_path / "tensorboard", summary, [line]).close()
    del line["step"]
    with pytest.raises(RunError, match=r"the line of epoch 1 has no step, so"):
        EventLog(tmp_path / "tensorboard", summary, [line])
