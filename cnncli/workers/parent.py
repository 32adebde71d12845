"""What a worker owes the launcher that started it: to end with it, and to tell where the run is.

The launcher hands over numbers of open pipes in two variables of the environment. Where they are absent, as in a
worker that was started by hand or by Slurm, nothing here does anything.
"""

from __future__ import annotations

import os
import signal
import stat
import sys
from collections.abc import MutableMapping
from contextlib import suppress
from pathlib import Path
from threading import Thread

LAUNCHER_VARIABLE = "CNNCLI_LAUNCHER_FD"
"""Number of a pipe whose other end only the launcher holds: at its end of file the launcher is gone."""

RUN_VARIABLE = "CNNCLI_RUN_FD"
"""Number of a pipe that takes the path of the run; only the chief has one."""

ORPHANED = 1
"""Exit code of a worker whose launcher is gone; nobody waits for it any more."""

_run_pipe: int | None = None


def watch(environment: MutableMapping[str, str] = os.environ) -> bool:
    """End this process as soon as its launcher is gone, however that ended; to be called before anything slow.

    Args:
        environment: Variables of this process; those of the launcher are taken out, for they mean nothing to the
            processes that this one starts.

    Returns:
        Whether there is a launcher.
    """
    global _run_pipe
    _run_pipe = _taken(environment, RUN_VARIABLE)
    launcher = _taken(environment, LAUNCHER_VARIABLE)
    if launcher is not None:
        _die_with_parent()
        Thread(target=_end_after, args=(launcher,), name="launcher", daemon=True).start()
    return launcher is not None


def report_run(path: Path) -> None:
    """Tell the launcher where the run is, so that it finds its logs there; once, as soon as the run exists."""
    global _run_pipe
    pipe, _run_pipe = _run_pipe, None
    if pipe is not None:
        with suppress(OSError):  # A launcher that is gone needs no path.
            os.write(pipe, os.fsencode(path) + b"\n")
        os.close(pipe)


def _taken(environment: MutableMapping[str, str], variable: str) -> int | None:
    """Take a variable away and return the pipe whose number it holds; None if it is absent or leads to no pipe."""
    try:
        descriptor = int(environment.pop(variable))
        if stat.S_ISFIFO(os.fstat(descriptor).st_mode):
            os.set_inheritable(descriptor, False)
            return descriptor
    except (KeyError, ValueError, OverflowError, OSError):
        pass  # Left over from another process.
    return None


def _die_with_parent() -> None:
    """Let Linux kill this process with its parent: a thread would not run while the process is stopped (SIGSTOP)."""
    if sys.platform == "linux":
        import ctypes

        set_parent_death_signal = 1
        with suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(set_parent_death_signal, int(signal.SIGKILL))


def _end_after(pipe: int) -> None:
    """Wait for a pipe's end of file and end the process at once: what is on the disk is resumable at any moment."""
    with suppress(OSError):
        while os.read(pipe, 1):
            pass
    os._exit(ORPHANED)
