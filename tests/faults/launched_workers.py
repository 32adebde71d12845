"""Training on several workers under a launcher: its processes, where they are, when each ends, what each has done.

For Linux: processes are found in /proc, and their ends are waited for with pidfds.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from training_process import Workplace

MARK = "WORKERS_CAMPAIGN_LAUNCH"
"""The environment variable that all processes of a launch have in common, however they were started."""

SITE = """
import importlib.util, os, sys

launch = os.environ["WORKERS_CAMPAIGN_LAUNCH"]
words = sys.orig_argv
rank = words[words.index("--rank") + 1] if "--rank" in words else None

def tell(name, text):
    "Add a line to a file that outlives a kill."
    with open(f"{launch}-{name}", "a") as file:
        file.write(f"{text}\\n")

def tell_of_training(trainer):
    take_steps, validate = trainer.Trainer._take_steps, trainer.Trainer._validate
    def taken(self, limit):
        take_steps(self, limit)
        tell(f"steps-{rank}", self.progress.step)
    def validated(self, stop):
        tell("validation", "begun")
        result = validate(self, stop)
        tell("validation", "ended")
        return result
    trainer.Trainer._take_steps, trainer.Trainer._validate = taken, validated

def take_ports(processes):
    import socket
    free_addresses, times = processes.free_addresses, int(os.environ.get("WORKERS_CAMPAIGN_PORTS", "0"))
    taken = []
    def some_taken(number):
        addresses = free_addresses(number)
        if len(taken) < times:
            port = int(addresses[len(taken) % number].rpartition(":")[2])
            taken.append(socket.create_server(("127.0.0.1", port)))
            tell("ports", port)
        return addresses
    processes.free_addresses = some_taken

CHANGES = {"cnncli.engine.training.trainer": tell_of_training, "cnncli.workers.processes": take_ports}

class Changes:
    def find_spec(self, name, *_):
        change = CHANGES.pop(name, None)
        if change is None:
            return None
        spec = importlib.util.find_spec(name)
        execute = spec.loader.exec_module
        def changed(module):
            execute(module)
            change(module)
        spec.loader.exec_module = changed
        return spec

sys.meta_path.insert(0, Changes())
leave = os._exit
def told_leave(code):
    try:
        tell(f"exit-{rank}", code)
    finally:
        leave(code)
os._exit = told_leave
"""
"""What each Python of a launch does at first (sitecustomize): tells of steps, validation and exit codes.

