"""When training stops before its end: at Ctrl-C, SIGTERM, SIGHUP or SIGXCPU, or after the epoch that was asked for."""

from __future__ import annotations

import signal
import socket
from collections.abc import Callable
from contextlib import suppress
from threading import Thread
from types import FrameType, TracebackType
from typing import Any

from cnncli.interrupts import PROCESSOR_TIME, leave, show_cursor, stop_signals

STOPPING = "Stopping after the current steps, with a checkpoint; press again to stop immediately."
OUT_OF_TIME = "The limit on processor time is reached: stopping after the current steps, with a checkpoint."


class StopRequest:
    """While open, the first of these signals is remembered; the second one ends the process at once.

    SIGXCPU is only ever the first: it comes again after each second.

    A thread listens: Python itself runs a handler only between two of its instructions, and a
    single one of those can be minutes of training.

    Args:
        tell: Told one line when the first signal comes.
        after_epoch: Number of the epoch after which training stops even without a signal, or None.

    Attributes:
        signal: The signal that asked to stop, or None.
    """

    def __init__(self, tell: Callable[[str], None] | None = None, after_epoch: int | None = None) -> None:
        self.signal: signal.Signals | None = None
        self._after_epoch = after_epoch
        self._tell = tell
        self._previous: dict[signal.Signals, Any] = {}

    def __enter__(self) -> StopRequest:
        self._heard, self._written = socket.socketpair()
        self._written.setblocking(False)
        self._thread = Thread(target=self._listen, name="signals", daemon=True)
        self._thread.start()
        self._previous_wakeup = signal.set_wakeup_fd(self._written.fileno(), warn_on_full_buffer=False)
        self._previous = {number: signal.signal(number, self._remember) for number in stop_signals()}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for number, handler in self._previous.items():
            # What is left to do takes less than the system's patience, though it goes on to send this one.
            is_over = number == self.signal == PROCESSOR_TIME
            signal.signal(number, signal.SIG_IGN if is_over else handler)
        signal.set_wakeup_fd(self._previous_wakeup)
        self._written.close()
        self._thread.join()
        self._heard.close()

    def is_due(self, epochs: int) -> bool:
        """Say whether a run that has completed so many epochs stops here."""
        return self.signal is not None or (self._after_epoch is not None and epochs >= self._after_epoch)

    def hear(self, number: int) -> None:
        """Take a signal that another worker got for one of this process."""
        if self.signal is None and self._tell is not None:
            self._tell(STOPPING)
        self.signal = self.signal or signal.Signals(number)

    def _remember(self, number: int, _: FrameType | None) -> None:
        self.signal = self.signal or signal.Signals(number)

    def _listen(self) -> None:
        """Take a byte for every signal until the other end is closed."""
        first = self._next_signal()
        if first is None:
            return
        self._remember(first, None)
        if self._tell is not None:
            with suppress(OSError, ValueError):  # Whoever read what we tell may be gone.
                self._tell(OUT_OF_TIME if first == PROCESSOR_TIME else STOPPING)
        while (second := self._next_signal()) == PROCESSOR_TIME:
            pass
        if second is not None:
            show_cursor()
            # Nothing is cleaned up: what is on the disk is resumable at any moment.
            leave(second)

    def _next_signal(self) -> int | None:
        while received := self._heard.recv(1):
            if received[0] in self._previous:
                return received[0]
        return None
