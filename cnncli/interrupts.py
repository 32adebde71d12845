"""Ctrl-C, SIGTERM, SIGHUP and SIGXCPU outside of training: a clean end with 128 and the signal, never a traceback."""

from __future__ import annotations

import atexit
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any, NoReturn

SIGNALS = (signal.SIGINT, signal.SIGTERM)

PROCESSOR_TIME: signal.Signals | None = getattr(signal, "SIGXCPU", None)
"""Says that the limit on processor time (`ulimit -S -t`) is reached, and again after each second from then on."""


def stop_signals() -> tuple[signal.Signals, ...]:
    """Return the signals that ask to stop; that of a terminal that is gone is not among them under `nohup`."""
    hangup = getattr(signal, "SIGHUP", None)
    is_heard = hangup is not None and signal.getsignal(hangup) != signal.SIG_IGN
    return (*SIGNALS, *filter(None, (hangup if is_heard else None, PROCESSOR_TIME)))


@contextmanager
def default_signals() -> Iterator[None]:
    """Let these signals end the process as the system does while a block runs that Python cannot interrupt."""
    before: dict[signal.Signals, Any] = {}
    if _in_main_thread():
        before = {number: signal.signal(number, signal.SIG_DFL) for number in stop_signals()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def leave(number: int, _: FrameType | None = None) -> NoReturn:
    """End the process at once, with the exit code that a shell gives for this signal."""
    os._exit(128 + number)


def show_cursor() -> None:
    """Undo what a live display does to a terminal, where whoever drew it had no time to do so."""
    if sys.stderr.isatty():
        with suppress(OSError):
            os.write(2, b"\x1b[?25h\n")


def raise_on_signals() -> None:
    """Let SIGTERM and its like end the process as Ctrl-C does: by an exception, so that temporary files are removed."""
    if _in_main_thread():
        for number in stop_signals():
            if number != signal.SIGINT:
                signal.signal(number, _raise_exit)


def leave_from_here_on() -> None:
    """Let these signals end the process at once, for when all is done; and in the interpreter's own end let it end.

    There Python would give them back to the system, and the exit code would no longer say what was done.
    """
    if _in_main_thread():
        for number in stop_signals():
            signal.signal(number, leave)
        atexit.register(_ignore)


def _ignore() -> None:
    for number in stop_signals():
        signal.signal(number, signal.SIG_IGN)


@contextmanager
def leaving_at_once() -> Iterator[None]:
    """Let these signals end the process at once while a block runs that cannot be left by an exception."""
    before: dict[signal.Signals, Any] = {}
    if _in_main_thread():
        before = {number: signal.signal(number, leave) for number in stop_signals()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _raise_exit(number: int, _: FrameType | None) -> NoReturn:
    if number == PROCESSOR_TIME:
        signal.signal(number, signal.SIG_IGN)  # It comes again while temporary files are removed.
    raise SystemExit(128 + number)


def _in_main_thread() -> bool:
    """Tell whether this is the one thread that may set what signals do."""
    return threading.current_thread() is threading.main_thread()