In the launcher it also takes ports that have just been found free, as often as it is asked to.
"""


@dataclass
class Launch:
    """A launcher and its workers.

    Attributes:
        process: The launcher.
        mark: Begins the names of the files in which its processes tell what they do.
        num_workers: How many workers it has at a time.
        restarts: How often it is still to start them again.
    """

    process: subprocess.Popen[bytes]
    mark: Path
    num_workers: int
    restarts: int

    @property
    def is_running(self) -> bool:
        """Whether the launcher has not ended."""
        return self.process.poll() is None

    def members(self) -> dict[int, int | None]:
        """Return who lives of the launch: the rank by process id, None for the launcher and its witness."""
        wanted = f"{MARK}={self.mark}".encode()
        return {pid: _rank(pid) for pid in _pids() if wanted in _read(pid, "environ").split(b"\0")}

    def told(self, name: str) -> list[str]:
        """Return what its processes have told under a name: "steps-0", "validation", "exit-1", "ports"."""
        try:
            return Path(f"{self.mark}-{name}").read_text(encoding="utf-8").splitlines()
        except FileNotFoundError:
            return []

    def last_steps(self) -> list[int]:
        """Return the last step that each worker has taken, by rank; 0 where it has taken none."""
        told = [self.told(f"steps-{rank}") for rank in range(self.num_workers)]
        return [int(lines[-1]) if lines else 0 for lines in told]

    def forget(self) -> None:
        """Remove what has been told, before workers start again."""
        for path in self.mark.parent.glob(f"{self.mark.name}-*"):
            path.unlink()

    def phase(self, run: Path | None) -> str:
        """Return what the newest attempt is at: "start-up", "saving", "validation" or "training"."""
        if run is not None and any(run.glob("checkpoints/.new-*")):
            return "saving"
        if self.told("validation")[-1:] == ["begun"]:
            return "validation"
        return "training" if self.told("steps-0") else "start-up"

    def end_by_force(self) -> None:
        """Kill whatever is left."""
        for pid in self.members():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait()


class Workers(Workplace):
    """A folder with one config and one run, which launchers train."""

    @property
    def run(self) -> Path | None:
        """The run's directory, the newest where a launcher died before it was told of one; None without any."""
        return max((path for path in self.folder.glob("runs/small/[!.]*") if path.is_dir()), default=None)

    @contextmanager
    def launched(
        self, num_workers: int, restarts: int = 0, environment: Mapping[str, str] | None = None
    ) -> Iterator[Launch]:
        """Yield a launcher that starts the training, or goes on with the run; in the end nothing of it is left.

        Args:
            num_workers: Number of workers.
            restarts: How often it starts them again.
            environment: Variables of its processes, besides this process's own.
        """
        run = self.run
        sets = [word for value in self.overrides for word in ("--set", value)]
        command = ["train", "small.yaml", "--runs-dir", "runs", *sets] if run is None else ["resume", str(run)]
        self.starts += 1
        site = self.folder / "site"
        site.mkdir(exist_ok=True)
        (site / "sitecustomize.py").write_text(SITE, encoding="utf-8")
        mark = self.folder.absolute() / f"told-{self.starts}"
        paths = [str(site.absolute()), *filter(None, [os.environ.get("PYTHONPATH")])]
        with (self.folder / f"stderr-{self.starts}.txt").open("w", encoding="utf-8") as stderr:
            process = subprocess.Popen(
                [sys.executable, "-m", "cnncli", *command, "--workers", str(num_workers), "--restarts", str(restarts)],
                cwd=self.folder,
                stdout=subprocess.DEVNULL,
                stderr=stderr,
                env={**os.environ, **(environment or {}), MARK: str(mark), "PYTHONPATH": os.pathsep.join(paths)},
            )
        launch = Launch(process, mark, num_workers, restarts)
        try:
            yield launch
        finally:
            launch.end_by_force()


class Ends:
    """Notes when processes end.

    Args:
        pids: Their ids.
    """

    def __init__(self, pids: Iterable[int]) -> None:
        self.begun = time.monotonic()
        self._files: dict[int, int] = {}
        for pid in pids:
            with suppress(ProcessLookupError):
                self._files[os.pidfd_open(pid)] = pid

    def within(self, seconds: float) -> tuple[float, list[int]]:
        """Wait until all have ended, but not longer than that.

        Returns:
            Seconds from this object's making to the last end, and the ids of those that still run.
        """
        poll, last = select.poll(), 0.0
        for file in self._files:
            poll.register(file, select.POLLIN)
        while self._files and (left := self.begun + seconds - time.monotonic()) > 0:
            for file, _ in poll.poll(left * 1000):
                last = time.monotonic() - self.begun
                poll.unregister(file)
                os.close(file)
                del self._files[file]
        rest = list(self._files.values())
        for file in self._files:
            os.close(file)
        self._files = {}
        return last, rest


def _pids() -> list[int]:
    return [int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit()]


def _rank(pid: int) -> int | None:
    """Return the rank that a worker's command line gives it."""
    words = _read(pid, "cmdline").split(b"\0")
    return int(words[words.index(b"--rank") + 1]) if b"--rank" in words else None


def _read(pid: int, name: str) -> bytes:
    """Return a file of /proc; nothing of a process that is gone, or another user's."""
    try:
        return Path(f"/proc/{pid}/{name}").read_bytes()
    except OSError:
        return b""
