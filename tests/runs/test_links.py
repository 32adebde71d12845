"""Names inside a run are its own: what a link there leads to is neither read nor changed, a pipe never hangs."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cnncli.errors import CnnError, RunError
from cnncli.runs.compare import compare
from cnncli.runs.evaluations import find_evaluation, keep_evaluation
from cnncli.runs.listing import rows
from cnncli.runs.run import Run
from cnncli.tasks.classification.mcnemar import read_outcomes
from cnncli.tasks.classification.predictions import evaluated_examples
from cnncli.tasks.task import get_task

DOCUMENT = {"split": "test", "checkpoint": "step-00000001", "accuracy": 1.0, "loss": 0.1}
CSV = "example,true,predicted,probability,margin\n0,a,a,0.9,0.8\n"


class Waits(BaseException):
    """A pipe is waited for; no handler of errors takes this for one of its own."""


def make_run(runs_dir: Path, name: str) -> Run:
    """Return a finished run with every file that is read in plain Python."""
    run = Run.create(runs_dir, name, f"name: {name}\n")
    run.append_metrics({"epoch": 1, "step": 1, "train": {}, "validation": {"loss": 0.1, "accuracy": 1.0}})
    run.write_json(run.data_file, {"classes": ["a"]})
    run.write_json(run.origins_file, {"seed": "file"})
    run.checkpoints.save(1, {"model/kernel": np.zeros(3, np.float32)}, {}, best=True)
    keep_evaluation(run, {**DOCUMENT}, CSV)
    run.update(status="done")
    return run


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Return a finished run."""
    return make_run(tmp_path / "runs", "net")


@pytest.fixture(autouse=True)
def _no_endless_wait() -> Iterator[None]:
    """Fail instead of waiting for ever where a pipe is opened."""

    def stop(*_: object) -> None:
        raise Waits

    former = signal.signal(signal.SIGALRM, stop)
    signal.alarm(20)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, former)


def hold(run: Run) -> None:
    """Lock a run as `cnn resume` does."""
    with run.lock():
        pass


USES: dict[str, Callable[[Run], Any]] = {
    ".lock": hold,
    ".record.lock": lambda run: run.update(device="CPU"),
    "run.json": lambda run: run.update(device="CPU"),
    "metrics.jsonl": lambda run: run.metrics(),
    "config.yaml": lambda run: run.config(),
    "data.json": lambda run: run.passport(),
    "evaluation-test.json": lambda run: find_evaluation(run, "test", "step-00000001"),
    "predictions-test.csv": lambda run: read_outcomes(run.predictions_file("test")),
    "checkpoints/step-00000001/manifest.json": lambda run: run.checkpoints.latest(),
    "checkpoints/step-00000001/arrays.bin": lambda run: run.checkpoints.latest(),
}
"""What uses each file of a run, by the file."""

each_file = pytest.mark.parametrize(("name", "use"), USES.items(), ids=USES.keys())


@each_file
def test_a_link_in_the_place_of_a_file_is_one_error(run: Run, name: str, use: Callable[[Run], Any]) -> None:
    """What it leads to is not read, though it holds just what the run's file would, and not changed."""
    file, precious = run.path / name, run.path.parent / "precious"
    precious.write_bytes(file.read_bytes() if file.exists() else b"precious")
    content = precious.read_bytes()
    file.unlink(missing_ok=True)
    file.symlink_to(precious)
    with pytest.raises(CnnError, match=r"is a link|no intact checkpoint"):
        use(run)
    assert precious.read_bytes() == content


@each_file
def test_a_pipe_in_the_place_of_a_file_is_one_error(run: Run, name: str, use: Callable[[Run], Any]) -> None:
    """Nobody writes to it, so it would be waited for until the end of days."""
    file = run.path / name
    file.unlink(missing_ok=True)
    os.mkfifo(file)
    with pytest.raises(CnnError, match=r"it is a pipe|no intact checkpoint"):
        use(run)


@pytest.mark.parametrize("kind", ["link", "pipe"])
def test_origins_that_are_no_file_are_one_error(run: Run, kind: str) -> None:
    """It says what to do; nothing but comments is lost."""
    precious = run.origins_file.rename(run.path.parent / "precious")
    if kind == "link":
        run.origins_file.symlink_to(precious)
    else:
        os.mkfifo(run.origins_file)
    with pytest.raises(RunError, match=f"it is a {kind}"):
        run.origins()


def test_predictions_that_are_no_file_are_one_error(run: Run) -> None:
    """For the figures that are drawn from them, too."""
    file = run.predictions_file("test")
    assert evaluated_examples(file)[0].true == "a"
    file.unlink()
    os.mkfifo(file)
    with pytest.raises(RunError, match="it is a pipe"):
        evaluated_examples(file)


def test_what_is_written_takes_the_place_of_a_link(run: Run) -> None:
    """And what the link leads to stays as it is; metrics, which are added to, are refused."""
    precious = run.path.parent / "precious"
    precious.write_text("mine", encoding="utf-8")
    for file in (run.summary_file, run.evaluation_file("test"), run.predictions_file("test"), run.report_file):
        file.unlink(missing_ok=True)
        file.symlink_to(precious)
        run.write_text(file, "ours")
        assert not file.is_symlink()
    run.metrics_file.unlink()
    run.metrics_file.symlink_to(precious)
    with pytest.raises(RunError, match="it is a link"):
        run.append_metrics({"epoch": 2})
    assert precious.read_text(encoding="utf-8") == "mine"


