"""Files that a user asks for by name."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from cnncli.errors import CnnError


def write_text(path: Path, text: str) -> None:
    """Write a text file; raises CnnError where the disk refuses."""
    write_bytes(path, text.encode("utf-8", "backslashreplace"))


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file, and the folders above it where they are missing.

    Raises:
        CnnError: If the disk refuses.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    except OSError as error:
        raise _refused(path, error) from error


@contextmanager
def text_file(path: Path) -> Iterator[TextIO]:
    """Open a text file that is written bit by bit, and gets its name when it is complete.

    What is no regular file, such as /dev/stdout, is written as it is.

    Raises:
        CnnError: If the disk refuses.
    """
    try:
        if path.exists() and not path.is_file():
            with path.open("w", encoding="utf-8", errors="backslashreplace", newline="") as file:
                yield file
            return
        target = path.resolve()
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
        try:
            # Readable, because what has been written may have to be written anew.
            with temporary.open("w+", encoding="utf-8", errors="backslashreplace", newline="") as file:
                yield file
            temporary.replace(target)
        finally:
            temporary.unlink(missing_ok=True)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise _refused(path, error) from error


def _refused(path: Path, error: OSError) -> CnnError:
    return CnnError(
        f"{path} cannot be written: {error.strerror}", "Check that the folder is writable and the disk is not full."
    )
