"""One command on several workers of this machine: started, watched, and started again where one of them died."""

from __future__ import annotations

import os
import shlex
import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from cnncli.errors import CnnError
from cnncli.interrupts import show_cursor
from cnncli.runs.process import PROGRAM
from cnncli.runs.run import Run
from cnncli.workers.logs import Logs, kept
from cnncli.workers.processes import CHIEF, STOPPED, End, running
from cnncli.workers.stop_signals import StopSignals

PEER_LOST = 75
"""Exit code of a worker that lost another one: nothing is wrong with itself."""

PORT_TAKEN = 76
"""Exit code of a worker whose port another program took after the launcher had found it free."""

MOST_PORTS_TAKEN = 5
"""Times that other ports are tried."""

KNOWN = (1, 2)
"""Exit codes of errors that the same command would meet again: the user's to mend, or a bug with its traceback."""


class WorkerError(CnnError):
    """A worker that died, or no longer answered.

    Args:
        message: Which one, and how.
        hint: How to go on.
        exit_code: As a shell gives it: 128 and the signal, or the worker's own.
    """

    def __init__(self, message: str, hint: str | None, exit_code: int) -> None:
        super().__init__(message, hint)
        self.exit_code = exit_code


@dataclass(frozen=True)
class Command:
    """A command for several workers.

    Attributes:
        arguments: The command's arguments, ["train", "digits_lenet"]; the launcher adds `--cluster` and `--rank`.
        workers: Number of workers.
        runs_dir: Folder of all runs.
        resume: Returns the arguments that resume a run, given its path.
        tell: Told what a user should read, a line or several; the chief says all else.
        run: Path of the run that `arguments` resume; None where they make a new one.
        restarts: How often all are started again after one died.
        program: What is started with the arguments.
    """

    arguments: Sequence[str]
    workers: int
    runs_dir: Path
    resume: Callable[[Path], Sequence[str]]
    tell: Callable[[str], None]
    run: Path | None = None
    restarts: int = 0
    program: Sequence[str] = PROGRAM


def launch(command: Command) -> int:
    """Run a command on several workers of this machine, and return its exit code.

    The chief has this process's stdin, stdout and stderr; the others write to logs, which lie in the run's folder
    `workers` as soon as there is one. Only the main thread may call this: it listens to signals.

    Args:
        command: The command.

    Returns:
        0; 1 or 2 after an error that has been shown; 128 and the signal where one asked to stop.

    Raises:
        WorkerError: If a worker died, and that more often than `command.restarts`.
        CnnError: If ports are taken again and again, or this is Windows.
        OSError: If the system refuses to start a process, or the disk a log.
    """
    if os.name == "nt":
        hint = "Start each by hand, with --cluster HOST:PORT,… and --rank I."
        raise CnnError("--workers needs a system whose processes inherit pipes, which Windows does not let them", hint)
    with StopSignals() as stop, kept(command.runs_dir, command.run) as logs:
        return _Launcher(command, stop, logs).run()


