"""Workers are started together, none outlives the others for long, and the first cause is what the user sees."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from cnncli.errors import CnnError
from cnncli.runs import environment
from cnncli.runs.run import Run
from cnncli.workers import launcher, processes
from cnncli.workers.launcher import PEER_LOST, PORT_TAKEN, Command, WorkerError, launch
from cnncli.workers.logs import kept
from cnncli.workers.processes import End
from cnncli.workers.stop_signals import StopSignals

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the launcher refuses Windows")

WORKER = """
import os, pathlib, signal, sys, time
folder, rank = pathlib.Path(sys.argv[1]), int(sys.argv[-1])
signal.signal(signal.SIGALRM, lambda *_: ((folder / "too late").touch(), os._exit(1)))
signal.alarm(300)  # No test waits for ever.
(folder / f"{rank}.{os.getpid()}.started").write_text(" ".join(sys.argv[2:]))
attempt = len(list(folder.glob(f"{rank}.*.started")))

def wait_for(is_there):
    while not is_there():
        time.sleep(0.005)

def end_of(other, number=None):
    "Wait until the launcher has seen that another worker ended."
    def is_gone():
        started = sorted(folder.glob(f"{other}.*.started"), key=lambda path: path.stat().st_mtime_ns)
        if len(started) < (number or attempt):
            return False
        try:
            os.kill(int(started[-1].name.split(".")[1]), 0)
        except ProcessLookupError:
            return True
    wait_for(is_gone)

def die():
    os.kill(os.getpid(), signal.SIGKILL)

def make_run(name="20260101-000000"):
    run = folder / "runs" / "digits" / name
    run.mkdir(parents=True, exist_ok=True)
    (run / "run.json").write_text("{}")
    os.write(int(os.environ["CNNCLI_RUN_FD"]), os.fsencode(run) + b"\\n")
    return run
"""
"""What all fake workers begin with; the first argument is a folder, and each start leaves a file with the others."""


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """Give workers of a slow machine time; the tests of what is killed take it away."""
    monkeypatch.setattr(processes, "PATIENCE", 600.0)
    monkeypatch.setattr(processes, "STOPPING_PATIENCE", 600.0)
    yield
    assert not (tmp_path / "too late").exists()


def make_command(folder: Path, script: str, workers: int = 2, **options: Any) -> tuple[Command, list[str]]:
    """Return a command whose workers run a script, and what it tells."""
    told: list[str] = []
    program = [sys.executable, "-I", "-S", "-c", WORKER + script, str(folder)]
    command = Command(
        arguments=["train", "digits"],
        workers=workers,
        runs_dir=folder / "runs",
        resume=lambda run: ["resume", str(run)],
        tell=told.append,
        **{"program": program, **options},
    )
    return command, told


def starts(folder: Path, rank: int = 0) -> list[str]:
    """Return the arguments of each start of a worker."""
    paths = sorted(folder.glob(f"{rank}.*.started"), key=lambda path: path.stat().st_mtime_ns)
    return [path.read_text(encoding="utf-8") for path in paths]


def test_all_workers_know_all_addresses(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """The chief prints on our stdout, the others in logs of their run, a second run beside the first."""
    script = "print(f'worker {rank}')\nif rank == 0: make_run(sys.argv[3])"
    for name in ("20260101-000000", "20260101-000001"):
        command, told = make_command(tmp_path, script, 4)
        assert launch(Command(**{**vars(command), "arguments": ["train", name]})) == 0
        assert told == []
        run = tmp_path / "runs" / "digits" / name
        logs = {path.name: path.read_text(encoding="utf-8") for path in (run / "workers").iterdir()}
        assert logs.keys() == {"1.log", "2.log", "3.log"}
        for rank in (1, 2, 3):
            heading, line = logs[f"{rank}.log"].splitlines()
            assert heading.startswith(f"=== worker {rank}, attempt 1, ")
            assert line == f"worker {rank}"
    assert capfd.readouterr().out == "worker 0\nworker 0\n"
    assert [path.name for path in (tmp_path / "runs").iterdir()] == ["digits"]
    each = [starts(tmp_path, rank)[0].split() for rank in range(4)]
    assert [arguments[-2:] for arguments in each] == [["--rank", str(rank)] for rank in range(4)]
    assert {tuple(arguments[:-2]) for arguments in each} == {("train", "20260101-000000", "--cluster", each[0][3])}
    hosts = [address.rpartition(":") for address in each[0][3].split(",")]
    assert [host for host, _, _ in hosts] == 4 * ["127.0.0.1"]
    assert len({port for _, _, port in hosts}) == 4


def test_the_run_records_what_the_user_typed(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not the addresses that the launcher chose."""
    monkeypatch.setattr(sys, "argv", ["cnn", "train", "my digits", "--workers", "2"])
    typed = "cnn train 'my digits' --workers 2"
    script = "import os; print(os.environ['CNNCLI_COMMAND'])"
    assert launch(make_command(tmp_path, script)[0]) == 0
    assert capfd.readouterr().out == f"{typed}\n"
    monkeypatch.setattr(sys, "argv", ["cnn", "train", "my digits", "--cluster", "a:1,b:2", "--rank", "0"])
    monkeypatch.setenv("CNNCLI_COMMAND", typed)
    assert environment.command() == typed


