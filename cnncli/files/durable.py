"""Every file that we write, written one way: whenever we are stopped, the old content is there or the new, whole.

`replacement` gives a file its new content in one step, under a temporary name of its own until then; what a killed
writer leaves behind, `remove_leftovers` knows by its lock, which is free. A checkpoint survives a crash only if its
operations happen in the right order. The fault tests put themselves in the place of the primitives (`create`, `reopen`,
`write`, `truncate`, `fsync`, `fsync_directory`, `mkdir`, `rename`, `replace`, `unlink`, `rmdir`) and crash before and
after each.
"""

from __future__ import annotations

import errno
import json
import os
import re
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from io import FileIO
from pathlib import Path
from secrets import token_hex
from typing import Any

from cnncli.files.characters import json_safe
from cnncli.files.locks import try_lock
from cnncli.files.read import open_file, opener

Buffer = bytes | memoryview

TEMPORARY = re.compile(r"\.[0-9a-f]{16}\.tmp$")
"""How the names of temporary files end."""

LONGEST = 200
"""Bytes of a file's name that its temporary files carry: systems allow names of 255."""

STALE = 60.0
"""Seconds after its last change from which on a temporary file without a lock is a dead writer's: a living one lets go
of its lock only to rename the file at once."""


def create(path: Path) -> FileIO:
    """Open a new file for writing, and for reading what was written; an existing one is an error."""
    return FileIO(path, "xb+")


def reopen(path: Path) -> FileIO:
    """Open a regular file to read it and to write at its end; a missing one is made, a link is refused."""
    return FileIO(path, "ab+", opener=opener(follow=False))


def write(file: FileIO, data: Buffer) -> None:
    """Write all of `data`: the system may take only a part at a time."""
    view = memoryview(data).cast("B")
    while view:
        view = view[file.write(view) :]


def truncate(file: FileIO, size: int) -> None:
    """Cut an open file to its first `size` bytes."""
    file.truncate(size)


def fsync(file: FileIO) -> None:
    """Wait until the file's contents are on the disk."""
    if sys.platform == "darwin":
        import fcntl

        # Apple's fsync leaves the data in the drive's own cache.
        with suppress(OSError):
            fcntl.fcntl(file.fileno(), fcntl.F_FULLFSYNC)
            return
    os.fsync(file.fileno())


def fsync_directory(path: Path) -> None:
    """Wait until the names in a directory are on the disk."""
    if os.name == "nt":  # Windows cannot open a directory, and orders these writes itself.
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def mkdir(path: Path) -> None:
    """Make one new directory; an existing one is an error."""
    path.mkdir()


def rename(source: Path, target: Path) -> None:
    """Give a directory another name in the same folder; a target with something in it is an error."""
    source.rename(target)


def replace(source: Path, target: Path) -> None:
    """Put a file in the place of another, in one step."""
    source.replace(target)


def link(source: Path, target: Path) -> None:
    """Give a file a second name; an existing one is an error."""
    os.link(source, target)


def exchange(source: Path, target: Path) -> None:
    """Let two files or folders swap their names in one step; OSError where the system cannot."""
    import ctypes

    here, swap = -100, 2  # AT_FDCWD and RENAME_EXCHANGE
    renameat2 = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None) if sys.platform == "linux" else None
    if renameat2 is None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS), str(source))
    if renameat2(here, os.fsencode(source), here, os.fsencode(target), swap):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), str(source))


def unlink(path: Path) -> None:
    """Remove a file."""
    path.unlink()


def rmdir(path: Path) -> None:
    """Remove an empty directory."""
    path.rmdir()


def make_directories(path: Path) -> None:
    """Make a directory and those above it where they are missing, and wait until their names are on the disk."""
    if not path.is_dir():
        make_directories(path.parent)
        with suppress(FileExistsError):  # Another process was quicker.
            mkdir(path)
    # Also for one that was there: whoever made it may have died before this.
    fsync_directory(path.parent)


def write_file(path: Path, chunks: Iterable[Buffer]) -> None:
    """Write a new file and wait until its contents are on the disk."""
    with create(path) as file:
        for chunk in chunks:
            write(file, chunk)
        fsync(file)


