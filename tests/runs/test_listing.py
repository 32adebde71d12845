"""The list of runs."""

from __future__ import annotations

from pathlib import Path

from cnncli.report.runs import runs_table
from cnncli.runs.listing import rows
from cnncli.runs.run import Run


def make(runs_dir: Path, name: str, *accuracies: float) -> Run:
    """Make a run with an epoch for each accuracy."""
    run = Run.create(runs_dir, name, f"name: {name}\n", {"total_params": 61_706})
    for epoch, accuracy in enumerate(accuracies, start=1):
        run.append_metrics({"epoch": epoch, "seconds": 1.5, "validation": {"loss": 1.0, "accuracy": accuracy}})
    return run


def test_a_row_says_what_a_run_came_to(tmp_path: Path) -> None:
    """The best epoch counts, not the last."""
    run = make(tmp_path, "net", 0.5, 0.75, 0.7)
    run.update(status="done")
    (row,) = rows(tmp_path)
    document = row.to_json()
    assert document == {
        "run": str(run.path),
        "name": "net",
        "id": run.id,
        "started": document["started"],
        "status": "done",
        "epochs": 3,
        "best_validation_accuracy": 0.75,
        "total_params": 61_706,
        "seconds": 4.5,
    }


def test_folds_can_be_told_apart(tmp_path: Path) -> None:
    """Where a run is of one fold, there is a column for it, and fields of the document."""
    make(tmp_path, "whole", 0.5)
    for fold in (1, 2):
        Run.create(tmp_path, "net", "", {"fold": fold, "folds": 5})
    found = rows(tmp_path)
    table = [line.split() for line in runs_table(found).lines()]
    assert table[0][:3] == ["run", "fold", "status"]
    assert [line[1] for line in table[2:]] == ["–", "1/5", "2/5"]
    assert [(row.to_json().get("fold"), row.to_json().get("folds")) for row in found] == [(None, None), (1, 5), (2, 5)]


def test_a_dead_run_is_interrupted(tmp_path: Path) -> None:
    """Though its record says running; a living one is not."""
    dead, living = make(tmp_path, "dead"), make(tmp_path, "living")
    assert dead.record["status"] == "running"
    with living.lock():
        assert {row.name: row.status for row in rows(tmp_path)} == {"dead": "interrupted", "living": "running"}


def test_the_newest_is_last(tmp_path: Path) -> None:
    """Next to the prompt."""
    for name in ("b", "a", "c"):
        make(tmp_path, name)
    assert [row.name for row in rows(tmp_path)] == ["b", "a", "c"]
    assert [row.name for row in rows(tmp_path, "a")] == ["a"]


def test_what_is_no_run_or_damaged_does_not_stop_the_list(tmp_path: Path) -> None:
    """A damaged run is listed as such."""
    make(tmp_path, "good", 0.5)
    make(tmp_path, "bad").record_file.write_text("{", encoding="utf-8")
    make(tmp_path, "torn", 0.5).metrics_file.write_text("x\n{}\n", encoding="utf-8")
    (tmp_path / "notes" / "today").mkdir(parents=True)
    (tmp_path / "file").touch()
    assert {row.name: row.status for row in rows(tmp_path)} == {
        "good": "interrupted",
        "bad": "damaged",
        "torn": "damaged",
    }


def test_without_validation_there_is_no_accuracy(tmp_path: Path) -> None:
    """An epoch's line may lack the split, or hold null."""
    run = Run.create(tmp_path, "net", "")
    run.append_metrics({"epoch": 1, "validation": {}})
    run.append_metrics({"epoch": 2, "validation": {"accuracy": None}})
    (row,) = rows(tmp_path)
    assert row.best is None
    assert "–" in runs_table([row]).lines()[-1]


def test_an_empty_folder_has_no_rows(tmp_path: Path) -> None:
    """Nor has one that is not there."""
    assert rows(tmp_path) == rows(tmp_path / "none") == []