def test_a_death_is_told_with_its_signal(tmp_path: Path) -> None:
    """Not those who lost the dead one, though they speak first; with the log's end and the command to go on."""
    script = f"""
if rank == 0:
    make_run()
if rank == 2:
    print("in the middle of it", flush=True)
    end_of(1)
    die()
sys.exit({PEER_LOST}) if rank == 1 else end_of(2)
sys.exit({PEER_LOST})
"""
    command, told = make_command(tmp_path, script, 4)
    with pytest.raises(WorkerError) as caught:
        launch(command)
    run = tmp_path / "runs" / "digits" / "20260101-000000"
    assert caught.value.message == "worker 2 died of SIGKILL (the system may have been out of memory)"
    assert caught.value.hint == f"Continue with: cnn resume {run} --workers 4"
    assert caught.value.exit_code == 137
    assert told == [f"worker 2 ended first ({run / 'workers' / '2.log'}):\nin the middle of it"]
    assert len(starts(tmp_path)) == 1


def test_of_those_that_ended_together_a_signal_was_first(tmp_path: Path) -> None:
    """Who dies of one follows from no other."""
    with StopSignals() as stop, kept(tmp_path / "runs", None) as logs:
        command, _ = make_command(tmp_path, "die() if rank == 2 else sys.exit(70)", 3)
        with processes.running([*command.program, *command.arguments], 3, logs, 1) as workers:
            while len(paths := list(tmp_path.glob("*.started"))) < 3:
                time.sleep(0.005)
            for path in paths:
                os.waitid(os.P_PID, int(path.name.split(".")[1]), os.WEXITED | os.WNOWAIT)
            ends = workers.wait(stop)
    assert ends == (End(2, -signal.SIGKILL), End(0, 70), End(1, 70))


def test_a_known_error_ends_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The others are killed though they do not listen, and the error is shown whole; it is not tried again."""
    monkeypatch.setattr(processes, "PATIENCE", 0.05)
    script = """
signal.signal(signal.SIGTERM, signal.SIG_IGN)
if rank == 1:
    print("loading\\nerror: photos/3.png: it is damaged\\n  Remove it.", file=sys.stderr)
    sys.exit(1)
time.sleep(3600)
"""
    command, told = make_command(tmp_path, script, 3, restarts=3)
    assert launch(command) == 1
    assert told == ["worker 1 ended first:\nerror: photos/3.png: it is damaged\n  Remove it."]
    assert len(starts(tmp_path)) == 1
    assert not (tmp_path / "runs").exists()


def test_an_error_of_all_is_shown_once(tmp_path: Path) -> None:
    """By the chief, on the screen: though another one ended before."""
    script = "end_of(1) if rank == 0 else None\nprint('error: no such layer', file=sys.stderr)\nsys.exit(1)"
    command, told = make_command(tmp_path, script, 3)
    assert launch(command) == 1
    assert told == []


def test_the_chief_dies(tmp_path: Path) -> None:
    """Its output is on the screen; its exit code is the command's, and before there is a run nothing goes on."""
    script = f"sys.exit(70) if rank == 0 else end_of(0)\nsys.exit({PEER_LOST})"
    command, told = make_command(tmp_path, script)
    with pytest.raises(WorkerError, match=r"^worker 0 ended with exit code 70$") as caught:
        launch(command)
    assert (caught.value.exit_code, caught.value.hint, told) == (70, None, [])


