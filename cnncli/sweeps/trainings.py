"""The processes that train the trials of a sweep: they end with it, however it ends."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from io import FileIO

from cnncli.files import durable
from cnncli.files.read import open_file
from cnncli.runs.process import PROGRAM
from cnncli.sweeps.directory import Leg, TrialDirectory
from cnncli.workers.parent import LAUNCHER_VARIABLE
from cnncli.workers.processes import GPUS_VARIABLE, pipe, visible_gpus

LAST_BYTES = 2000
"""Bytes of a log's end that are shown with an error."""


@dataclass(frozen=True)
class Program:
    """What trains.

    Attributes:
        command: What is started, with the arguments of `cnn train` and `cnn resume`.
        processes: Most trainings at once.
        device: Where they train.
    """

    command: Sequence[str] = PROGRAM
    processes: int = 1
    device: str = "auto"

    @property
    def gpus(self) -> list[str]:
        """GPUs on which it trains, as CUDA_VISIBLE_DEVICES names them; none where it trains on the CPU."""
        return [] if self.device == "cpu" else visible_gpus(os.environ)

    def arguments(self, directory: TrialDirectory, leg: Leg) -> list[str]:
        """Return the command that begins one training of a trial, goes on with it, or measures the latency."""
        if leg.part is None:
            output = ["--output", str(directory.latency_file), "--device", self.device]
            return [*self.command, "bench", str(directory.config_file), *output, "--latency"]
        run = directory.run_of(leg.part)
        common = ["--runs-dir", str(directory.path.parent), "--device", self.device]
        common += [] if leg.stop_after is None else ["--stop-after", str(leg.stop_after)]
        if run is not None:
            return [*self.command, "resume", str(run.path), *common]
        sets = [argument for text in leg.part.overrides() for argument in ("--set", text)]
        return [*self.command, "train", str(directory.config_file), "--name", directory.path.name, *common, *sets]


@dataclass
class Training:
    """One training of a trial that runs now.

    Attributes:
        directory: The trial's folder.
        lock: Holds the trial.
        slot: Which of the processes at once it is, from 0.
        process: The process.
    """

    directory: TrialDirectory
    lock: FileIO
    slot: int
    process: subprocess.Popen[bytes]

    def last_words(self) -> str:
        """Return the end of the trial's log."""
        try:
            with open_file(self.directory.log_file, follow=False) as file:
                size = os.fstat(file.fileno()).st_size
                file.seek(max(0, size - LAST_BYTES))
                lines = file.read(LAST_BYTES).decode(errors="replace").splitlines()
        except OSError:
            return ""
        return "\n".join(lines[-6:])


class Launcher:
    """Starts trainings.

    Args:
        program: What trains.
        pipe: An open end of a pipe: the trainings end when its other end is closed.
    """

    def __init__(self, program: Program, pipe: int) -> None:
        self._program, self._pipe = program, pipe

    @property
    def takes_memory(self) -> bool:
        """Whether the network is in this machine's memory, not in that of a GPU."""
        return not self._program.gpus

    def _gpu(self, slot: int) -> dict[str, str]:
        """Return the variable that shows a training one GPU of several: TensorFlow takes all memory of all it sees."""
        gpus = self._program.gpus
        return {GPUS_VARIABLE: gpus[slot % len(gpus)]} if gpus else {}

    def start(self, directory: TrialDirectory, leg: Leg, lock: FileIO, slot: int) -> Training:
        """Start a training in the background, or the measurement after the last; the trial's log gets what it prints.

        Raises:
            OSError: If the system refuses.
        """
        environment = {**os.environ, LAUNCHER_VARIABLE: str(self._pipe)}
        with durable.reopen(directory.log_file) as log:
            process = subprocess.Popen(  # noqa: S603 - ourselves
                self._program.arguments(directory, leg),
                env={**environment, **self._gpu(slot)},
                pass_fds=[self._pipe],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        return Training(directory, lock, slot, process)


@contextmanager
def launching(program: Program) -> Iterator[Launcher]:
    """Yield what starts trainings; those that still run when this process is gone end."""
    with pipe() as (launcher, _):
        yield Launcher(program, launcher.fileno())
