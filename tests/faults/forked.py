"""Processes that have TensorFlow imported already: forked from one that imported it and computed nothing.

A fresh process spends most of a short training's time on that import. Imported alone, TensorFlow has no threads that a
fork would lose; those begin with its first operation. Nothing of cnncli is imported before the fork but what arranges
TensorFlow's import: a process finds the code as it stands on the disk. What start-up itself does is tested elsewhere,
with fresh processes; where there is no `fork` to trust (`IS_TRUSTED`), those are used for all.
"""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from functools import cache
from multiprocessing.context import ForkServerContext
from pathlib import Path
from typing import Any, Self

CNN = "from cnncli.__main__ import main; main()"
"""The command line."""

IS_TRUSTED = sys.platform == "linux"
"""On macOS the system's libraries start threads when they are imported."""


class Forked:
    """A process that runs some Python, to be watched and ended as one of `subprocess.Popen`.

    Args:
        code: What it runs, as `python -c` would.
        arguments: The rest of `sys.argv`.
        cwd: Its working directory.
        stdout: File that its stdout is written to.
        stderr: File that its stderr is written to.
        env: Its variables; by default those of this process.
    """

    def __init__(
        self,
        code: str,
        arguments: Sequence[str],
        *,
        cwd: Path | None = None,
        stdout: Path = Path(os.devnull),
        stderr: Path = Path(os.devnull),
        env: Mapping[str, str] | None = None,
    ) -> None:
        told = (code, list(arguments), str(cwd or Path.cwd()), stdout.absolute(), stderr.absolute())
        self._process = _server().Process(target=_run, args=(*told, dict(os.environ if env is None else env)))
        self._process.daemon = True  # Killed where a test ends before it.
        self._process.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.wait()

    @property
    def pid(self) -> int:
        """Its number."""
        assert self._process.pid is not None
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        """Its exit code, minus the number of the signal that it died of; None while it runs."""
        return self._process.exitcode

    def poll(self) -> int | None:
        """Return its exit code, or None while it runs."""
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end; return its exit code.

        Raises:
            subprocess.TimeoutExpired: If it still runs after `timeout` seconds.
        """
        self._process.join(timeout)
        code = self._process.exitcode
        if code is None:
            assert timeout is not None
            raise subprocess.TimeoutExpired("a forked process", timeout)
        return code

    def send_signal(self, number: int) -> None:
        """Send it a signal, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """End it by force, unless it has ended."""
        if self.poll() is None:
            self._process.kill()


def fresh(
    code: str, arguments: Sequence[str], *, cwd: Path, stderr: Path, env: Mapping[str, str] | None = None
) -> subprocess.Popen[bytes]:
    """Start the same as a fresh process."""
    with stderr.open("ab") as said:
        command = [sys.executable, "-c", code, *arguments]
        return subprocess.Popen(command, cwd=cwd, stdout=subprocess.DEVNULL, stderr=said, env=env)


def run(code: str, *arguments: str, timeout: float = 600, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run a process to its end, as `subprocess.run(..., capture_output=True, text=True)` does."""
    if not IS_TRUSTED:
        command = [sys.executable, "-c", code, *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False, **options)
    with tempfile.TemporaryDirectory() as name:
        stdout, stderr = Path(name, "stdout"), Path(name, "stderr")
        process = Forked(code, arguments, stdout=stdout, stderr=stderr, **options)
        try:
            returncode = process.wait(timeout)
        finally:
            process.kill()
        said = (path.read_text(encoding="utf-8") for path in (stdout, stderr))
        return subprocess.CompletedProcess([code, *arguments], returncode, *said)


@cache
def _server() -> ForkServerContext:
    """Return what forks; its process starts with the first one that it is asked for."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["cnncli.engine"])
    return context


def _run(code: str, arguments: list[str], cwd: str, stdout: Path, stderr: Path, environment: dict[str, str]) -> None:
    """Be the process."""
    for number, path in ((1, stdout), (2, stderr)):
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
        os.dup2(file, number)
        os.close(file)
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = ["-c", *arguments]
    exec(compile(code, "<string>", "exec"), {"__name__": "__main__"})