class _Launcher:
    """The attempts at one command."""

    def __init__(self, command: Command, stop: StopSignals, logs: Logs) -> None:
        self._command, self._stop, self._logs = command, stop, logs
        self._run = command.run
        self._restarts = self._ports_taken = 0

    def run(self) -> int:
        """Make attempts until one needs no other; return the exit code."""
        arguments = self._command.arguments
        for attempt in count(1):
            code = self._code(self._attempt(arguments, attempt))
            if code is not None:
                return code
            if self._run is not None:
                arguments = self._command.resume(self._run)
        raise AssertionError

    def _attempt(self, arguments: Sequence[str], attempt: int) -> tuple[End, ...]:
        with running([*self._command.program, *arguments], self._command.workers, self._logs, attempt) as workers:
            ends = workers.wait(self._stop)
        if workers.run is not None and Run(workers.run).record_file.is_file():
            self._run = workers.run
        if _end_of(CHIEF, ends).code < 0:
            show_cursor()
        return ends

    def _code(self, ends: tuple[End, ...]) -> int | None:
        """Return the command's exit code after an attempt; None if there is to be another one.

        Raises:
            CnnError: As `launch`.
        """
        if _end_of(CHIEF, ends).code == 0:
            self._tell_failures(ends)
            return 0
        cause = _cause(ends)
        if cause is not None and cause.code in KNOWN:
            self._show_log(cause)
            return cause.code
        if cause is not None and cause.code in STOPPED:
            return cause.code
        if self._stop.first is not None:
            return 128 + self._stop.first
        if cause is not None and cause.code == PORT_TAKEN:
            self._count_taken_port()
        else:
            self._count_death(cause, ends)
        return None

    def _count_taken_port(self) -> None:
        self._ports_taken += 1
        if self._ports_taken > MOST_PORTS_TAKEN:
            raise CnnError(f"{self._ports_taken} times another program took a port that had just been free")
        self._command.tell("another program has taken a port in the meantime; starting with other ports")

    def _count_death(self, cause: End | None, ends: tuple[End, ...]) -> None:
        """Say that all are started again; raise WorkerError if that has been done often enough."""
        message = _lost(ends) if cause is None else _description(cause)
        if self._restarts < self._command.restarts:
            self._restarts += 1
            begin = "starting over" if self._run is None else f"going on with {self._run}"
            self._command.tell(f"{message}; {begin} (restart {self._restarts} of {self._command.restarts})")
            return
        if cause is None:
            raise WorkerError(message, self._how_to_go_on(), PEER_LOST)
        self._show_log(cause)
        raise WorkerError(message, self._how_to_go_on(), 128 - cause.code if cause.code < 0 else cause.code)

    def _how_to_go_on(self) -> str | None:
        if self._run is None:
            return None
        return f"Continue with: cnn resume {shlex.quote(str(self._run))} --workers {self._command.workers}"

    def _tell_failures(self, ends: tuple[End, ...]) -> None:
        """Say which workers failed though the chief is done."""
        for end in ends:
            if end.code not in (0, PEER_LOST) and end.code not in STOPPED and not end.is_killed:
                self._command.tell(f"the run is done, though {_description(end)}")

    def _show_log(self, end: End) -> None:
        """Show the error with which a worker ended; the chief's own is on the screen already."""
        if end.rank == CHIEF:
            return
        where = "" if self._run is None else f" ({self._logs.path(end.rank)})"
        text = self._logs.last_error(end.rank)
        self._command.tell(f"worker {end.rank} ended first{where}:\n{text}" if text else f"{_description(end)}{where}")


def _end_of(rank: int, ends: tuple[End, ...]) -> End:
    return next(end for end in ends if end.rank == rank)


def _cause(ends: tuple[End, ...]) -> End | None:
    """Return the end that the others followed from; None where no worker knows of anything but others that are lost.

    An error that all workers meet is the chief's: its own output says it.
    """
    first = next((end for end in ends if end.code not in (0, PEER_LOST) and not end.is_killed), None)
    chief = _end_of(CHIEF, ends)
    if first is not None and first.code in (*KNOWN, *STOPPED) and chief.code in KNOWN:
        return chief
    return first


def _description(end: End) -> str:
    """Say how a worker ended."""
    if end.code >= 0:
        return f"worker {end.rank} ended with exit code {end.code}"
    name = signal.Signals(-end.code).name if -end.code in set(signal.Signals) else f"signal {-end.code}"
    reason = " (the system may have been out of memory)" if end.code == -signal.SIGKILL else ""
    return f"worker {end.rank} died of {name}{reason}"


def _lost(ends: tuple[End, ...]) -> str:
    """Say which workers the others have lost, though none of them died by itself."""
    killed = sorted(end.rank for end in ends if end.is_killed)
    if not killed:
        return "all workers lost each other"
    if len(killed) == 1:
        return f"worker {killed[0]} no longer answered and was killed"
    *others, last = map(str, killed)
    return f"workers {', '.join(others)} and {last} no longer answered and were killed"
