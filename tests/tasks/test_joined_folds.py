"""The predictions of all folds as one file, for tasks of any kind; folds of other data are refused."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Sequence
from hashlib import sha256
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from cnncli.errors import RunError
from cnncli.runs.evaluations import KeptEvaluation
from cnncli.runs.group import Member
from cnncli.runs.outcomes import Outcome
from cnncli.runs.run import Run
from cnncli.tasks.out_of_fold import write_out_of_fold

COLUMNS = ["example", "mean_iou", "note"]
ROWS = [[["=a.png", "0.5", "-1"], ["b.png", "0.25", ""]], [["c.png", "1.0", "x, y"]]]
"""Of each fold: a name that a spreadsheet takes for a formula, a number, a cell with a comma."""


class Means:
    """Stands for a task: of all examples it says how many there are, and the mean loss of the folds."""

    def out_of_fold(self, folds: Sequence[KeptEvaluation]) -> Any:
        """Return what is written."""
        number = sum(fold.document["num_examples"] for fold in folds)
        loss = sum(fold.document["loss"] for fold in folds) / len(folds)
        document = {"split": "validation", "num_examples": number, "loss": loss, "accuracy": None}
        return SimpleNamespace(to_json=lambda: document)


def make(runs_dir: Path, fold: int, rows: list[list[str]], num_train: int, classes: str = "ab") -> Outcome:
    """Make a run that was evaluated on its fold."""
    from cnncli.tasks.predictions import csv_text

    member = Member(3, fold, 2)
    run = Run.create(runs_dir, "net", "name: net\n", {"seed": 3, "fold": fold, "folds": 2, "group": "20260101-000000"})
    sizes = {"train": num_train, "validation": len(rows)}
    run.write_sealed(run.data_file, {"classes": ["a", "b"], "num_examples": sizes})
    text = csv_text([COLUMNS, *rows])
    run.write_text(run.predictions_file("validation"), text)
    digest = sha256(text.encode()).hexdigest()
    document = {"split": "validation", "num_examples": len(rows), "loss": fold / 2, "accuracy": 0.5}
    kept = {**document, "classes": list(classes), "predictions_sha256": digest}
    run.write_sealed(run.evaluation_file("validation"), kept)
    run.update(status="done", best={"epoch": 1, "monitor": "validation_loss", "value": 0.5})
    return Outcome.of(member, run)


@pytest.fixture
def joined(tmp_path: Path) -> Callable[..., Any]:
    """Return what writes the folds of two runs as one."""

    def write(first: list[list[str]], second: list[list[str]], num_train: tuple[int, int]) -> Any:
        outcomes = [make(tmp_path, 1, first, num_train[0]), make(tmp_path, 2, second, num_train[1])]
        return write_out_of_fold(tmp_path / "net" / "folds-1", "-seed-3", outcomes, Means())

    return write


def test_rows_of_all_folds_are_one_file(joined: Callable[..., Any], tmp_path: Path) -> None:
    """With the fold of each, and beside it what the task makes of them; a metric that it cannot measure is not told."""
    found = joined(*ROWS, (1, 2))
    assert found.to_json() == {
        "seed": 3,
        "num_examples": 3,
        "predictions": str(tmp_path / "net" / "folds-1" / "predictions-seed-3.csv"),
        "evaluation": str(tmp_path / "net" / "folds-1" / "evaluation-seed-3.json"),
        "loss": 0.75,
    }
    with found.predictions.open(encoding="utf-8", newline="") as file:
        header, *rows = csv.reader(file)
    assert header == [*COLUMNS, "fold"]
    assert rows == [["'=a.png", "0.5", "-1", "1"], ["b.png", "0.25", "", "1"], ["c.png", "1.0", "x, y", "2"]]
    kept = json.loads(found.evaluation.read_text(encoding="utf-8"))
    assert {name: kept[name] for name in ("num_examples", "loss", "accuracy", "checkpoint", "seed")} == {
        "num_examples": 3,
        "loss": 0.75,
        "accuracy": None,
        "checkpoint": "best",
        "seed": 3,
    }
    assert len(kept["runs"]) == 2
    told = "Out of fold, 3 examples, seed 3: loss 0.7500."
    assert list(found.sentences()) == [told, str(found.predictions), str(found.evaluation)]


def test_folds_of_other_data_are_refused(joined: Callable[..., Any], tmp_path: Path) -> None:
    """An example in two folds, one in none, other classes: then the data are not those of the other run."""
    with pytest.raises(RunError, match=r"b\.png is in two folds"):
        joined(ROWS[0], [["b.png", "1.0", ""]], (1, 2))
    with pytest.raises(RunError, match="the folds hold 3 examples, but the run of seed 3, fold 2 of 2 divided 4"):
        joined(*ROWS, (1, 3))
    outcomes = [make(tmp_path, 1, ROWS[0], 1), make(tmp_path, 2, ROWS[1], 2, classes="ba")]
    with pytest.raises(RunError, match="the runs have different classes"):
        write_out_of_fold(tmp_path / "net" / "folds-1", "", outcomes, Means())


def test_changed_predictions_are_refused(joined: Callable[..., Any], tmp_path: Path) -> None:
    """The evaluation counted others; without an evaluation there is nothing to join."""
    joined(*ROWS, (1, 2))
    outcomes = [make(tmp_path, fold, rows, 3 - len(rows)) for fold, rows in enumerate(ROWS, start=1)]
    run = outcomes[1].run
    assert run is not None
    file = run.predictions_file("validation")
    text = file.read_text(encoding="utf-8")
    file.write_text(text.replace("1.0", "0.9"), encoding="utf-8")
    with pytest.raises(RunError, match="checksum"):
        write_out_of_fold(tmp_path / "net" / "folds-2", "", outcomes, Means())
    run.evaluation_file("validation").unlink()
    with pytest.raises(RunError, match="the run of seed 3, fold 2 of 2 has no evaluation of its fold"):
        write_out_of_fold(tmp_path / "net" / "folds-2", "", outcomes, Means())
    assert not (tmp_path / "net" / "folds-2").exists()