def test_all_lost_each_other(tmp_path: Path) -> None:
    """No worker is blamed, and it is tried again."""
    command, told = make_command(tmp_path, f"sys.exit({PEER_LOST})", restarts=1)
    with pytest.raises(WorkerError, match=r"^all workers lost each other$") as caught:
        launch(command)
    assert caught.value.exit_code == PEER_LOST
    assert told == ["all workers lost each other; starting over (restart 1 of 1)"]
    assert len(starts(tmp_path)) == 2


@pytest.mark.parametrize(
    ("frozen", "message"),
    [
        ((1,), "worker 1 no longer answered and was killed"),
        ((0, 1, 3), "workers 0, 1 and 3 no longer answered and were killed"),
    ],
)
def test_frozen_workers_are_killed_and_named(
    frozen: tuple[int, ...], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another one has noticed that they do not answer."""
    monkeypatch.setattr(processes, "PATIENCE", 0.0)
    script = f"""
if rank in {frozen}:
    (folder / f"{{rank}}.frozen").touch()
    os.kill(os.getpid(), signal.SIGSTOP)
wait_for(lambda: len(list(folder.glob("*.frozen"))) == {len(frozen)})
sys.exit({PEER_LOST})
"""
    command, _ = make_command(tmp_path, script, len(frozen) + 1)
    with pytest.raises(WorkerError) as caught:
        launch(command)
    assert (caught.value.message, caught.value.exit_code) == (message, PEER_LOST)


def test_a_death_is_the_cause_of_the_error_that_follows(tmp_path: Path) -> None:
    """Also where that is the chief's: another attempt is made."""
    command, told = make_command(
        tmp_path, "if attempt == 1: end_of(1) if rank == 0 else die()\nsys.exit(2 - attempt)", restarts=1
    )
    assert launch(command) == 0
    assert len(told) == 1
    assert "worker 1 died of SIGKILL" in told[0]


def test_a_restart_resumes_the_run(tmp_path: Path) -> None:
    """With one note, new addresses for all, and logs that go on."""
    script = f"""
print("output", attempt, flush=True)
if rank == 0:
    make_run()
    (folder / "made").touch()
    if attempt < 3:
        end_of(1)
        sys.exit({PEER_LOST})
elif attempt < 3:
    wait_for((folder / "made").exists)
    die()
"""
    command, told = make_command(tmp_path, script, restarts=3)
    run = tmp_path / "runs" / "digits" / "20260101-000000"
    assert launch(command) == 0
    note = "worker 1 died of SIGKILL (the system may have been out of memory); going on with"
    assert told == [f"{note} {run} (restart {number} of 3)" for number in (1, 2)]
    assert [line.partition(" --cluster")[0] for line in starts(tmp_path)] == ["train digits", *2 * [f"resume {run}"]]
    lines = (run / "workers" / "1.log").read_text(encoding="utf-8").splitlines()
    assert [line.partition(", 2")[0] for line in lines] == [
        text for n in (1, 2, 3) for text in (f"=== worker 1, attempt {n}", f"output {n}")
    ]


def test_a_restart_before_the_run_begins_anew(tmp_path: Path) -> None:
    """And ends with the error of the last attempt when there were enough."""
    script = f"end_of(1) if rank == 0 else die()\nsys.exit({PEER_LOST})"
    command, told = make_command(tmp_path, script, restarts=2)
    with pytest.raises(WorkerError, match="worker 1 died of SIGKILL"):
        launch(command)
    assert [line.partition(" --cluster")[0] for line in starts(tmp_path)] == 3 * ["train digits"]
    assert [note.rpartition("; ")[2] for note in told[:-1]] == [
        f"starting over (restart {number} of 2)" for number in (1, 2)
    ]


@pytest.mark.parametrize(
    ("end", "code"),
    [
        ("sys.exit(1)", 1),
        ("sys.exit(2)", 2),
        ("sys.exit(130)", 130),
        ("sys.exit(143)", 143),
        ("os.kill(os.getpid(), signal.SIGTERM)", 143),
    ],
)
@pytest.mark.parametrize("rank", [0, 1])
def test_what_is_not_tried_again(end: str, code: int, rank: int, tmp_path: Path) -> None:
    """An error of the user's, and a signal that asked to stop, even before the worker listened."""
    script = f"if rank == {rank}: {end}\nend_of({rank})\nsys.exit({PEER_LOST})"
    command, _ = make_command(tmp_path, script, restarts=3)
    assert launch(command) == code
    assert len(starts(tmp_path)) == 1


def test_a_chief_that_stops_has_time_for_its_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """More than after a death."""
    monkeypatch.setattr(processes, "PATIENCE", 0.0)
    script = """
if rank == 0:
    end_of(1)
    time.sleep(0.1)
    (folder / "checkpoint").touch()
sys.exit(143)
"""
    assert launch(make_command(tmp_path, script)[0]) == 143
    assert (tmp_path / "checkpoint").exists()


def test_a_taken_port_is_no_restart(tmp_path: Path) -> None:
    """Others are tried; the run that there may be goes on."""
    script = f"""
if rank == 0 and attempt == 2:
    make_run()
if attempt < 3:
    sys.exit({PORT_TAKEN}) if rank == 1 else end_of(1)
    sys.exit({PEER_LOST})
"""
    command, told = make_command(tmp_path, script)
    assert launch(command) == 0
    assert told == ["another program has taken a port in the meantime; starting with other ports"] * 2
    run = tmp_path / "runs" / "digits" / "20260101-000000"
    commands = [line.partition(" --cluster")[0] for line in starts(tmp_path)]
    assert commands == ["train digits", "train digits", f"resume {run}"]


def test_ports_that_are_always_taken_are_an_error(tmp_path: Path) -> None:
    """After five others."""
    command, _ = make_command(tmp_path, f"sys.exit({PORT_TAKEN})", 1, restarts=3)
    with pytest.raises(CnnError, match="6 times another program took a port"):
        launch(command)
    assert len(starts(tmp_path)) == 6


def test_a_done_chief_is_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever becomes of the others: one that dies is told, one that lost it is not, one that hangs is killed."""
    monkeypatch.setattr(processes, "STOPPING_PATIENCE", 0.0)
    script = """
if rank == 0:
    wait_for((folder / "ready").exists)
    end_of(1)
    end_of(2)
    sys.exit(0)
wait_for(lambda: len(list(folder.glob("*.started"))) == 4)
if rank == 3:
    (folder / "ready").touch()
    time.sleep(3600)
"""
    command, told = make_command(tmp_path, script, 4)
    assert launch(command) == 0
    assert told == []
    monkeypatch.setattr(processes, "STOPPING_PATIENCE", 600.0)
    script = f"if rank: end_of(0, 2)\nif rank == 1: die()\nif rank == 2: sys.exit({PEER_LOST})"
    command, told = make_command(tmp_path, script, 3)
    assert launch(command) == 0
    assert told == ["the run is done, though worker 1 died of SIGKILL (the system may have been out of memory)"]


def test_a_run_that_is_resumed_is_known_from_the_start(tmp_path: Path) -> None:
    """Its logs lie in it at once, and a death before the chief has told of it resumes it."""
    run = Run.create(tmp_path / "runs", "digits", "").path
    script = "if attempt == 1: die()"
    command, told = make_command(tmp_path, script, 2, run=run, restarts=1)
    assert launch(Command(**{**vars(command), "arguments": ["resume", str(run), "--set", "train.epochs=3"]})) == 0
    assert f"going on with {run} (restart 1 of 1)" in told[0]
    assert [path.name for path in (run / "workers").iterdir()] == ["1.log"]


def test_a_program_that_cannot_be_started_leaves_nothing(tmp_path: Path) -> None:
    """One error of the system's; signals do what they did before."""
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGCHLD)]
    with pytest.raises(FileNotFoundError):
        launch(make_command(tmp_path, "", program=[str(tmp_path / "none")])[0])
    assert list(tmp_path.iterdir()) == []
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGCHLD)] == before
    assert signal.set_wakeup_fd(-1) == -1


def test_windows_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With what to do instead."""
    monkeypatch.setattr(launcher, "os", SimpleNamespace(name="nt"))
    with pytest.raises(CnnError, match="which Windows does not let them") as caught:
        launch(make_command(tmp_path, "")[0])
    assert caught.value.hint is not None
    assert "--rank" in caught.value.hint


def test_the_launcher_imports_no_engine() -> None:
    """It waits in a few megabytes."""
    code = "import sys, cnncli.workers.launcher\nprint(sorted({'tensorflow', 'keras', 'numpy'} & sys.modules.keys()))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
