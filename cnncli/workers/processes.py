"""The worker processes of one attempt: started together, and none of them outlives the others for long."""

from __future__ import annotations

import math
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from io import FileIO
from pathlib import Path

from cnncli.interrupts import SIGNALS
from cnncli.runs.environment import COMMAND_VARIABLE
from cnncli.runs.environment import command as user_command
from cnncli.workers.logs import Logs
from cnncli.workers.parent import LAUNCHER_VARIABLE, RUN_VARIABLE
from cnncli.workers.stop_signals import StopSignals

CHIEF = 0
"""Rank of the worker that owns the run's directory, the terminal and the command's output."""

GPUS_VARIABLE = "CUDA_VISIBLE_DEVICES"

STOPPED = frozenset(128 + number for number in (*SIGNALS, *(getattr(signal, n, 0) for n in ("SIGHUP", "SIGXCPU"))))
"""Exit codes of a worker that a signal asked to stop."""

PATIENCE = 2.0
"""Seconds that the other workers get in all once one has failed, before they are killed."""

STOPPING_PATIENCE = 20.0
"""Seconds that they get where a worker was asked to stop: the chief writes a checkpoint. So long, too, after a chief
that is done: there is nothing left to do."""


@dataclass(frozen=True)
class End:
    """How a worker ended.

    Attributes:
        rank: Its rank.
        code: Its exit code; minus the number of the signal that it died of.
        is_killed: Whether the launcher killed it, for it did not end with the others.
    """

    rank: int
    code: int
    is_killed: bool = False


