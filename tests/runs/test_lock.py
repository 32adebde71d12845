"""The lock of a run: one process at a time, and none too many after it died."""

from __future__ import annotations

import errno
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from io import FileIO
from itertools import count
from pathlib import Path
from types import SimpleNamespace

import pytest

from cnncli.errors import RunError
from cnncli.runs import lock as lock_module
from cnncli.runs.lock import held, lock

HOLD = """
import sys, time
from pathlib import Path
from cnncli.runs.lock import lock
sys.argv = ["cnn", "train", "my net.yaml"]
with lock(Path({path!r})):
    print("held", flush=True)
    time.sleep(3600)
"""


def test_the_second_process_is_reported_who_holds_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, started: Callable[..., subprocess.Popen[str]]
) -> None:
    """In one line, after less than half a second of waiting; and a killed holder's lock is free without more ado."""
    slept: list[float] = []
    ticks = count(step=0.02)
    path = tmp_path / ".lock"
    command = [sys.executable, "-c", HOLD.format(path=str(path))]
    holder = started(command, stdout=subprocess.PIPE)
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    assert held(path)
    with monkeypatch.context() as patched:
        patched.setattr(time, "monotonic", lambda: next(ticks))
        patched.setattr(time, "sleep", slept.append)
        with pytest.raises(RunError) as caught, lock(path):
            pass
    assert 0 < sum(slept) < 0.5
    assert f"{tmp_path} is in use by process {holder.pid} on " in caught.value.message
    assert "(cnn train 'my net.yaml')" in caught.value.message
    assert "\n" not in caught.value.message
    holder.kill()
    holder.wait()
    assert not held(path)
    with lock(path):
        assert held(path)


def test_it_is_let_go_after_an_error(tmp_path: Path) -> None:
    """Whatever the block did."""
    path = tmp_path / ".lock"
    with pytest.raises(ZeroDivisionError), lock(path):
        _ = 1 / 0
    assert not held(path)
    assert path.read_text(encoding="utf-8") == ""


def test_a_look_does_not_make_it_seem_held(tmp_path: Path) -> None:
    """Another process's look at the lock lasts a moment; locking waits for it."""
    path = tmp_path / ".lock"
    path.touch()
    assert not held(path)
    assert not held(tmp_path / "none")
    assert not (tmp_path / "none").exists()


def test_a_run_that_may_only_be_read_is_seen_to_be_held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another user's, or one on a disk that takes nothing: a run that trains is not called interrupted."""

    def refuse(file: Path, mode: str, opener: Callable[[str, int], int]) -> FileIO:
        if mode != "rb":
            raise OSError(errno.EROFS, "Read-only file system")
        return FileIO(file, mode, opener=opener)

    path = tmp_path / ".lock"
    with lock(path):
        monkeypatch.setattr(lock_module, "FileIO", refuse)
        assert held(path)
    assert not held(path)


def test_a_holder_that_cannot_be_read_is_another_process(tmp_path: Path) -> None:
    """The text is only there for people."""
    path = tmp_path / ".lock"
    with lock(path):
        path.write_text("garbage", encoding="utf-8")
        with pytest.raises(RunError, match="in use by another process"), lock(path):
            pass


def test_a_folder_that_cannot_be_locked_is_one_error(tmp_path: Path) -> None:
    """It says which."""
    with pytest.raises(RunError, match="cannot be locked"), lock(tmp_path / "missing" / ".lock"):
        pass


@pytest.mark.skipif(sys.platform == "win32", reason="fcntl is not there")
def test_a_disk_without_locks_lets_training_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """With a warning: network disks without locks exist."""
    import fcntl

    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    with lock(tmp_path / ".lock"):
        pass
    assert "No locks available" in caplog.text


def test_the_holder_is_one_line_of_json(tmp_path: Path) -> None:
    """Who, where, since when to the second, by which command."""
    path = tmp_path / ".lock"
    with lock(path):
        holder = json.loads(path.read_text(encoding="utf-8"))
    assert holder.keys() == {"pid", "host", "since", "command"}
    assert holder["pid"] == os.getpid()
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d\d:\d\d", holder["since"])


@pytest.mark.parametrize("is_free", [True, False])
def test_windows_locks_a_byte_that_holds_no_text(
    is_free: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One byte far behind the text, without waiting."""
    asked: list[tuple[int, int, int]] = []

    def locking(file: int, mode: int, number: int) -> None:
        asked.append((os.lseek(file, 0, os.SEEK_CUR), mode, number))
        if not is_free:
            raise PermissionError

    path = tmp_path / ".lock"
    path.touch()
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setitem(sys.modules, "msvcrt", SimpleNamespace(LK_NBLCK=2, locking=locking))  # type: ignore[arg-type]
    assert held(path) is not is_free
    assert asked == [(2**30, 2, 1)]
