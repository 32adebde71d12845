"""A run's tags."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest

from cnncli.errors import RunError
from cnncli.report.runs import runs_table
from cnncli.runs.listing import rows
from cnncli.runs.run import Run
from cnncli.runs.tags import add_tags, remove_tags


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Return a new run."""
    return Run.create(tmp_path, "net", "name: net\n", {"seed": 3})


def test_tags_come_and_go(run: Run) -> None:
    """In run.json, each once, in the order of the alphabet; all else in it stays."""
    before = run.record
    assert add_tags(run, ["good", "baseline", "good"]) == ("baseline", "good")
    assert add_tags(run, ["größe=1".replace("=", ":"), "good"]) == ("baseline", "good", "größe:1")
    document = json.loads((run.path / "run.json").read_text(encoding="utf-8"))
    assert document == {**before, "tags": ["baseline", "good", "größe:1"]}
    assert remove_tags(run, ["baseline", "größe:1"]) == ("good",)
    assert remove_tags(run, ["good"]) == ()


def test_a_run_in_training_is_tagged(run: Run) -> None:
    """Its process may change run.json at the same time."""
    with run.lock():
        changing = [threading.Thread(target=run.update, kwargs={f"field{i}": i}) for i in range(8)]
        tagging = [threading.Thread(target=add_tags, args=(run, [f"tag{i}"])) for i in range(8)]
        for thread in (*changing, *tagging):
            thread.start()
        for thread in (*changing, *tagging):
            thread.join()
    assert run.record["tags"] == [f"tag{i}" for i in range(8)]
    assert [run.record[f"field{i}"] for i in range(8)] == list(range(8))


@pytest.mark.parametrize("tag", ["", "a b", "a,b", "a=b", "-x", "a>1", "~a", "x" * 65, "a\x1b", "a\n"])
def test_what_is_no_tag(run: Run, tag: str) -> None:
    """It could not be told apart in a list, or not be written in --where."""
    with pytest.raises(RunError, match="invalid tag"):
        add_tags(run, ["good", tag])
    assert "tags" not in run.record


def test_a_tag_that_is_not_there(run: Run) -> None:
    """Nothing is removed; the nearest one is named."""
    with pytest.raises(RunError, match="has no tag 'good'") as caught:
        remove_tags(run, ["good"])
    assert caught.value.hint == "It has no tags."
    add_tags(run, ["baseline", "good"])
    with pytest.raises(RunError, match="has no tag 'base-line'") as caught:
        remove_tags(run, ["good", "base-line"])
    assert caught.value.hint == 'Its tags are baseline, good. Did you mean "baseline"?'
    assert run.record["tags"] == ["baseline", "good"]


def test_tags_are_listed_where_there_are_any(run: Run) -> None:
    """As a column, and a field of the run's document."""
    untagged = Run.create(run.path.parent.parent, "net", "")
    found = rows(run.path.parent.parent)
    assert all("tags" not in row.to_json() for row in found)
    assert "tags" not in runs_table(found).lines()[0]
    add_tags(run, ["good", "baseline"])
    found = rows(run.path.parent.parent)
    assert {row.id: row.to_json().get("tags") for row in found} == {run.id: ["baseline", "good"], untagged.id: None}
    lines = runs_table(found).lines()
    assert lines[0].split()[-1] == "tags"
    assert sorted(line.split("  ")[-1] for line in lines[2:]) == ["baseline, good", "–"]


def test_damaged_tags_are_a_damaged_run(run: Run) -> None:
    """As anything else in run.json."""
    run.write_json(run.record_file, {**run.record, "tags": "baseline"})
    assert [row.status for row in rows(run.path.parent.parent)] == ["damaged"]
