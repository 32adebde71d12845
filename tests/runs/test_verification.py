"""`cnn verify` without TensorFlow: trainings that write what they are reported to, and what is made of it."""

from __future__ import annotations

import json
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from threading import Timer
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from cnncli.cli.app import app
from cnncli.cli.verify import _lines
from cnncli.errors import CnnError, RunError
from cnncli.runs import verification
from cnncli.runs.checkpoint import Checkpoint
from cnncli.runs.run import Run
from cnncli.runs.verification import Comparison, Verdict, verify

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
    late_steps: int

    def __init__(self, *arguments: str) -> None:
        self.commands.append(arguments)
        self.arguments = arguments
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
        own = [self.weights[word] for word in self.arguments if word in self.weights]
        go_on(self.run, self.until, own[0] if own else 0.5)
        return self

    def __exit__(self, *_: object) -> None:
        pass

    runs = True

    def finish(self) -> None:
        """Be over."""

    def kill(self) -> bool:
        """End; workers go on a little."""
        if self.late_steps:
            lock = self.run.lock()
            lock.__enter__()
            Timer(0.2, self._end_late, [lock]).start()
        return not self.ends_early

    def _end_late(self, lock: AbstractContextManager[None]) -> None:
        go_on(self.run, self.until + self.late_steps)
        lock.__exit__(None, None, None)


@pytest.fixture(autouse=True)
def trainings(monkeypatch: pytest.MonkeyPatch) -> type[Training]:
    """Let verify train with these."""
    Training.commands, Training.weights, Training.ends_early, Training.late_steps = [], {}, False, 0
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


def number_of_workers(command: tuple[str, ...]) -> str | None:
    """Return what a training was told with `--workers`."""
    return command[command.index("--workers") + 1] if "--workers" in command else None


def test_numbers_of_workers(tmp_path: Path, trainings: type[Training]) -> None:
    """Trained with each of them; the killed training begins with the first and goes on with the last."""
    run, progress = make_run(tmp_path), []
    verdict = verify(run, progress.append, None, (2, 1, 4))
    assert [number_of_workers(command) for command in trainings.commands] == ["2", "1", "4", "2", "4"]
    assert [command[0] for command in trainings.commands] == ["train"] * 4 + ["resume"]
    assert len({command[3] for command in trainings.commands[:4]}) == 4
    assert progress == [
        "1 of 5: training without interruption with 2 workers",
        "2 of 5: training without interruption with 1 worker",
        "3 of 5: training without interruption with 4 workers",
        "4 of 5: training again with 2 workers, killed in the middle",
        "5 of 5: killed after 2 epochs; resuming at step 12 with 4 workers",
    ]
    assert verdict.identical
    found = json.loads(json.dumps(verdict.to_json()))
    assert found["workers"] == [{"workers": number, "identical": True, "differences": []} for number in (2, 1, 4)]
    alone = verify(run, progress.append).to_json()
    assert list(found) == [*alone, "workers"]
    assert not any(map(number_of_workers, trainings.commands[5:]))


def test_a_number_of_workers_that_ends_differently(tmp_path: Path, trainings: type[Training]) -> None:
    """It is named, beside what the others came to; a stop that changes nothing does not make up for it."""
    trainings.weights = {"4": 0.25}
    verdict = verify(make_run(tmp_path), lambda line: None, None, (1, 4, 2))
    difference = "w: 6 of 6 values differ"
    assert not verdict.identical
    assert verdict.differences == (f"4 workers: {difference}",)
    assert [(each.workers, each.identical, each.differences) for each in verdict.workers] == [
        (1, True, ()),
        (4, False, (difference,)),
        (2, True, ()),
    ]
    assert verdict.same_as_run


def test_workers_that_outlive_their_launcher(tmp_path: Path, trainings: type[Training]) -> None:
    """What they still write before they end counts: the step to go on from is read once nobody holds the run."""
    trainings.late_steps = 2
    assert verify(make_run(tmp_path), lambda line: None, None, (2,)).resumed_at_step == 12 + 2


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("1,2,4", "4 workers cannot share batches of 2 shards"),
        ("4,1", "--set train.shards=4 for a new run"),
        ("2,3", "3 workers; their number must be a power of two"),
        ("0", "a power of two"),
        ("two", "numbers of processes, such as 1,2,4"),
        ("1,,2", "numbers of processes, such as 1,2,4"),
    ],
)
def test_numbers_that_do_not_fit(text: str, said: str, tmp_path: Path, trainings: type[Training]) -> None:
    """They are refused before anything is trained, with what a new run would need."""
    Run.create(tmp_path, "small", CONFIG.replace("epochs: 4", "epochs: 4, shards: 2"))
    result = CliRunner().invoke(app, ["verify", "small", "--runs-dir", str(tmp_path), "--workers", text])
    error = result.exception
    shown = f"{error} {error.hint}" if isinstance(error, CnnError) else result.stderr
    assert said in " ".join(shown.replace("│", " ").split())
    assert result.exit_code != 0
    assert trainings.commands == []


def test_a_verdict_on_workers_in_lines() -> None:
    """One for each number but the first, and with which ones the run was killed and resumed."""
    told = Verdict("x", False, 3, 36, 1, 18, 20, 1000, 21, ("2 workers: w: 1 of 6",), None)
    comparisons = (Comparison(1, True, ()), Comparison(2, False, ("w: 1 of 6",)), Comparison(4, True, ()))
    assert _lines(replace(told, workers=comparisons)) == [
        "different: of 20 arrays (1,000 values) and 21 metrics, these differ (3 epochs, 36 steps; resumed at step 18)",
        "  2 workers: w: 1 of 6",
        "2 workers: different, compared with 1",
        "4 workers: identical, compared with 1",
        "Killed with 1 worker, resumed with 4.",
        "The run itself is not finished, so it was not compared.",
    ]


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