def temporary_name(path: Path) -> Path:
    """Return a name beside a path that no other process has, on this host, in another container or elsewhere."""
    return path.with_name(f"{_prefix(path)}{token_hex(8)}.tmp")


def _prefix(path: Path) -> str:
    """Return how the names of a file's temporary files begin; of a name near the system's limit, a part."""
    name = path.name
    if len(os.fsencode(name)) > LONGEST:
        name = os.fsencode(name)[:LONGEST].decode("utf-8", "ignore")
    return f".{name}."


@contextmanager
def replacement(path: Path, *, wait: bool = True) -> Iterator[FileIO]:
    """Yield a new file that takes the place of another when the block ends; if that fails, the old one stays.

    Args:
        path: The file. A link of that name is replaced, not followed.
        wait: Whether to wait until the content is on the disk; if not, a power failure may leave an empty file.
    """
    temporary = temporary_name(path)
    try:
        with create(temporary) as file:
            try_lock(file, warn=False)
            yield file
            if wait:
                fsync(file)
        replace(temporary, path)
    except BaseException:
        with suppress(OSError):
            unlink(temporary)
        raise
    if wait:
        fsync_directory(path.parent)


def replace_file(path: Path, content: str | Buffer, *, wait: bool = True) -> None:
    """Put `content` in the place of a file: `replacement` for what is at hand as a whole."""
    with replacement(path, wait=wait) as file:
        write(file, content.encode("utf-8", "backslashreplace") if isinstance(content, str) else content)


def add_file(path: Path, content: str) -> None:
    """Write a new file in one step; an existing one is an error and stays.

    Raises:
        FileExistsError: If there is one, or another process was quicker.
        OSError: If the disk refuses.
    """
    temporary = temporary_name(path)
    try:
        with create(temporary) as file:
            try_lock(file, warn=False)
            write(file, content.encode())
            fsync(file)
        try:
            link(temporary, path)
        except FileExistsError:
            raise
        except OSError:  # A disk without second names: take the name, then fill it.
            create(path).close()
            replace(temporary, path)
    finally:
        with suppress(OSError):
            unlink(temporary)
    fsync_directory(path.parent)


def remove_leftovers(folder: Path, of: Path | None = None) -> None:
    """Remove temporary files whose writers are dead; what cannot be removed stays.

    Args:
        folder: Where to look, not below it.
        of: The file that they were to become; None for those of all.
    """
    prefix = "." if of is None else _prefix(of)
    with suppress(OSError), os.scandir(folder) as entries:
        for name in [entry.name for entry in entries if entry.name.startswith(prefix) and TEMPORARY.search(entry.name)]:
            with suppress(OSError):
                if _is_abandoned(folder / name):
                    unlink(folder / name)


def _is_abandoned(path: Path) -> bool:
    if path.is_symlink() or not path.is_file() or time.time() - path.stat().st_mtime < STALE:
        return False
    with open_file(path, follow=False) as file:
        return try_lock(file, warn=False)


def append_line(path: Path, line: str) -> None:
    """Add a line, which ends in a newline, and wait until it is on the disk; one torn by a crash is cut off first."""
    with reopen(path) as file:
        file.seek(0)
        text = file.readall()
        whole = text.rfind(b"\n") + 1
        if whole < len(text):
            truncate(file, whole)
        write(file, line.encode())
        fsync(file)
    if not text:
        fsync_directory(path.parent)


def fsync_tree(path: Path) -> None:
    """Wait until a file, or a directory with all that is in it, is on the disk."""
    if path.is_dir():
        for child in path.iterdir():
            fsync_tree(child)
        fsync_directory(path)
    else:
        with FileIO(path, "rb+") as file:
            fsync(file)


def remove_tree(path: Path) -> None:
    """Remove a directory with all that is in it; of a link, and of a file, only that itself."""
    if path.is_symlink() or not path.is_dir():
        unlink(path)
        return
    for child in path.iterdir():
        if child.is_dir() and not child.is_symlink():
            remove_tree(child)
        else:
            unlink(child)
    rmdir(path)


def to_json(document: Any) -> str:
    """Return a document as the JSON text that run directories hold: readable, one final newline."""
    return json_safe(json.dumps(document, indent=1, ensure_ascii=False)) + "\n"
