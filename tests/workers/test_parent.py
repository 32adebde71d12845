"""A worker ends with its launcher, tells it where the run is, and hands neither pipe on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from select import select

import pytest

from cnncli.workers import parent

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the launcher refuses Windows")

Start = Callable[..., subprocess.Popen[str]]

WORKER = """
import os, subprocess, sys, time
from cnncli.workers import parent
pipes = [int(os.environ[name]) for name in (parent.LAUNCHER_VARIABLE, parent.RUN_VARIABLE)]
parent.watch()
LIST = "import os; print([n for n in os.environ if n.startswith('CNNCLI_')])\\nfor n in {pipes}:\\n"
LIST += "    try: os.fstat(n); print('open')\\n    except OSError: print('closed')"
made = subprocess.run([sys.executable, "-I", "-S", "-c", LIST.format(pipes=pipes)], capture_output=True, text=True,
    close_fds=False)
print(made.stdout.split(), flush=True)
time.sleep(3600)
"""


def start_worker(started: Start, script: str, *pipes: int) -> subprocess.Popen[str]:
    """Start a script with the launcher's pipe and, if there is a second one, the run's."""
    named = zip((parent.LAUNCHER_VARIABLE, parent.RUN_VARIABLE), map(str, pipes), strict=False)
    command = [sys.executable, "-c", script]
    return started(command, pass_fds=pipes, stdout=subprocess.PIPE, env={**os.environ, **dict(named)})


def test_a_worker_ends_with_its_launcher_and_hands_nothing_on(started: Start) -> None:
    """Neither the variables nor the pipes are seen by the processes that it starts itself."""
    (launcher, launcher_end), (run_end, run) = os.pipe(), os.pipe()
    worker = start_worker(started, WORKER, launcher, run)
    assert worker.stdout is not None
    assert worker.stdout.readline() == "['[]', 'closed', 'closed']\n"
    assert worker.poll() is None
    os.close(launcher_end)
    assert worker.wait(60) == parent.ORPHANED
    for pipe in (launcher, run, run_end):
        os.close(pipe)


@pytest.mark.skipif(sys.platform != "linux", reason="a system call of Linux")
def test_a_stopped_worker_ends_with_its_launcher(started: Start) -> None:
    """Though none of its threads runs: Linux kills it."""
    launcher = """
import os, signal, subprocess, sys
from cnncli.workers import parent
heard, held = os.pipe()
script = "import os, signal; from cnncli.workers import parent; parent.watch(); os.kill(os.getpid(), signal.SIGSTOP)"
worker = subprocess.Popen([sys.executable, "-c", script], pass_fds=[heard],
    env={**os.environ, parent.LAUNCHER_VARIABLE: str(heard)})
os.waitid(os.P_PID, worker.pid, os.WSTOPPED)
print(worker.pid, flush=True)
"""
    process = started([sys.executable, "-c", launcher], stdout=subprocess.PIPE)
    assert process.stdout is not None
    worker = int(process.stdout.readline())
    assert process.wait() == 0
    try:
        # The worker inherits stdout: its end of file comes when the worker, too, is gone.
        assert select([process.stdout], [], [], 60)[0] == [process.stdout]
        assert process.stdout.read() == ""
    except AssertionError:
        os.kill(worker, signal.SIGKILL)
        raise


def test_the_run_is_told_once(tmp_path: Path) -> None:
    """As its path and a newline; a second call says nothing, nor does one where nobody asked."""
    heard, told = os.pipe()
    environment = {parent.RUN_VARIABLE: str(told), "HOME": "here"}
    parent.watch(environment)
    assert environment == {"HOME": "here"}
    parent.report_run(tmp_path / "dïgits")
    parent.report_run(tmp_path / "other")
    with os.fdopen(heard, "rb") as pipe:
        assert pipe.read() == os.fsencode(tmp_path / "dïgits") + b"\n"


@pytest.mark.parametrize("value", ["", "no number", "-1", "987654", str(2**80), "file"])
def test_what_leads_to_no_pipe_is_left_alone(value: str, tmp_path: Path) -> None:
    """A variable that another program left must not end this process: a file's end would be read at once."""
    with (tmp_path / "file").open("w", encoding="utf-8") as file:
        number = str(file.fileno()) if value == "file" else value
        environment = {parent.LAUNCHER_VARIABLE: number, parent.RUN_VARIABLE: number}
        parent.watch(environment)
        parent.report_run(tmp_path)
        assert environment == {}
        assert not file.closed
        assert os.fstat(file.fileno()).st_size == 0
