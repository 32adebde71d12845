"""The workers' logs: beside the runs until there is one, then in it; nothing takes them for a run."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from cnncli.errors import RunError
from cnncli.files import durable
from cnncli.runs.find import all_runs, find
from cnncli.runs.listing import rows
from cnncli.runs.run import Run
from cnncli.workers.logs import LAST_BYTES, LAST_LINES, kept

TRACEBACK = "Traceback (most recent call last):\n  File \"a.py\", line 1\nValueError: 'a'"
CAUSE = "The above exception was the direct cause of the following exception:"


def make_run(runs_dir: Path) -> Path:
    """Make a run and return its path."""
    return Run.create(runs_dir, "digits", "").path


def test_logs_move_into_their_run(tmp_path: Path) -> None:
    """While they are written to; then the hidden folder is gone."""
    with kept(tmp_path / "runs", None) as logs:
        with logs.open(1, 1) as file:
            run = make_run(tmp_path / "runs")
            assert logs.path(1).parent.parent == tmp_path / "runs"
            logs.move_to(run)
            logs.move_to(tmp_path / "another")
            file.write(b"after the move\n")
        assert logs.path(1) == run / "workers" / "1.log"
        with logs.open(2, 2):
            pass
    assert {path.name for path in (run / "workers").iterdir()} == {"1.log", "2.log"}
    heading, line = (run / "workers" / "1.log").read_text(encoding="utf-8").splitlines()
    assert heading.startswith("=== worker 1, attempt 1, ")
    assert line == "after the move"
    assert [path.name for path in (tmp_path / "runs").iterdir()] == ["digits"]


def test_a_folder_of_logs_is_no_run(tmp_path: Path) -> None:
    """Neither for `cnn runs` nor for whoever looks for a run; the folder for runs goes again if none was made."""
    with kept(tmp_path / "runs", None) as logs, logs.open(1, 1):
        assert len(list((tmp_path / "runs").iterdir())) == 1
        assert rows(tmp_path / "runs") == list(all_runs(tmp_path / "runs")) == []
        with pytest.raises(RunError, match="no runs in"):
            find("latest", tmp_path / "runs")
    assert not (tmp_path / "runs").exists()


def test_a_resumed_run_keeps_its_logs(tmp_path: Path) -> None:
    """What is new follows, in a line of its own though the last one was torn; nothing else is made."""
    run = make_run(tmp_path)
    for attempt, text in ((1, b"torn"), (2, b"whole\n"), (3, b"")):
        with kept(tmp_path, run) as logs, logs.open(1, attempt) as file:
            file.write(text)
    lines = (run / "workers" / "1.log").read_text(encoding="utf-8").splitlines()
    assert [line.partition(", 2")[0] for line in lines] == [
        "=== worker 1, attempt 1",
        "torn",
        "=== worker 1, attempt 2",
        "whole",
        "=== worker 1, attempt 3",
    ]
    assert [path.name for path in tmp_path.iterdir()] == ["digits"]


def test_a_link_in_the_place_of_the_logs_is_refused(tmp_path: Path) -> None:
    """Files would be made that are not the run's."""
    run = make_run(tmp_path)
    (run / "workers").symlink_to(tmp_path)
    with pytest.raises(RunError, match="is a link"), kept(tmp_path, run):
        pass


def test_logs_are_copied_to_another_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a name's folder leads there, a file cannot be moved."""

    def refuse(*_: Path) -> None:
        raise OSError(errno.EXDEV, "Invalid cross-device link")

    with kept(tmp_path, None) as logs, logs.open(1, 1) as file:
        run = make_run(tmp_path)
        monkeypatch.setattr(durable, "replace", refuse)
        logs.move_to(run)
        file.write(b"after the try\n")
    assert (run / "workers" / "1.log").read_text(encoding="utf-8").endswith("===\nafter the try\n")
    assert [path.name for path in tmp_path.iterdir()] == ["digits"]


KEEPS = """
import sys, time
from pathlib import Path
from cnncli.workers.logs import kept
with kept(Path(sys.argv[1]), None) as logs, logs.open(1, 1):
    print(logs.path(1), flush=True)
    time.sleep(3600)
"""


def test_a_killed_launcher_leaves_a_folder_that_the_next_removes(
    tmp_path: Path, started: Callable[..., subprocess.Popen[str]]
) -> None:
    """A living one's stays, however long nothing was written."""
    process = started([sys.executable, "-c", KEEPS, tmp_path], stdout=subprocess.PIPE)
    assert process.stdout is not None
    path = Path(process.stdout.readline().strip())
    for is_there in (True, False):
        os.utime(path.parent, (time.time() - 7200,) * 2)
        with kept(tmp_path, None):
            assert path.exists() == is_there
        process.send_signal(signal.SIGKILL)
        process.wait()


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("loading\nerror: no such file\n  Look again.\n", "error: no such file\n  Look again."),
        (f"error: old\n{TRACEBACK}\n", TRACEBACK),
        (f"{TRACEBACK}\nerror E012: Conv2D\n", "error E012: Conv2D"),
        (f"{TRACEBACK}\n\nwell\n\n{TRACEBACK}\n", TRACEBACK),
        (f"x\n{TRACEBACK}\n\n{CAUSE}\n\n{TRACEBACK}\n", f"{TRACEBACK}\n\n{CAUSE}\n\n{TRACEBACK}"),
        ("1\n" * 99, "\n".join("1" * LAST_LINES)),
        (f"error: far away{' ' * LAST_BYTES}\nlast\n", "last"),
        ("", ""),
    ],
)
def test_the_last_error_is_whole(written: str, shown: str, tmp_path: Path) -> None:
    """From its first line, with the tracebacks that led to it; of the latest attempt alone."""
    with kept(tmp_path, None) as logs:
        with logs.open(1, 1) as file:
            file.write(b"error: of the first attempt\n")
        with logs.open(1, 2) as file:
            file.write(written.encode())
        assert logs.last_error(1).strip() == shown
        assert logs.last_error(7) == ""
