"""Every operation on files that a run's safety hangs on, in one place.

A checkpoint survives a crash only if these happen in the right order. The fault tests put
themselves in the place of the primitives (`create`, `reopen`, `write`, `truncate`, `fsync`,
`fsync_directory`, `mkdir`, `rename`, `replace`, `unlink`, `rmdir`) and crash before and after each.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable
from contextlib import suppress
from io import FileIO
from pathlib import Path
from typing import Any

Buffer = bytes | memoryview


def create(path: Path) -> FileIO:
    """Open a new file for writing; an existing one is an error."""
    return FileIO(path, "xb")


def reopen(path: Path) -> FileIO:
    """Open a file to read it and to write at its end; a missing one is made."""
    return FileIO(path, "ab+")


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


def replace_file(path: Path, content: str | bytes, *, wait: bool = True) -> None:
    """Put `content` in the place of a file, so that a reader sees the old or the new one and never a part.

    Args:
        path: The file.
        content: Its new text or bytes.
        wait: Whether to wait until it is on the disk; if not, a power failure may leave an empty file.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with suppress(FileNotFoundError):
        unlink(temporary)
    try:
        with create(temporary) as file:
            write(file, content.encode() if isinstance(content, str) else content)
            if wait:
                fsync(file)
        replace(temporary, path)
    except BaseException:
        with suppress(OSError):
            unlink(temporary)
        raise
    if wait:
        fsync_directory(path.parent)


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


def remove_tree(path: Path) -> None:
    """Remove a directory with all that is in it."""
    for child in path.iterdir():
        if child.is_dir() and not child.is_symlink():
            remove_tree(child)
        else:
            unlink(child)
    rmdir(path)


def to_json(document: Any) -> str:
    """Return a document as the JSON text that run directories hold: readable, one final newline."""
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"
