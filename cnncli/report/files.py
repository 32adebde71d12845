"""Files that a user asks for by name: what the disk refuses is one error."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedWriter
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Literal, TextIO

from cnncli.errors import CnnError, WriteError
from cnncli.files import durable
from cnncli.files.output import output

if TYPE_CHECKING:
    from cnncli.runs.run import Run


def write_text(path: Path, text: str) -> None:
    """Write a text file in one step; raises CnnError where the disk refuses."""
    write_bytes(path, text.encode("utf-8", "backslashreplace"))


def write_page(text: str, run: Run, kept: Path, asked: Path | None, command: str) -> Path:
    """Write a page of a run, and return where.

    Args:
        text: The page.
        run: The run.
        kept: The run's own file for it.
        asked: Where the user wants it instead, or None.
        command: What writes it, "cnn report": told where the run cannot be written.

    Raises:
        CnnError: If the disk refuses.
    """
    if asked is not None:
        write_text(asked, text)
        return asked
    try:
        run.write_text(kept, text)
    except WriteError as error:
        raise WriteError(error.message, f"Write it elsewhere: {command} RUN -o FILE.") from error
    return kept


def write_new(path: Path, text: str) -> None:
    """Write a text file that is not there yet, and the folders above it where they are missing.

    Raises:
        CnnError: If it is there, or the disk refuses.
    """
    with _refusals_told(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        durable.add_file(path, text)


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file in one step, and the folders above it where they are missing.

    Raises:
        CnnError: If the disk refuses.
    """
    with _refusals_told(path), output(path) as file:
        durable.write(file, content)


@contextmanager
def text_file(path: Path) -> Iterator[TextIO]:
    """Open a text file that is written bit by bit, and gets its name when it is complete.

    What is no regular file, such as /dev/stdout, is written as it is.

    Raises:
        CnnError: If the disk refuses.
    """
    with _refusals_told(path), output(path) as raw:
        # Readable where it can be, because what has been written may have to be written anew.
        mode: Literal["w+", "w"] = "w+" if raw.readable() else "w"
        with open(raw.fileno(), mode, encoding="utf-8", errors="backslashreplace", newline="", closefd=False) as file:
            yield file


@contextmanager
def binary_file(path: Path) -> Iterator[BinaryIO]:
    """Open a file that is written bit by bit, and gets its name when it is complete.

    Raises:
        CnnError: If the disk refuses.
    """
    with _refusals_told(path), output(path) as raw:
        file = BufferedWriter(raw)
        yield file
        file.detach()  # Writes what is left, and leaves the file open for what is to come.


@contextmanager
def _refusals_told(path: Path) -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:  # The reader of a pipe has gone, which is no error.
        raise
    except OSError as error:
        raise CnnError(
            f"{path} cannot be written: {error.strerror or error}",
            "Check that the folder is writable and the disk is not full.",
        ) from error
