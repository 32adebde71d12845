"""What a run's files hold is checked when they are read: damage is one line, and no changed number is believed."""

from __future__ import annotations

import json
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from cnncli.cli.app import app
from cnncli.errors import CheckpointError, RunError
from cnncli.files.durable import to_json
from cnncli.runs.compare import compare
from cnncli.runs.evaluations import find_evaluation, keep_evaluation
from cnncli.runs.listing import rows
from cnncli.runs.run import Run
from cnncli.tasks.classification.predictions import evaluated_examples
from cnncli.tasks.task import get_task

PASSPORT = {
    "classes": ["a", "b"],
    "looks": {"train": {"num_images": 0}},
    "content_hash": "0" * 64,
}
METRICS = [
    {"name": "loss", "higher_is_better": False, "primary": False},
    {"name": "accuracy", "higher_is_better": True, "primary": True},
]


def make(runs_dir: Path, right: int = 3) -> Run:
    """Make a run of one epoch that got so many of four examples right."""
    run = Run.create(runs_dir, "net", "name: net\n", {"metrics": METRICS, "threads": 2, "total_params": 10})
    numbers = {"loss": 1.0, "accuracy": right / 4}
    line = {"epoch": 1, "step": 1, "learning_rate": 0.1, "seconds": 1.0, "images_per_second": 4.0}
    run.append_metrics({**line, "train": numbers, "validation": numbers})
    run.checkpoints.save(1, {"model/w": np.zeros(1)}, {}, best=True)
    run.write_sealed(run.data_file, PASSPORT)
    lines = [f"{i},a,{'a' if i < right else 'b'},0.9,0.8" for i in range(4)]
    csv = "\n".join(["example,true,predicted,probability,margin", *lines]) + "\n"
    keep_evaluation(run, {"split": "test", "checkpoint": "step-00000001", **numbers}, csv)
    run.update(status="done")
    return run


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Return a run with every file that plain commands read."""
    return make(tmp_path / "runs")


BAD_LINES = [
    "5",
    "[1]",
    "{}",
    "null",
    '{"epoch": "1"}',
    '{"epoch": 0}',
    '{"epoch": 1, "seconds": "y"}',
    '{"epoch": 1, "validation": 5}',
    '{"epoch": 1, "validation": {"accuracy": "high"}}',
    '{"epoch": 1, "validation": {"accuracy": [1]}}',
    '{"epoch": 1, "step": -1}',
    '{"epoch": 1, "train": {"loss": 1e999}}',
    '{"epoch": 1, "train": {"loss": -1e300}}',
    '{"epoch": 1, "more": ' + "[" * 500 + "]" * 500 + "}",
    "[" * 100_000,
]


@pytest.mark.parametrize("line", BAD_LINES, ids=lambda line: line[:40])
@pytest.mark.parametrize("before", ["", '{"epoch": 1}\n'], ids=["alone", "after another"])
def test_a_line_of_metrics_that_is_none(run: Run, line: str, before: str) -> None:
    """It is named by its number, and the run is listed as damaged; so is it in the middle of others."""
    run.metrics_file.write_text(f'{before}{line}\n{{"epoch": 3}}\n', encoding="utf-8")
    with pytest.raises(RunError, match=rf"metrics\.jsonl:{2 if before else 1}"):
        run.metrics()
    (row,) = rows(run.path.parent.parent)
    assert (row.status, row.epochs, row.best) == ("damaged", 0, None)
    assert "metrics.jsonl" in str(row.problem)


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"threads": "y"}, "threads is 'y', expected a whole number from 1 to 1024"),
        ({"threads": 100_000_000}, "threads is 100000000, expected a whole number from 1 to 1024"),
        ({"versions": 5}, "versions is 5, expected a mapping"),
        ({"variables": "y"}, "variables is 'y', expected a mapping"),
        ({"versions": {"keras": 3}}, "versions.keras is 3, expected a text"),
        ({"status": "x"}, "status is 'x', expected one of 'running'"),
        ({"metrics": {}}, "metrics is an empty mapping, expected a list"),
        ({"metrics": []}, "0 of its metrics are primary, expected 1"),
        ({"metrics": [METRICS[1], METRICS[1]]}, "2 of its metrics are primary"),
        ({"metrics": [{"name": 5}]}, r"metrics\[0\].name is 5"),
        ({"epochs": -1}, "epochs is -1, expected a whole number from 0"),
        ({"total_params": "many"}, "total_params is 'many'"),
        ({"test_uses": [1]}, "test_uses is a list of 1"),
        ({"best": {"epoch": 1, "monitor": "loss"}}, "best.value is missing"),
        ({"arithmetic": []}, "arithmetic is an empty list"),
        ({"cpu_features": 5}, "cpu_features is 5"),
        ({"more": json.loads("[" * 70 + "]" * 70)}, "it is nested"),
    ],
)
def test_a_record_with_other_values(run: Run, fields: dict[str, Any], told: str) -> None:
    """The error names the file, the key, what it holds and what was expected; the list goes on."""
    make(run.path.parent.parent)
    run.record_file.write_text(json.dumps({**run.record, **fields}), encoding="utf-8")
    with pytest.raises(RunError, match=f"run.json cannot be read: {told}") as caught:
        _ = run.record
    assert caught.value.hint
    assert [row.status for row in rows(run.path.parent.parent)].count("damaged") == 1


@pytest.mark.parametrize("text", ["5", "[]", "null", "{", "[" * 100_000, '{"threads": 1e999}', "\ud800"])
def test_a_record_that_is_none(run: Run, text: str) -> None:
    """Also one that no parser goes through."""
    run.record_file.write_bytes(text.encode("utf-8", "surrogatepass"))
    with pytest.raises(RunError, match=r"run\.json cannot be read"):
        _ = run.record


def test_keys_of_other_versions_are_no_damage(run: Run) -> None:
    """One that is missing, and one that nobody knows yet."""
    run.record_file.write_text('{"new": {"a": [1]}}', encoding="utf-8")
    run.metrics_file.write_text('{"epoch": 1, "new": [1]}\n', encoding="utf-8")
    (row,) = rows(run.path.parent.parent)
    assert (row.status, row.epochs) == ("failed", 1)


def test_one_damaged_run_is_one_line(run: Run) -> None:
    """`cnn runs` ends as ever, and says which file it is and what is wrong with it."""
    folder = run.path.parent.parent
    make(folder)
    run.metrics_file.write_text("5\n", encoding="utf-8")
    result = CliRunner().invoke(app, ["runs", "--runs-dir", str(folder)])
    assert result.exit_code == 0, result.exception
    assert result.stdout.count("damaged") == 1
    assert result.stdout.count("done") == 1
    told = " ".join(result.stderr.split())
    assert "damaged:" in told
    assert "it is 5, expected a mapping" in told
    documents = json.loads(CliRunner().invoke(app, ["runs", "--runs-dir", str(folder), "--json"]).stdout)["rows"]
    assert [row["status"] for row in documents] == ["damaged", "done"]
    assert ["problem" in row for row in documents] == [True, False]


@pytest.mark.parametrize("damaged", ["run.json", "metrics.jsonl", "evaluation-test.json", "predictions-test.csv"])
def test_a_damaged_run_is_left_out_of_a_comparison(run: Run, damaged: str) -> None:
    """Of three, two are compared and a note says why the other is not; of two, it is an error."""
    others = [make(run.path.parent.parent, right) for right in (1, 4)]
    (run.path / damaged).write_text("5\n", encoding="utf-8")
    found = compare([run, *others], get_task)
    assert found.runs == (others[0].id, others[1].id)
    assert found.metrics["test_accuracy"] == (0.25, 1.0)
    (note,) = found.notes
    assert note.startswith(f"net/{run.id} is left out")
    assert damaged in note
    with pytest.raises(RunError, match=damaged):
        compare([run, others[0]], get_task)


@pytest.mark.parametrize(
    "text", ["[]", "{}", '{"classes": 5}', '{"classes": [5]}', '{"classes": ["a"], "looks": 5}', "5"]
)
def test_a_passport_that_is_none(run: Run, text: str) -> None:
    """The file is named, with what is wrong."""
    run.data_file.write_text(text, encoding="utf-8")
    with pytest.raises(RunError, match=r"data\.json cannot be read: .*expected"):
        run.passport()


def test_a_changed_passport_is_told(run: Run) -> None:
    """One whose classes were swapped is of the right form; one of an earlier version has no checksum."""
    assert run.passport() == PASSPORT
    text = run.data_file.read_text(encoding="utf-8")
    document = json.loads(text)
    run.data_file.write_text(json.dumps({**document, "classes": ["b", "a"]}), encoding="utf-8")
    with pytest.raises(RunError, match=r"data\.json cannot be read: it does not match its own checksum"):
        run.passport()
    run.write_json(run.data_file, PASSPORT)
    assert run.passport() == PASSPORT


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("5", "is 5, expected a mapping"),
        ("[", "Expecting"),
        ('{"split": 5}', "split is 5"),
        ('{"split": "train", "accuracy": 1}', "it is the evaluation of train"),
        ('{"split": "test", "doubts": "y"}', "doubts is 'y'"),
        ('{"checkpoint": "step-00000001"}', "it holds no evaluation"),
        ("{}", "it holds no evaluation"),
    ],
)
def test_an_evaluation_that_is_none(run: Run, text: str, told: str) -> None:
    """The file is named, and that `cnn eval` writes it again."""
    run.evaluation_file("test").write_text(text, encoding="utf-8")
    with pytest.raises(RunError, match=rf"evaluation-test\.json cannot be read: .*{told}") as caught:
        find_evaluation(run, "test", None)
    assert "cnn eval" in str(caught.value.hint)


def test_a_changed_evaluation_is_told(run: Run) -> None:
    """A number in it, or a prediction that it counted."""
    found = find_evaluation(run, "test", None)
    assert found is not None
    found.check_predictions()
    file = run.evaluation_file("test")
    file.write_text(file.read_text(encoding="utf-8").replace("0.75", "0.95"), encoding="utf-8")
    with pytest.raises(RunError, match="its own checksum"):
        find_evaluation(run, "test", None)
    predictions = run.predictions_file("test")
    predictions.write_text(predictions.read_text(encoding="utf-8").replace("a,b", "a,a"), encoding="utf-8")
    with pytest.raises(RunError, match=r"predictions-test\.csv cannot be read"):
        found.check_predictions()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a,b\n1,2\n",
        "example,true,predicted,probability,margin\n0,a,b\n",
        "example,true,predicted,probability,margin\n0,a,b,y,0.5\n",
        "example,true,predicted,probability,margin\n0,a,b,nan,0.5\n",
        "example,true,predicted,probability,margin\n0,a,b,2,0.5\n",
        "example,true,predicted,probability,margin\n0,a,b,0.5,0.5\n\x00\n",
    ],
)
def test_predictions_that_are_none(tmp_path: Path, text: str) -> None:
    """Other columns, fewer values, or such that are no probabilities; an empty file has no predictions."""
    file = tmp_path / "predictions-test.csv"
    file.write_text(text, encoding="utf-8")
    if not text:
        assert evaluated_examples(file) == []
        return
    with pytest.raises(RunError, match=r"predictions-test\.csv cannot be read"):
        evaluated_examples(file)


@pytest.mark.parametrize("text", ["5", '{"data.source": 5}', "[]", "{"])
def test_origins_that_are_none(run: Run, text: str) -> None:
    """Where they are missing, nobody knows where values came from."""
    assert run.origins() == {}
    run.origins_file.write_text(text, encoding="utf-8")
    with pytest.raises(RunError, match=r"origins\.json cannot be read") as caught:
        run.origins()
    assert "Remove the file" in str(caught.value.hint)


@pytest.mark.parametrize(
    "change",
    [
        {"entries": [{"name": "x"}]},
        {"entries": 5},
        {"best": "../../other/checkpoints/step-00000001"},
        {"best": 5},
        {"step": "1"},
        {"meta": []},
        {"num_bytes": -1},
        {"format": "1"},
    ],
)
def test_a_manifest_that_somebody_else_wrote(run: Run, change: dict[str, Any]) -> None:
    """Its checksum fits, but what it holds does not; it leads to no other folder."""
    file = run.path / "checkpoints" / "step-00000001" / "manifest.json"
    document = {**json.loads(file.read_text(encoding="utf-8")), **change}
    del document["manifest_sha256"]
    document["manifest_sha256"] = sha256(to_json(document).encode()).hexdigest()
    file.write_text(to_json(document), encoding="utf-8")
    with pytest.raises(CheckpointError, match="step-00000001 is damaged"):
        run.checkpoints.load("step-00000001")


def test_a_damaged_newest_checkpoint_is_told(run: Run, caplog: pytest.LogCaptureFixture) -> None:
    """Which one is the best, an older one says: that may be another."""
    run.checkpoints.save(2, {"model/w": np.ones(1)}, {}, best=True)
    (run.path / "checkpoints" / "step-00000002" / "manifest.json").write_text("{}", encoding="utf-8")
    assert run.checkpoints.best_name() == "step-00000001"
    assert "step-00000002 is damaged" in caplog.text


@pytest.fixture(scope="module")
def mutations(script: Callable[[str], ModuleType]) -> ModuleType:
    """Return the campaign."""
    return script("campaigns/mutate_records.py")


def test_short_campaign(tmp_path: Path, mutations: ModuleType) -> None:
    """Damaged at random, `runs` and `compare` answer, and believe nothing that has a checksum."""
    runs = mutations.Runs(tmp_path)
    runs.run, runs.other = make(tmp_path / "runs").path, make(tmp_path / "runs", 1).path
    runs.keep_copy()
    counts, problems = mutations.campaign(runs, 150, 1, {"runs": 1, "compare": 1}, lambda _: None)
    assert problems == []
    assert sum(found.total() for found in counts.values()) == 150
    assert all(found["told"] > 10 for found in counts.values())


def test_an_evaluation_is_no_passport(run: Run) -> None:
    """Sealed as it is, another of our documents in the place of data.json is told: its counts are of another kind."""
    run.write_sealed(run.data_file, {"split": "test", "classes": ["a", "b"], "num_examples": 355, "loss": 2.5})
    with pytest.raises(RunError, match=r"data\.json.*num_examples"):
        run.passport()
