"""What happens around a training: its terminal goes, it is suspended, the clock jumps, disks are full or missing."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
import time
from datetime import datetime, timedelta, tzinfo
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "faults"))
import forked

from cnncli.runs.find import find
from cnncli.runs.run import Run

pytestmark = [pytest.mark.engine, pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals and terminals")]

GUARD = 300
CONFIG = """
name: net
data: {source: digits, image_size: [8, 8], channels: 1}
model:
  layers: [{Conv2D: {filters: 2, kernel_size: 3}}, {Dropout: {rate: 0.2}}, Flatten, {Dense: {units: 10}}]
train: {epochs: EPOCHS, batch_size: 64}
"""


def trained(folder: Path, epochs: int) -> Run:
    """Train in this process."""
    from typer.testing import CliRunner

    from cnncli.cli.app import app

    (folder / "net.yaml").write_text(CONFIG.replace("EPOCHS", str(epochs)), encoding="utf-8")
    done = CliRunner().invoke(app, ["train", str(folder / "net.yaml"), "--runs-dir", str(folder / "runs")])
    assert done.exit_code == 0, done.output
    return Run.open(Path(done.stdout.splitlines()[-1]))


def start(folder: Path, epochs: int, **options: object) -> subprocess.Popen[bytes]:
    """Start a training in a process of its own."""
    (folder / "net.yaml").write_text(CONFIG.replace("EPOCHS", str(epochs)), encoding="utf-8")
    command = [sys.executable, "-m", "cnncli", "train", "net.yaml"]
    return subprocess.Popen(command, cwd=folder, start_new_session=True, **options)  # type: ignore[call-overload]


def wait_for_epoch(folder: Path, process: subprocess.Popen[bytes], epoch: int) -> Run:
    """Wait until an epoch's metrics are written."""
    while process.poll() is None:
        for path in folder.glob("runs/net/2*"):
            if len(Run.open(path).metrics()) >= epoch:
                return Run.open(path)
        time.sleep(0.01)
    raise AssertionError(f"ended with {process.returncode}")


def test_a_terminal_that_goes(tmp_path: Path) -> None:
    """The training stops with a checkpoint, though nothing can be printed any more."""
    master, slave = pty.openpty()
    process = start(tmp_path, 5000, stdin=slave, stdout=slave, stderr=slave, preexec_fn=lambda: _own(slave))
    os.close(slave)
    run = wait_for_epoch(tmp_path, process, 1)
    os.close(master)
    # 1 where the run's path could not be printed any more.
    assert process.wait(GUARD) in (1, 128 + signal.SIGHUP)
    assert run.status == "interrupted"
    newest = run.checkpoints.latest()
    assert newest is not None
    assert newest.meta["progress"]["step"] == newest.step > 0


def _own(terminal: int) -> None:
    """Make a terminal the controlling one of this session, whose end is heard though `nohup` runs the tests."""
    import fcntl
    import termios

    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    fcntl.ioctl(terminal, termios.TIOCSCTTY, 0)


def test_suspended_with_a_full_log_and_a_full_temporary_folder(tmp_path: Path) -> None:
    """With SIGHUP under `nohup`, a stderr that takes nothing, no TMPDIR: the weights are those of a quiet training."""
    (tmp_path / "disturbed").mkdir()
    environment = {**os.environ, "TMPDIR": str(tmp_path / "missing")}
    with Path("/dev/full").open("wb") as full:
        process = start(
            tmp_path / "disturbed",
            40,
            stdout=subprocess.DEVNULL,
            stderr=full,
            env=environment,
            preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN),
        )
    run = wait_for_epoch(tmp_path / "disturbed", process, 2)
    process.send_signal(signal.SIGHUP)
    process.send_signal(signal.SIGTSTP)
    time.sleep(0.2)
    process.send_signal(signal.SIGCONT)
    assert process.wait(GUARD) == 0
    # In a process of its own too: the tests before have left this one with other settings.
    (tmp_path / "net.yaml").write_text(CONFIG.replace("EPOCHS", "40"), encoding="utf-8")
    quiet = forked.run(forked.CNN, "train", "net.yaml", cwd=tmp_path)
    assert quiet.returncode == 0, quiet.stderr
    (undisturbed,) = (Run.open(path) for path in tmp_path.glob("runs/net/2*"))
    expected = undisturbed.checkpoints.latest()
    found = run.checkpoints.latest()
    assert expected is not None
    assert found is not None
    assert {name: array.tobytes() for name, array in found.arrays.items()} == {
        name: array.tobytes() for name, array in expected.arrays.items()
    }


def test_processor_time_that_is_used_up(tmp_path: Path) -> None:
    """At the limit that the system warns of the training stops with a checkpoint; later warnings change nothing."""
    import resource

    process = start(tmp_path, 5000, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    run = wait_for_epoch(tmp_path, process, 1)
    # Below what it has used: it is told within a second, and then after each further one.
    resource.prlimit(process.pid, resource.RLIMIT_CPU, (1, resource.RLIM_INFINITY))
    printed = process.communicate(timeout=GUARD)[0].decode()
    assert process.returncode == 128 + signal.SIGXCPU, printed
    assert "The limit on processor time is reached: stopping after the current steps, with a checkpoint." in printed
    assert f"Continue with: cnn resume {run.path.relative_to(tmp_path)}" in printed
    assert run.status == "interrupted"
    newest = run.checkpoints.latest()
    assert newest is not None
    assert newest.meta["progress"]["step"] == newest.step > 0


LIMITED = """
import resource, time
from cnncli.engine.training.signals import StopRequest
from cnncli.resources import warned_of_processor_limit

limit = int(time.process_time()) + 6
resource.setrlimit(resource.RLIMIT_CPU, (limit, limit))
with StopRequest(print) as stop, warned_of_processor_limit():
    while stop.signal is None:
        pass
    used = time.process_time()
    while time.process_time() < used + 1.5:
        pass
print(stop.signal.name, used < limit - 1, resource.getrlimit(resource.RLIMIT_CPU) == (limit, limit))
"""
"""Computes until the limit is told, and on past the next warning."""


def test_a_limit_on_processor_time_that_kills_is_told_before() -> None:
    """`ulimit -t 6`: the system itself would kill without a word; it is told in time, and as it was afterwards."""
    done = subprocess.run([sys.executable, "-c", LIMITED], capture_output=True, text=True, check=False)
    told, after = done.stdout.splitlines()
    assert told.startswith("The limit on processor time is reached")
    assert (after, done.returncode) == ("SIGXCPU True True", 0)


def test_a_clock_that_jumps_back_a_day(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs stay apart, the latest is the one that began last by its own clock, and no duration is negative."""
    first = trained(tmp_path, 1)

    class Yesterday(datetime):
        """A clock that is a day slow."""

        @classmethod
        def now(cls, tz: tzinfo | None = None) -> datetime:
            return datetime.now(tz) - timedelta(days=1)

    now = time.time
    monkeypatch.setattr(time, "time", lambda: now() - 86_400)
    monkeypatch.setattr("cnncli.runs.run.datetime", Yesterday)
    second = trained(tmp_path, 2)
    assert second.started < first.started
    assert find("latest", tmp_path / "runs").path == first.path
    assert (first.status, second.status) == ("done", "done")
    assert all(line["seconds"] >= 0 for line in second.metrics())