@pytest.mark.parametrize("name", ["checkpoints", "tensorboard", "export", "replay"])
def test_a_link_in_the_place_of_a_folder_is_refused_before_anything_is_written(run: Run, name: str) -> None:
    """The names there look like a run's, so they would be overwritten and removed; a file there is refused too."""
    precious = run.path.parent / "precious"
    for left in ("step-00000000", ".new-step-00000001", "train"):
        (precious / left).mkdir(parents=True)
        (precious / left / "file").write_text("mine", encoding="utf-8")
    before = sorted(precious.rglob("*"))
    if (run.path / name).exists():
        (run.path / name).rename(run.path / "aside")
    (run.path / name).symlink_to(precious)
    with pytest.raises(RunError, match=f"{name} is a link"):
        hold(run)
    assert not (run.path / ".lock").read_bytes()
    if name == "checkpoints":
        with pytest.raises(RunError, match="checkpoints is a link"):
            run.checkpoints.save(2, {}, {})
    assert sorted(precious.rglob("*")) == before
    (run.path / name).unlink()
    (run.path / name).write_text("a file", encoding="utf-8")
    with pytest.raises(RunError, match=f"{name} is not a folder"):
        hold(run)


def test_a_checkpoint_that_is_a_link_is_never_emptied(run: Run) -> None:
    """It is damaged; removing it and what a crash seems to have left removes links, not what they lead to."""
    precious = run.path.parent / "precious"
    precious.mkdir()
    (precious / "file").write_text("mine", encoding="utf-8")
    for name in ("step-00000000", ".new-step-00000003", ".old-step-00000003"):
        (run.checkpoints_dir / name).symlink_to(precious)
    with pytest.raises(RunError, match="is a link"):
        run.checkpoints.load("step-00000000")
    for step in (2, 3, 4):
        run.checkpoints.save(step, {"model/kernel": np.zeros(3, np.float32)}, {}, best=True)
    assert run.checkpoints.names() == ["step-00000003", "step-00000004"]
    assert (precious / "file").read_text(encoding="utf-8") == "mine"


def test_a_run_may_be_a_link(run: Run, tmp_path: Path) -> None:
    """To a run on another disk."""
    (tmp_path / "elsewhere").mkdir()
    link = tmp_path / "elsewhere" / "20260101-000000"
    link.symlink_to(run.path)
    linked = Run.open(link)
    hold(linked)
    linked.update(device="CPU")
    assert linked.record["device"] == run.record["device"] == "CPU"
    assert linked.checkpoints.latest() is not None
    assert [row.status for row in rows(tmp_path)] == ["done"]


@pytest.mark.parametrize("name", ["run.json", "metrics.jsonl"])
def test_one_hostile_run_is_one_line_of_the_list(tmp_path: Path, name: str) -> None:
    """The others are listed as ever."""
    hostile, _ = make_run(tmp_path, "bad"), make_run(tmp_path, "good")
    (hostile.path / name).unlink()
    os.mkfifo(hostile.path / name)
    assert {row.name: row.status for row in rows(tmp_path)} == {"bad": "damaged", "good": "done"}


@pytest.mark.parametrize("name", ["run.json", "config.yaml", "evaluation-test.json", "predictions-test.csv"])
def test_one_hostile_run_is_one_line_of_a_comparison(tmp_path: Path, name: str) -> None:
    """The others are compared; with fewer than two there is nothing to compare."""
    runs = [make_run(tmp_path, each) for each in ("first", "bad", "second")]
    (runs[1].path / name).unlink()
    os.mkfifo(runs[1].path / name)
    found = compare(runs, get_task)
    assert [label.partition("/")[0] for label in found.runs] == ["first", "second"]
    assert len(found.pairs) == 1
    (note,) = (note for note in found.notes if note.startswith("bad/"))
    assert f"{name} cannot be read: it is a pipe" in note
    with pytest.raises(RunError, match="it is a pipe"):
        compare(runs[:2], get_task)


def test_the_lock_leaves_no_leftovers(run: Run) -> None:
    """Half files of killed processes go when the next one takes the run."""
    left = [folder / f".examples.npz.{16 * 'a'}.tmp" for folder in (run.path, run.replay_dir, run.export_dir)]
    left.append(run.export_dir / ".new-4711-net.onnx")
    for path in left:
        path.parent.mkdir(exist_ok=True)
        path.write_text("half", encoding="utf-8")
        os.utime(path, (0, 0))
    hold(run)
    assert not any(path.exists() for path in left)


def test_no_file_is_read_beyond_its_limit(run: Run) -> None:
    """A sparse file of a terabyte is one error at once."""
    for file in (run.record_file, run.metrics_file, run.data_file, run.predictions_file("test")):
        content = file.read_bytes()
        os.truncate(file, 1 << 40)
        with pytest.raises(RunError, match="it is larger than"):
            {
                run.record_file: lambda: run.record,
                run.metrics_file: run.metrics,
                run.data_file: run.passport,
                run.predictions_file("test"): lambda: read_outcomes(run.predictions_file("test")),
            }[file]()
        file.write_bytes(content)
    assert json.loads(run.record_file.read_text(encoding="utf-8"))["status"] == "done"
