"""`cnn verify` without TensorFlow: trainings that write what they are reported to, and what is made of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cnncli.errors import RunError
from cnncli.runs import verification
from cnncli.runs.checkpoint import Checkpoint
from cnncli.runs.run import Run
from cnncli.runs.verification import verify

CONFIG = """name: small
data: {source: digits, image_size: [8, 8]}
model: {layers: [Flatten, Dense: {units: 10}]}
train: {epochs: 4}
"""
STEPS = 5
"""Steps of an epoch."""


def go_on(run: Run, until: int, weight: float = 0.5, accuracy: float = 0.75) -> None:
    """Train a run up to a step: a checkpoint there, and a line for every whole epoch."""
    done = len(run.metrics())
    for epoch in range(done + 1, until // STEPS + 1):
        clock = float(np.random.default_rng().random())
        line = {"epoch": epoch, "step": epoch * STEPS, "seconds": clock, "images_per_second": clock}
        run.append_metrics({**line, "train": {"loss": 1.0 / epoch, "accuracy": accuracy}})
    arrays = {"w": np.full((2, 3), weight * until, np.float32), "n": np.array(until)}
    run.checkpoints.save(
        until, arrays, {"progress": {"step": until, "trained_seconds": np.random.default_rng().random()}}
    )


class Training:
    """A process that trains at once, but not beyond a checkpoint that is waited for before it is killed."""

    commands: list[tuple[str, ...]]
    weights: dict[str, float]
    ends_early: bool

    def __init__(self, *arguments: str) -> None:
        self.commands.append(arguments)
        self.command, self.where, *_ = arguments
        self.until = 4 * STEPS
        if self.command == "train":
            folder = Path(arguments[3])
            self.run = Run.create(folder, "small", Path(self.where).read_text(encoding="utf-8"))
            every = [word for word in arguments if word.startswith("train.checkpoint.every")]
            self.until = int(every[0].split(": ")[1].rstrip("}")) if every else self.until
        else:
            self.run = Run.open(Path(self.where))

    def __enter__(self) -> Training:
        go_on(self.run, self.until, self.weights.get(self.command, 0.5))
        return self

    def __exit__(self, *_: object) -> None:
        pass

    runs = True

    def finish(self) -> None:
        """Be over."""

    def kill(self) -> bool:
        """End."""
        return not self.ends_early


@pytest.fixture(autouse=True)
def trainings(monkeypatch: pytest.MonkeyPatch) -> type[Training]:
    """Let verify train with these."""
    Training.commands, Training.weights, Training.ends_early = [], {}, False
    monkeypatch.setattr(verification, "TrainingProcess", Training)
    return Training


def make_run(tmp_path: Path, status: str = "done", **record: Any) -> Run:
    """Return a run that was trained to its end."""
    run = Run.create(tmp_path / "runs", "small", CONFIG, record)
    go_on(run, 4 * STEPS)
    run.update(status=status)
    return run


def test_a_verdict_in_numbers(tmp_path: Path, trainings: type[Training]) -> None:
    """Two trainings, one killed at the middle of the middle epoch, and all that is said of them."""
    run, progress = make_run(tmp_path, threads=3), []
    verdict = verify(run, progress.append)
    assert verdict.to_json() == {
        "run": str(run.path),
        "identical": True,
        "epochs": 4,
        "steps": 20,
        "killed_after_epoch": 2,
        "resumed_at_step": 12,
        "num_arrays": 2,
        "num_values": 7,
        "num_metrics": 4 * 4,
        "differences": (),
        "same_as_run": True,
    }
    assert progress == [
        "1 of 3: training without interruption",
        "2 of 3: training again, killed in the middle",
        "3 of 3: killed after 2 epochs; resuming at step 12",
    ]
    whole, killed, resumed = trainings.commands
    sets = ("--set", "train.max_minutes=null", "--set", "train.threads=3")
    assert whole[:3] == killed[:3] == ("train", str(run.config_file), "--runs-dir")
    assert whole[4:] == sets
    assert killed[4:] == (*sets, "--set", "train.checkpoint.every={steps: 12}")
    assert resumed[0] == "resume"
    assert Path(killed[3]) in Path(resumed[1]).parents
    assert Path(whole[3]) not in Path(resumed[1]).parents
    assert not Path(whole[3]).exists()


def test_a_run_that_is_not_done_is_not_compared(tmp_path: Path) -> None:
    """Only the two trainings are."""
    assert verify(make_run(tmp_path, status="interrupted"), lambda line: None).same_as_run is None


def test_another_end_is_reported(tmp_path: Path, trainings: type[Training]) -> None:
    """With the arrays that differ; the run itself may still be as the first training."""
    trainings.weights = {"resume": 0.25}
    verdict = verify(make_run(tmp_path), lambda line: None)
    assert not verdict.identical
    assert verdict.differences == ("w: 6 of 6 values differ",)
    assert verdict.same_as_run
    trainings.weights = {"train": 0.25, "resume": 0.25}
    verdict = verify(make_run(tmp_path), lambda line: None)
    assert verdict.identical
    assert verdict.same_as_run is False


def test_a_training_that_is_always_too_quick(tmp_path: Path, trainings: type[Training]) -> None:
    """It is tried three times, each in a folder of its own."""
    trainings.ends_early = True
    with pytest.raises(RunError, match="ended before it could be killed"):
        verify(make_run(tmp_path), lambda line: None)
    assert len({command[3] for command in trainings.commands}) == 1 + 3


def test_a_run_without_a_checkpoint(tmp_path: Path) -> None:
    """It is named."""
    run = Run.create(tmp_path / "runs", "small", CONFIG)
    with pytest.raises(RunError, match="has no checkpoint"):
        verification._end(run)


@pytest.mark.parametrize(
    ("steps", "steps_per_epoch", "middle"),
    [(20, 5, 12), (20, 4, 10), (24, 6, 15), (1, 1, 1), (2, 1, 1), (30, 5, 17), (6, 3, 4)],
)
def test_the_middle_is_in_the_middle_of_an_epoch(steps: int, steps_per_epoch: int, middle: int) -> None:
    """Where an epoch has a middle."""
    checkpoint = Checkpoint(Path("x"), steps, {}, {})
    assert verification._End(checkpoint, [{"step": steps_per_epoch}]).middle == middle


@pytest.mark.parametrize(
    ("name", "is_reached"), [("step-00000011", False), ("step-00000012", True), ("step-00000013-2", True)]
)
def test_a_checkpoint_is_waited_for(name: str, is_reached: bool, tmp_path: Path) -> None:
    """Of the step or later, with its final name."""
    (tmp_path / "small" / "1" / "checkpoints" / name).mkdir(parents=True)
    (tmp_path / "small" / "1" / "checkpoints" / ".new-step-00000099").mkdir()
    (tmp_path / "small" / ".2" / "checkpoints" / "step-00000099").mkdir(parents=True)
    assert verification._reached(tmp_path, 12) == is_reached


def test_training_goes_on_from_the_same_weights(tmp_path: Path) -> None:
    """A run that began with another's weights finds them from the temporary folder too."""
    source = make_run(tmp_path)
    text = CONFIG.replace("epochs: 4", f"epochs: 4, start_from: {{run: {source.name}/{source.id}}}")
    run = Run.create(tmp_path / "runs", "small", text)
    assert verification._overrides(run) == [
        "--set",
        "train.max_minutes=null",
        "--set",
        f"train.start_from.run={source.path.absolute()}",
    ]


def test_a_process_that_ends_well_and_one_that_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    """The command line itself: over, failed, or ended by force."""
    monkeypatch.undo()
    with verification.TrainingProcess("--version") as process:
        process.finish()
        assert not process.runs
        assert not process.kill()
    with verification.TrainingProcess("no-such-command") as process, pytest.raises(RunError, match="exit code 2"):
        process.finish()
    with verification.TrainingProcess("--version") as process:
        assert process.runs
        assert process.kill()
        assert process._process.returncode not in (0, None)
    with verification.TrainingProcess("--version") as process:
        pass
    assert process._process.returncode is not None


def test_arrays_of_another_type_or_shape_differ() -> None:
    """Whatever their values."""
    progress = {"progress": {}}
    ends = [
        verification._End(Checkpoint(Path("x"), 1, {"w": array}, progress), [])
        for array in (np.zeros(4), np.zeros(4, np.float32), np.zeros((2, 2)))
    ]
    for other in ends[1:]:
        assert list(verification._differences(ends[0], other)) == ["w has another type or shape"]
