"""The lock of a run: one process at a time trains it.

The system's own file lock decides, because it goes with its process however that ends, SIGKILL
and power failure included; so a dead holder's lock needs no reclaiming. The file's text only says
who holds it.
"""

from __future__ import annotations

import errno
import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from io import FileIO
from pathlib import Path

from cnncli.errors import RunError
from cnncli.files.locks import try_lock
from cnncli.files.read import opener, read_json
from cnncli.runs.environment import command

PATIENCE = 0.3
"""Seconds for which a held lock is tried again: `held` takes it for a moment."""


def _holder_text() -> str:
    """Return who this process is, as one line of JSON."""
    return json.dumps(
        {
            "pid": os.getpid(),
            "host": socket.gethostname(),
            "since": datetime.now().astimezone().isoformat(timespec="seconds"),
            "command": command(),
        }
    )


def _describe(path: Path) -> str:
    """Return who holds the lock, for a message."""
    try:
        holder = read_json(path, 1 << 16, follow=False)
        return f"process {holder['pid']} on {holder['host']} since {holder['since']} ({holder['command']})"
    except (OSError, ValueError, KeyError, TypeError):
        return "another process"


def held(path: Path) -> bool:
    """Tell whether a process holds the lock now; also of a run that this process may only read, where that is told."""
    for mode in ("rb+", "rb"):
        try:
            with FileIO(path, mode, opener=opener(follow=False)) as file:
                return not try_lock(file)
        except OSError as error:
            if error.errno not in (errno.EACCES, errno.EROFS):
                break
    return False


@contextmanager
def lock(path: Path) -> Iterator[None]:
    """Hold the lock while the block runs.

    Args:
        path: The lock file; made when it is not there, and left, for removing it could part two processes.

    Raises:
        RunError: If another process holds it, saying which, or if it cannot be made.
    """
    try:
        file = FileIO(path, "ab+", opener=opener(follow=False))
    except OSError as error:
        raise RunError(
            f"{path.parent} cannot be locked: {error.strerror}", "Check that the folder is writable."
        ) from error
    with file:
        deadline = time.monotonic() + PATIENCE
        while not try_lock(file):
            if time.monotonic() > deadline:
                hint = "Wait for it to end, or stop it: only one process at a time can write to a run."
                raise RunError(f"{path.parent} is in use by {_describe(path)}", hint)
            time.sleep(0.02)
        try:
            with suppress(OSError):  # On a full disk the lock holds all the same; only who holds it cannot be told.
                file.truncate(0)
                file.write(_holder_text().encode())
            yield
        finally:
            with suppress(OSError):
                file.truncate(0)
