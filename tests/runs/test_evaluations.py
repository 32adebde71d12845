"""Evaluations of several checkpoints beside each other in a run, and which of them is compared."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from cnncli.report.runs import comparison_lines
from cnncli.runs.compare import Comparison, compare
from cnncli.runs.evaluations import checkpoint_name, file_of, find_evaluation, keep_evaluation
from cnncli.runs.run import Run
from cnncli.tasks.task import get_task

BEST, LAST = "step-00000001", "step-00000002"


def make(runs_dir: Path, name: str = "net") -> Run:
    """Make a run whose first of two checkpoints is the best."""
    run = Run.create(runs_dir, name, f"name: {name}\n")
    for step in (1, 2):
        run.checkpoints.save(step, {"model/w": np.zeros(1)}, {}, best=step == 1)
    return run


def measure(run: Run, checkpoint: str, right: int, split: str = "test") -> None:
    """Keep an evaluation in which so many of four examples were right."""
    document = {"split": split, "checkpoint": checkpoint, "accuracy": right / 4, "loss": 1.0}
    lines = [f"{i},1,{int(i < right)},0.9,0.5" for i in range(4)]
    keep_evaluation(run, document, "\n".join(["index,true,predicted,probability,margin", *lines]) + "\n")


def accuracies(comparison: Comparison) -> tuple[float | int | None, ...]:
    """Return the accuracies on test."""
    return comparison.metrics.get("test_accuracy", ())


def test_the_last_checkpoint_leaves_the_best_ones_files(tmp_path: Path) -> None:
    """The best checkpoint has the plain names, in whatever order the two are measured; options have their own."""
    for order in ((BEST, LAST), (LAST, BEST)):
        run = make(tmp_path / order[0])
        for checkpoint in order:
            measure(run, checkpoint, 4 if checkpoint == BEST else 1)
        measure(run, BEST, 3, "test-tta")
        found = {file.name: json.loads(file.read_text())["accuracy"] for file in run.path.glob("evaluation-*")}
        assert found == {
            "evaluation-test.json": 1.0,
            f"evaluation-test-{LAST}.json": 0.25,
            "evaluation-test-tta.json": 0.75,
        }
        lines = (run.path / f"predictions-test-{LAST}.csv").read_text().splitlines()
        assert [line.split(",")[2] for line in lines[1:]] == ["1", "0", "0", "0"]


def test_what_a_new_best_checkpoint_replaces_moves_aside(tmp_path: Path) -> None:
    """After a run went on, the plain names are the new best checkpoint's; the former one's results are kept."""
    run = make(tmp_path)
    measure(run, BEST, 2)
    run.checkpoints.save(3, {"model/w": np.zeros(1)}, {}, best=True, keep=5)
    measure(run, "step-00000003", 3)
    assert json.loads(run.evaluation_file("test").read_text())["accuracy"] == 0.75
    assert json.loads(run.evaluation_file("test", BEST).read_text())["accuracy"] == 0.5
    assert run.predictions_file("test", BEST).exists()
    run.write_json(run.invariance_file("test"), {"checkpoint": BEST})
    assert file_of(run, run.invariance_file, "test", "step-00000003") == run.invariance_file("test")
    assert run.invariance_file("test", BEST).exists()


def test_compare_takes_the_best_checkpoint_unless_told(tmp_path: Path) -> None:
    """Results and test are of the best one; of another only where it is named; the page says which."""
    first, second = make(tmp_path, "a"), make(tmp_path, "b")
    for run, best, last in ((first, 4, 1), (second, 2, 2)):
        measure(run, BEST, best)
        measure(run, LAST, last)
    usual = compare([first, second], get_task)
    assert accuracies(usual) == (1.0, 0.5)
    assert usual.checkpoints == (BEST, BEST)
    (pair,) = usual.pairs
    assert (pair.result.only_first, pair.result.only_second) == (2, 0)
    text = "\n".join(part for part in comparison_lines(usual, 80) if isinstance(part, str))
    assert f"Results on test are of each run's best checkpoint: A {BEST}, B {BEST}." in text
    told = compare([first, second], get_task, "last")
    assert accuracies(told) == (0.25, 0.5)
    assert told.to_json()["checkpoints"] == [LAST, LAST]
    assert accuracies(compare([first, second], get_task, BEST)) == (1.0, 0.5)


def test_another_checkpoints_evaluation_is_no_substitute(tmp_path: Path) -> None:
    """A run that was measured with its last checkpoint alone, also by an older version, has no result; it says why."""
    first, second = make(tmp_path, "a"), make(tmp_path, "b")
    measure(first, BEST, 4)
    measure(second, BEST, 4)
    # An older version wrote the last one's under the plain name.
    second.write_json(second.evaluation_file("test"), {"checkpoint": LAST, "accuracy": 0.25, "loss": 1.0})
    comparison = compare([first, second], get_task)
    assert accuracies(comparison) == (1.0, None)
    assert comparison.pairs == ()
    (note,) = comparison.notes
    assert f"measured with {LAST}, not with its best checkpoint, {BEST}" in note
    assert accuracies(compare([first, second], get_task, "last")) == (None, 0.25)


def test_a_run_without_checkpoints_is_read_as_before(tmp_path: Path) -> None:
    """Where they were deleted, or no checkpoint was noted, the plain file is taken."""
    run = Run.create(tmp_path, "net", "name: net\n")
    assert checkpoint_name(run, "best") is None
    assert find_evaluation(run, "test", None) is None
    run.write_json(run.evaluation_file("test"), {"checkpoint": "step-00000007", "accuracy": 0.5})
    found = find_evaluation(run, "test", None)
    assert found is not None
    assert found.document["accuracy"] == 0.5
    other = make(tmp_path, "other")
    other.write_json(other.evaluation_file("test"), {"accuracy": 0.5})
    assert find_evaluation(other, "test", BEST) is not None


@pytest.mark.parametrize(("asked", "name"), [("best", BEST), ("last", LAST), (f"some/where/{BEST}", BEST)])
def test_names_of_checkpoints(tmp_path: Path, asked: str, name: str) -> None:
    """By rule, or by name or path."""
    assert checkpoint_name(make(tmp_path), asked) == name
