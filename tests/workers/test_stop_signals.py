"""A signal reaches the chief once, whether the launcher alone was told or all; no worker outlives the launcher."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from cnncli.workers import stop_signals

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the launcher refuses Windows")

Start = Callable[..., subprocess.Popen[str]]

LAUNCHER = """
import signal, sys
from pathlib import Path
from cnncli.workers import launcher, processes, stop_signals
signal.signal(signal.SIGHUP, signal.SIG_DFL)  # Under `nohup` nobody hears it.
folder, script, stop_signals.WINDOW, processes.PATIENCE = sys.argv[1], sys.argv[2], *map(float, sys.argv[3:])
sys.exit(launcher.launch(launcher.Command(
    arguments=[folder], workers=3, runs_dir=Path(folder, "runs"), resume=lambda run: [], restarts=3,
    tell=lambda text: print(text, file=sys.stderr), program=[sys.executable, "-c", script])))
"""

WORKER = """
import os, pathlib, signal, sys, time
folder, rank = pathlib.Path(sys.argv[1]), sys.argv[-1]
heard = []
def hear(number, _):
    heard.append(number)
    (folder / f"{rank}.{len(heard)}.heard").write_text(str(number))
for name in ("SIGINT", "SIGTERM", "SIGHUP"):
    signal.signal(getattr(signal, name), hear)
life = open(folder / "life", "w")
print(rank, file=life, flush=True)
signal.signal(signal.SIGALRM, lambda *_: (print("too late", file=life, flush=True), os._exit(1)))
signal.alarm(300)  # No test waits for ever.
"""
"""What all fake workers begin with: they say that they listen, in a pipe whose end of file says that all are gone."""

AGREES = """
enough = 1
chief = pathlib.Path(folder / "0.pid")
if rank == "0":
    chief.write_text(str(os.getpid()))
    while len(heard) < enough:
        time.sleep(0.005)
    time.sleep(0.3)
    sys.exit(128 + heard[0])
while True:
    time.sleep(0.005)
    try:
        os.kill(int(chief.read_text() or "1"), 0)
    except FileNotFoundError:
        pass
    except ProcessLookupError:
        sys.exit(143)
"""
"""The chief takes a while to leave; the others leave after it, as if they had agreed."""


class Launched:
    """A launcher in a process of its own, and in a group of its own with its workers.

    Args:
        window: Seconds within which a signal counts once.
        patience: Seconds that workers get after a failure.
    """

    def __init__(self, started: Start, folder: Path, script: str, window: float = 0.05, patience: float = 600) -> None:
        self._folder = folder
        os.mkfifo(folder / "life")
        command = [sys.executable, "-c", LAUNCHER, str(folder), WORKER + script, str(window), str(patience)]
        self.process = started(command, start_new_session=True, stderr=subprocess.PIPE)
        self._life = (folder / "life").open(encoding="utf-8")
        assert sorted(self._life.readline() for _ in range(3)) == ["0\n", "1\n", "2\n"]

    def wait_until_all_are_gone(self) -> None:
        """Wait for the end of the last worker."""
        assert self._life.read() == ""
        self._life.close()

    def heard(self) -> list[str]:
        """Return who heard a signal, "0.1" for the first one that the chief heard."""
        return sorted(path.name.removesuffix(".heard") for path in self._folder.glob("*.heard"))

    def end(self) -> tuple[int, str]:
        """Return the launcher's exit code and what it printed."""
        assert self.process.stderr is not None
        errors = self.process.stderr.read()
        self.wait_until_all_are_gone()
        return self.process.wait(), errors


@pytest.mark.parametrize("name", ["SIGINT", "SIGHUP"])
def test_a_signal_to_the_launcher_reaches_the_chief(name: str, tmp_path: Path, started: Start) -> None:
    """And only the chief; all leave in peace, nothing is tried again, the exit code says which signal it was."""
    launched = Launched(started, tmp_path, AGREES)
    launched.process.send_signal(getattr(signal, name))
    assert launched.end() == (128 + getattr(signal, name), "")
    assert launched.heard() == ["0.1"]


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_a_signal_to_all_is_not_doubled(name: str, tmp_path: Path, started: Start) -> None:
    """As Ctrl-C sends it, and `timeout`, and a shell whose terminal closes."""
    launched = Launched(started, tmp_path, AGREES)
    os.killpg(launched.process.pid, getattr(signal, name))
    assert launched.end() == (128 + getattr(signal, name), "")
    assert launched.heard() == ["0.1", "1.1", "2.1"]


@pytest.mark.parametrize(("window", "second"), [(3600.0, None), (0.0, signal.SIGTERM)])
def test_the_same_signal_counts_once_in_a_moment(
    window: float, second: signal.Signals | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`timeout` sends it twice; another one, and a later one, is a second request."""
    monkeypatch.setattr(stop_signals, "WINDOW", window)
    with stop_signals.StopSignals() as stop:
        for _ in range(2):
            os.kill(os.getpid(), signal.SIGTERM)
            stop.wait([], 0)
        assert (stop.first, stop.second) == (signal.SIGTERM, second)
        os.kill(os.getpid(), signal.SIGINT)
        stop.wait([], 0)
        assert (stop.first, stop.second) == (signal.SIGTERM, signal.SIGINT)


@pytest.mark.parametrize(
    ("script", "patience"), [(AGREES.replace("enough = 1", "enough = 2"), 600), ("while True: time.sleep(3600)", 0)]
)
def test_a_second_signal_ends_all_at_once(script: str, patience: int, tmp_path: Path, started: Start) -> None:
    """The chief hears it, too; whoever does not obey is killed."""
    launched = Launched(started, tmp_path, script, patience=patience)
    launched.process.send_signal(signal.SIGTERM)
    while launched.heard() != ["0.1"]:
        assert launched.process.poll() is None
        time.sleep(0.005)
    launched.process.send_signal(signal.SIGTERM)
    assert launched.end() == (143, "")
    assert launched.heard() == ["0.1", "0.2"] or patience == 0


@pytest.mark.parametrize(
    "script",
    [
        'os.read(int(os.environ["CNNCLI_LAUNCHER_FD"]), 1)',
        "from cnncli.workers import parent\nparent.watch()\ntime.sleep(3600)",
    ],
)
def test_no_worker_outlives_a_killed_launcher(script: str, tmp_path: Path, started: Start) -> None:
    """Its end of the pipe is nobody else's: the first workers only look at that."""
    launched = Launched(started, tmp_path, script)
    launched.process.kill()
    launched.wait_until_all_are_gone()
