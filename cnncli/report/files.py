"""Files that a user asks for by name."""

from __future__ import annotations

from pathlib import Path

from cnncli.errors import CnnError


def write_text(path: Path, text: str) -> None:
    """Write a text file; raises CnnError where the disk refuses."""
    write_bytes(path, text.encode())


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file, and the folders above it where they are missing.

    Raises:
        CnnError: If the disk refuses.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    except OSError as error:
        raise CnnError(
            f"{path} cannot be written: {error.strerror}", "Check that the folder is writable and the disk is not full."
        ) from error
