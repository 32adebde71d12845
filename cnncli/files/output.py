"""Files that a user asks for by name: the old content stays there until the new one is whole."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import FileIO
from pathlib import Path

from cnncli.files import durable


@contextmanager
def output(path: Path) -> Iterator[FileIO]:
    """Open a file that gets its content in one step when the block ends, and the folders above it.

    A link stays and what it leads to is replaced, with its permissions. What is no regular file, such as a pipe, and
    what this process prints to, such as /dev/stdout, is written as it is.

    Args:
        path: The file.

    Raises:
        OSError: If the disk refuses.
    """
    former = _status(path)
    if former is not None and (not stat.S_ISREG(former.st_mode) or _stream(former) is not None):
        with _as_it_is(path, former) as file:
            yield file
        return
    target = path.resolve()
    if former is not None and not os.access(target, os.W_OK):
        raise PermissionError(13, "Permission denied", str(path))
    target.parent.mkdir(parents=True, exist_ok=True)
    durable.remove_leftovers(target.parent, of=target)
    with durable.replacement(target) as file:
        if former is not None:
            _keep_owner_and_mode(Path(str(file.name)), former)
        yield file


def _status(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except FileNotFoundError:
        return None


def _stream(status: os.stat_result) -> int | None:
    """Return the descriptor of stdout or stderr where it is open on a file: `--csv /dev/stdout > file`."""
    for descriptor in (1, 2):
        with suppress(OSError):
            if os.path.samestat(os.fstat(descriptor), status):
                return descriptor
    return None


def _as_it_is(path: Path, status: os.stat_result) -> FileIO:
    descriptor = _stream(status)
    if descriptor is None or stat.S_ISDIR(status.st_mode):
        return FileIO(path, "wb")
    # Opened anew, a file would be written from its beginning, over what is printed.
    sys.stdout.flush()
    return FileIO(os.dup(descriptor), "wb")


def _keep_owner_and_mode(temporary: Path, former: os.stat_result) -> None:
    """Give a file what the one had whose place it takes, as far as this user may."""
    with suppress(OSError, AttributeError):  # Windows has no owners of this kind.
        os.chown(temporary, former.st_uid, former.st_gid)
    with suppress(OSError):
        temporary.chmod(stat.S_IMODE(former.st_mode))
