"""The run directory: made at once, never overwritten, every file of it text that survives a crash."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from cnncli.errors import RunError, WriteError
from cnncli.files import durable
from cnncli.files.locks import alone
from cnncli.runs import run as run_module
from cnncli.runs.run import Run
from cnncli.tasks.measurement import count_use


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Return a new run."""
    return Run.create(tmp_path, "net", "name: net\n", {"seed": 3})


def test_a_new_run_has_config_and_record(run: Run) -> None:
    """Status, seed, times, command, versions and git commit stand in run.json."""
    assert run.config_file.read_text(encoding="utf-8") == "name: net\n"
    record = json.loads((run.path / "run.json").read_text(encoding="utf-8"))
    assert (record["name"], record["status"], record["seed"], record["ended"]) == ("net", "running", 3, None)
    assert set(record) >= {"started", "command", "versions", "git_commit", "host", "platform"}
    assert record["versions"]["python"].startswith("3.")
    assert (run.name, run.path.parent.name) == ("net", "net")
    assert not list(run.path.parent.glob(".new-*"))


def test_runs_of_one_second_get_directories_of_their_own(tmp_path: Path) -> None:
    """And the earlier one is not touched."""
    runs = [Run.create(tmp_path, "net", f"seed: {i}\n") for i in range(5)]
    assert len({run.path for run in runs}) == 5
    assert [run.config_file.read_text(encoding="utf-8") for run in runs] == [f"seed: {i}\n" for i in range(5)]


@pytest.mark.parametrize("name", ["../out", "a/b", "", ".hidden", "a b"])
def test_names_that_lead_elsewhere_are_refused(tmp_path: Path, name: str) -> None:
    """A name is a folder's and nothing more."""
    with pytest.raises(RunError, match="invalid run name"):
        Run.create(tmp_path, name, "")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_one_error(tmp_path: Path) -> None:
    """Without a traceback, and with the folder's name."""
    (tmp_path / "runs").write_text("a file", encoding="utf-8")
    with pytest.raises(RunError, match="cannot create a run in"):
        Run.create(tmp_path / "runs", "net", "")


def test_a_disk_that_fills_up_leaves_no_half_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither under its name nor under a temporary one."""

    def refuse(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(durable, "write", refuse)
    with pytest.raises(RunError, match="No space left on device"):
        Run.create(tmp_path, "net", "name: net\n")
    assert list((tmp_path / "net").iterdir()) == []


def test_open_needs_a_run(tmp_path: Path, run: Run) -> None:
    """A folder without run.json is none."""
    assert Run.open(run.path).record["name"] == "net"
    with pytest.raises(RunError, match="not a run directory"):
        Run.open(tmp_path)


def test_update_changes_some_fields(run: Run) -> None:
    """The others stay; an end gets its time."""
    run.update(device="CPU")
    assert run.record["ended"] is None
    run.update(status="done", epochs=3)
    record = run.record
    assert (record["status"], record["device"], record["epochs"], record["seed"]) == ("done", "CPU", 3, 3)
    assert record["ended"] >= record["started"]
    run.update(status="running")
    assert run.record["ended"] is None


def test_a_run_whose_process_is_gone_is_interrupted(run: Run) -> None:
    """Whatever its record says."""
    assert run.status == "interrupted"
    with run.lock():
        assert run.status == "running"
    run.update(status="done")
    assert run.status == "done"


def test_a_record_that_cannot_be_read_is_one_error(run: Run) -> None:
    """It names the file."""
    for text in ("{", "[]"):
        run.record_file.write_text(text, encoding="utf-8")
        with pytest.raises(RunError, match=r"run\.json"):
            _ = run.record


def test_metrics_come_back(run: Run) -> None:
    """One line each; NaN becomes null, which every JSON reader knows."""
    assert run.metrics() == []
    run.append_metrics({"epoch": 1, "train": {"loss": 0.1 + 0.2}})
    run.append_metrics({"epoch": 2, "train": {"loss": float("nan")}})
    assert run.metrics() == [{"epoch": 1, "train": {"loss": 0.1 + 0.2}}, {"epoch": 2, "train": {"loss": None}}]
    assert run.metrics_file.read_text(encoding="utf-8").count("\n") == 2


@pytest.mark.parametrize("torn", ['{"epoch": 3, "tr', "\0\0\0\0", "\0\0 1}\n", "\udc80"])
def test_a_torn_last_line_is_no_harm(run: Run, torn: str) -> None:
    """It is not read, and the next epoch's line follows the last whole one."""
    run.append_metrics({"epoch": 1})
    with run.metrics_file.open("ab") as file:
        file.write(torn.encode(errors="surrogateescape"))
    assert run.metrics() == [{"epoch": 1}]
    run.truncate_metrics(1)
    run.append_metrics({"epoch": 2})
    assert run.metrics() == [{"epoch": 1}, {"epoch": 2}]