class WorkerProcesses:
    """The processes of one attempt.

    Attributes:
        run: Path of the run, once the chief has told it; else None.
    """

    def __init__(self, logs: Logs, run_pipe: FileIO) -> None:
        self.run: Path | None = None
        self._logs = logs
        self._run_pipe = run_pipe
        self._heard = b""
        self._running: dict[int, subprocess.Popen[bytes]] = {}
        self._killed: set[int] = set()
        self._is_hurried = False

    def start(self, command: Sequence[str], attempt: int, environment: dict[str, str]) -> None:
        """Start the next worker: the first one, the chief, has our terminal, each of the others a log.

        Raises:
            OSError: If the system refuses.
        """
        rank = len(self._running)
        pipes = [int(environment[name]) for name in (LAUNCHER_VARIABLE, RUN_VARIABLE) if name in environment]
        if rank == CHIEF:
            self._running[rank] = subprocess.Popen(command, env=environment, pass_fds=pipes)  # noqa: S603 - ourselves
            return
        with self._logs.open(rank, attempt) as log:
            self._running[rank] = subprocess.Popen(  # noqa: S603
                command,
                env=environment,
                pass_fds=pipes,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def wait(self, stop: StopSignals) -> tuple[End, ...]:
        """Return how all have ended, the first one first; those that do not end with the others are killed.

        Args:
            stop: The signals that ask to stop, which go on to the chief.
        """
        ends: list[End] = []
        deadline = math.inf
        while self._running:
            stop.wait([self._run_pipe], None if deadline == math.inf else deadline - time.monotonic())
            self._hear_run()
            new = self._ended()
            now = time.monotonic()
            deadline = min([deadline, now + self._forward(stop), *(now + _patience(end) for end in new)])
            ends += new
            if now >= deadline:
                self.kill()
                deadline = math.inf
        self._hear_run()
        return tuple(ends)

    def kill(self) -> None:
        """End all that still run by force."""
        for rank, process in self._running.items():
            if process.poll() is None:
                process.kill()
                self._killed.add(rank)

    def reap(self) -> None:
        """Wait for the last ones, after `kill`."""
        for process in self._running.values():
            process.wait()

    def _hear_run(self) -> None:
        self._heard += self._run_pipe.read() or b""
        if self.run is None and self._heard.endswith(b"\n"):
            self.run = Path(os.fsdecode(self._heard[:-1]))
            self._logs.move_to(self.run)

    def _ended(self) -> list[End]:
        """Return the ends not seen before; of several, those by a signal first: they follow from no other."""
        codes = {rank: code for rank, process in self._running.items() if (code := process.poll()) is not None}
        for rank in codes:
            del self._running[rank]
        ends = [self._end(rank, code) for rank, code in codes.items()]
        return sorted(ends, key=lambda end: end.code >= 0)

    def _end(self, rank: int, code: int) -> End:
        is_killed = rank in self._killed and code == -signal.SIGKILL
        # A worker that does not listen yet has done what a signal asks of it all the same.
        return End(rank, 128 - code if 128 - code in STOPPED else code, is_killed)

    def _forward(self, stop: StopSignals) -> float:
        """Hand signals on to the chief; return the seconds that all workers have from now on."""
        number, patience = stop.to_forward(), math.inf
        if stop.second is not None and not self._is_hurried:
            number, patience, self._is_hurried = stop.second, PATIENCE, True
        if number is not None and CHIEF in self._running:
            self._running[CHIEF].send_signal(number)
        return patience


@contextmanager
def running(command: Sequence[str], number: int, logs: Logs, attempt: int) -> Iterator[WorkerProcesses]:
    """Yield the workers of one attempt; those that still run when the block ends are killed.

    Args:
        command: What each of them runs; the addresses of all and its rank are added.
        number: How many there are.
        logs: Where all but the chief write to.
        attempt: Number of the attempt, from 1.

    Raises:
        OSError: If the system refuses to start one, or the disk a log.
    """
    addresses = ",".join(free_addresses(number))
    with pipe() as (launcher, _), pipe() as (run, told):
        os.set_blocking(run.fileno(), False)
        workers = WorkerProcesses(logs, run)
        environment = {
            **os.environ,
            LAUNCHER_VARIABLE: str(launcher.fileno()),
            COMMAND_VARIABLE: user_command(),
        }
        environment.pop(RUN_VARIABLE, None)
        try:
            for rank in range(number):
                reports = {RUN_VARIABLE: str(told.fileno())} if rank == CHIEF else {}
                reports |= gpu_of(rank, number, environment)
                full = [*command, "--cluster", addresses, "--rank", str(rank)]
                workers.start(full, attempt, {**environment, **reports})
            yield workers
        finally:
            workers.kill()
            workers.reap()


def gpu_of(rank: int, number: int, environment: Mapping[str, str], devices: Path = Path("/dev")) -> dict[str, str]:
    """Return the variable that shows a worker one GPU, where there are some: TensorFlow takes all that it sees.

    Args:
        rank: Number of the worker, from 0.
        number: Number of workers.
        environment: Variables of this process; CUDA_VISIBLE_DEVICES names the GPUs that it may use.
        devices: Where Linux has a file for each GPU.
    """
    gpus = visible_gpus(environment, devices)
    return {GPUS_VARIABLE: gpus[rank * len(gpus) // number]} if gpus else {}


def visible_gpus(environment: Mapping[str, str], devices: Path = Path("/dev")) -> list[str]:
    """Return the names of the GPUs that this process may use, as CUDA_VISIBLE_DEVICES takes them.

    Args:
        environment: As `gpu_of` takes it.
        devices: Likewise.
    """
    visible = environment.get(GPUS_VARIABLE)
    if visible is None:
        return [str(index) for index, _ in enumerate(devices.glob("nvidia[0-9]*"))]
    return [name for name in visible.split(",") if name.strip()]


def free_addresses(number: int) -> list[str]:
    """Return addresses of this machine, "127.0.0.1:PORT", whose ports were free a moment ago."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(number)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [f"127.0.0.1:{each.getsockname()[1]}" for each in sockets]


@contextmanager
def pipe() -> Iterator[tuple[FileIO, FileIO]]:
    """Yield the ends of a pipe, to read and to write; no process inherits them but by `pass_fds`."""
    read, write = os.pipe()
    with FileIO(read, "rb") as source, FileIO(write, "wb") as target:
        yield source, target


def _patience(end: End) -> float:
    """Return the seconds that the other workers get after one has ended."""
    if end.code == 0:
        return STOPPING_PATIENCE if end.rank == CHIEF else math.inf
    # Once the chief is gone, the others have nothing to wait for.
    return STOPPING_PATIENCE if end.code in STOPPED and end.rank != CHIEF else PATIENCE
