"""The system's locks on open files: they go with their process, however that ends."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from io import FileIO
from pathlib import Path
from typing import IO

from cnncli.files.read import opener

log = logging.getLogger(__name__)


def try_lock(file: IO[bytes], *, warn: bool = True) -> bool:
    """Take the lock of an open file if it is free.

    Args:
        file: The file.
        warn: Whether to warn where the disk has no locks.

    Returns:
        Whether nobody else holds it; True on a disk without locks.
    """
    try:
        if sys.platform == "win32":
            import msvcrt

            file.seek(1 << 30)  # Windows denies reading a locked range: lock one that holds no text.
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    except OSError as error:
        # A network disk without locks should not keep anyone from training.
        level = logging.WARNING if warn else logging.DEBUG
        log.log(level, "%s cannot be locked (%s): use only one process at a time", file.name, error.strerror)
    return True


@contextmanager
def alone(path: Path, patience: float) -> Iterator[None]:
    """Let one process at a time run the block; the others wait. A disk without locks lets all go on.

    Args:
        path: The lock file; made when it is not there, and left, for removing it could part two processes.
        patience: Seconds to wait.

    Raises:
        TimeoutError: If another process has held it for so long.
        OSError: If the file cannot be made.
    """
    with _opened(path) as file:
        deadline = time.monotonic() + patience
        pause = 0.001
        while not try_lock(file, warn=False):
            if time.monotonic() > deadline:
                raise TimeoutError(f"another process has held {path} for {patience:g} s")
            time.sleep(pause)
            pause = min(2 * pause, 0.05)
        yield


def _opened(path: Path) -> FileIO:
    try:
        return FileIO(path, "ab", opener=opener(follow=False))
    except PermissionError:
        if not path.exists():
            raise
        # Another user of the folder has made it: most systems lock what was opened for reading as well.
        return FileIO(path, "rb", opener=opener(follow=False))
