"""stdin, stdout and stderr as a command finds them: closed, full, in another encoding, or read by nobody."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from io import BufferedWriter, FileIO, TextIOWrapper
from typing import Any

import cnncli.files.characters  # noqa: F401 - registers "stand_in"
from cnncli.errors import CnnError

MOST_COLUMNS = 1000


class OutputError(CnnError):
    """stdout cannot be written to."""

    @classmethod
    def of(cls, error: OSError) -> OutputError:
        """Return the error for the system's refusal; what is still to be written vanishes."""
        forget_stdout()
        return cls(f"stdout cannot be written: {error.strerror}")


def prepare() -> None:
    """Make the streams fit to be used.

    Numbers 0 to 2 of open files are taken, so that no file of ours gets one; what an encoding does not have is
    written with stand-ins; COLUMNS and LINES are numbers or not there.

    Raises:
        OutputError: If stdout is closed.
    """
    closed = _fill_gaps()
    for name in ("COLUMNS", "LINES"):
        value = os.environ.get(name, "1")
        if not (value.isascii() and value.isdigit() and 0 < int(value[:6]) <= MOST_COLUMNS):
            del os.environ[name]
    with suppress(AttributeError, ValueError):
        sys.stdout.reconfigure(errors="stand_in")  # type: ignore[union-attr]
    sys.stderr = _forgiving_stderr()
    if 1 in closed:
        raise OutputError("stdout is closed", "Redirect it to a file or to /dev/null.")


def flush() -> None:
    """Write out what stdout still holds.

    Raises:
        OutputError: If it cannot be written.
        BrokenPipeError: If nobody reads it.
    """
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        raise OutputError.of(error) from error


def forget_stdout() -> None:
    """Let what is still written to stdout vanish: Python would complain once more when it ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


class _Forgiving(FileIO):
    """A file that takes everything, also what the system refuses."""

    def write(self, content: Any) -> int:
        try:
            return super().write(content)
        except OSError:
            return len(content)


def _forgiving_stderr() -> TextIOWrapper:
    """Return a stderr that is never a reason to end: a training goes on when its terminal or its log's disk is gone."""
    encoding = sys.stderr.encoding or "utf-8"
    file = BufferedWriter(_Forgiving(2, "w", closefd=False))
    return TextIOWrapper(file, encoding=encoding, errors="stand_in", line_buffering=True, write_through=True)


def _fill_gaps() -> set[int]:
    """Open /dev/null in place of closed streams, and return their numbers."""
    closed = set()
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # The system takes the lowest free number.
            closed.add(number)
    if sys.stdin is None:
        sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115 - for the whole process
    if sys.stdout is None:
        sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    if sys.stderr is None:
        sys.stderr = open(2, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    return closed
