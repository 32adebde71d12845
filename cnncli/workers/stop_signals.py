"""Signals that ask a launcher to stop: heard while it waits, and handed on to the chief if it alone was told.

Ctrl-C, a terminal that closes, `timeout`, systemd and Slurm tell every process of a command at once; `kill`, Docker and
Kubernetes tell only the launcher. A worker that is told twice ends without its checkpoint. So beside the workers sleeps
a process, the witness, that such a signal ends: the launcher alone was told if the witness is still there.
"""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterable
from contextlib import suppress
from io import FileIO
from pathlib import Path
from select import select
from types import FrameType
from typing import Any

from cnncli.interrupts import stop_signals

WINDOW = 0.3
"""Seconds after which a signal that was sent to all has ended the witness; until then the same one counts once."""

WITNESS = """
import signal, sys
for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGXCPU"):
    signal.signal(getattr(signal, name), signal.SIG_DFL)
sys.stdin.buffer.read()
"""
"""What the witness does: nothing, until a signal ends it or the launcher is gone, which closes its stdin."""


class StopSignals:
    """While open, these signals no longer end the process; they and the end of a child wake up `wait`.

    Only the main thread may open it.

    Attributes:
        first: The signal that asked to stop, or None.
        second: One that came later and asks to stop at once, or None.
    """

    def __init__(self) -> None:
        self.first: signal.Signals | None = None
        self.second: signal.Signals | None = None
        self._since = 0.0
        self._judged = False
        self._previous: dict[signal.Signals, Any] = {}

    def __enter__(self) -> StopSignals:
        self._witness = subprocess.Popen(  # noqa: S603 - our own script
            [sys.executable, "-I", "-S", "-c", WITNESS],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self._heard, self._written = socket.socketpair()
        for end in (self._heard, self._written):
            end.setblocking(False)
        self._previous_wakeup = signal.set_wakeup_fd(self._written.fileno(), warn_on_full_buffer=False)
        self._previous = {number: signal.signal(number, self._remember) for number in stop_signals()}
        self._previous[signal.SIGCHLD] = signal.signal(signal.SIGCHLD, _wake)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._previous_wakeup)
        self._heard.close()
        self._written.close()
        self._witness.kill()
        self._witness.communicate()

    def wait(self, files: Iterable[FileIO], seconds: float | None) -> None:
        """Wait until a signal comes, a child ends, or there is something to read.

        Args:
            files: What may be read from.
            seconds: Most seconds to wait; None for no limit.
        """
        due = None if self.first is None or self._judged else self._since + WINDOW - time.monotonic()
        limits = [limit for limit in (seconds, due) if limit is not None]
        numbers = [self._heard.fileno(), *(file.fileno() for file in files)]
        select(numbers, [], [], max(min(limits), 0) if limits else None)
        with suppress(BlockingIOError):
            while self._heard.recv(4096):
                pass

    def to_forward(self) -> signal.Signals | None:
        """Return the first signal, once, if only this process was told."""
        if self.first is None or self._judged or time.monotonic() < self._since + WINDOW:
            return None
        self._judged = True
        end = self._witness.poll()
        was_told = _is_pending(self.first, self._witness.pid) if end is None else end == -self.first
        return None if was_told else self.first

    def _remember(self, number: int, _: FrameType | None) -> None:
        if self.first is None:
            self.first, self._since = signal.Signals(number), time.monotonic()
        elif number != self.first or time.monotonic() >= self._since + WINDOW:
            self.second = signal.Signals(number)


def _is_pending(number: int, pid: int) -> bool:
    """Return whether a process was sent a signal that it had no time yet to obey; False where the system is silent."""
    with suppress(OSError, ValueError, StopIteration):
        lines = Path(f"/proc/{pid}/status").read_text(encoding="utf-8", errors="replace").splitlines()
        mask = next(line.split()[1] for line in lines if line.startswith("ShdPnd:"))
        return bool(int(mask, 16) >> (number - 1) & 1)
    return False


def _wake(_number: int, _frame: FrameType | None) -> None:
    """Do nothing: Python wakes up `wait` for a signal that has a handler."""