def test_a_line_is_never_joined_to_a_torn_one(run: Run) -> None:
    """Also where nobody truncated before."""
    run.append_metrics({"epoch": 1})
    with run.metrics_file.open("a") as file:
        file.write('{"epo')
    run.append_metrics({"epoch": 2})
    assert run.metrics() == [{"epoch": 1}, {"epoch": 2}]


def test_a_damaged_line_in_the_middle_is_reported(run: Run) -> None:
    """With its number."""
    run.metrics_file.write_text('{"epoch": 1}\nnonsense\n{"epoch": 3}\n', encoding="utf-8")
    with pytest.raises(RunError, match=r"metrics.jsonl:2 is not JSON"):
        run.metrics()


def test_truncate_drops_later_epochs_and_keeps_the_rest_to_the_letter(run: Run) -> None:
    """A resumed run writes them again."""
    for epoch in (1, 2, 3):
        run.append_metrics({"epoch": epoch, "loss": 1 / 3, "größe": 1e-7})
    before = run.metrics_file.read_text(encoding="utf-8")
    run.truncate_metrics(2)
    assert run.metrics_file.read_text(encoding="utf-8") == "".join(before.splitlines(keepends=True)[:2])


def test_a_file_is_replaced_or_stays(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """A reader never sees a part of one."""
    run.write_text(run.summary_file, "old")

    def refuse(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(durable, "write", refuse)
    with pytest.raises(RunError, match=r"summary\.txt cannot be written: No space left"):
        run.write_text(run.summary_file, "new")
    assert run.summary_file.read_text(encoding="utf-8") == "old"
    assert not list(run.path.glob("*.tmp")) + list(run.path.glob(".*.tmp"))


def test_all_files_are_where_the_contract_says(run: Run) -> None:
    """Other programs find them by these names."""
    files = {
        run.config_file,
        run.record_file,
        run.metrics_file,
        run.summary_file,
        run.data_file,
        run.checkpoints.directory,
        run.tensorboard_dir,
        run.evaluation_file("test"),
        run.predictions_file("test"),
        run.export_dir,
        run.report_file,
    }
    assert {str(file.relative_to(run.path)) for file in files} == {
        "config.yaml",
        "run.json",
        "metrics.jsonl",
        "summary.txt",
        "data.json",
        "checkpoints",
        "tensorboard",
        "evaluation-test.json",
        "predictions-test.csv",
        "export",
        "report.html",
    }


COUNTS = """
import sys
from pathlib import Path
from cnncli.runs.run import Run
run = Run(Path(sys.argv[1]))
sys.stdin.read()  # all begin together
for _ in range(int(sys.argv[2])):
    run.change(lambda record: {"count": record.get("count", 0) + 1})
run.update(**{f"done_{sys.argv[3]}": True})
"""


def test_processes_that_change_the_record_lose_nothing(run: Run, started: Callable[..., subprocess.Popen[str]]) -> None:
    """Each reads, changes and writes run.json while the others do: every count is counted, every field there."""
    processes = [
        started([sys.executable, "-c", COUNTS, run.path, "10", str(number)], stdin=subprocess.PIPE)
        for number in range(4)
    ]
    for process in processes:
        assert process.stdin is not None
        process.stdin.close()
    for process in processes:
        assert process.wait() == 0
    record = run.record
    assert record["count"] == 40
    assert [record.get(f"done_{number}") for number in range(4)] == [True] * 4


def test_a_test_use_is_counted_beside_an_end(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever another process writes after this one has read: neither the end nor a use is lost."""
    write, ending = durable.replace_file, threading.Thread(target=run.update, kwargs={"status": "done"})

    def ended_in_between(file: Path, content: str) -> None:
        if ending.ident is None:
            ending.start()
            ending.join(0.2)
        write(file, content)

    monkeypatch.setattr(durable, "replace_file", ended_in_between)
    count_use(run, "test")
    ending.join()
    assert (run.record["status"], run.record["test_uses"]) == ("done", 1)


def test_a_record_that_others_hold_is_one_error(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """After waiting for them in vain; a link where the lock should be is refused, and not followed."""
    monkeypatch.setattr(run_module, "UPDATE_PATIENCE", 0.01)
    with alone(run.path / ".record.lock", 1), pytest.raises(WriteError, match="cannot be written: another process"):
        run.update(device="CPU")
    precious = run.path.parent / "precious"
    precious.write_text("mine", encoding="utf-8")
    (run.path / ".record.lock").unlink()
    (run.path / ".record.lock").symlink_to(precious)
    with pytest.raises(WriteError, match="it is a link"):
        run.update(device="CPU")
    assert precious.read_text(encoding="utf-8") == "mine"
