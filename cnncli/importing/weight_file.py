"""Files of weights opened for reading: regular files of a limited size."""

from __future__ import annotations

import os
from io import BufferedReader
from pathlib import Path

from cnncli.files.read import open_file
from cnncli.importing.graph import GraphImportError

MOST_BYTES = 2**32
"""Most bytes of a file of weights."""


def open_weights(path: Path, most: int = MOST_BYTES) -> BufferedReader:
    """Return an open file.

    Raises:
        GraphImportError: If it cannot be opened, is not a regular file, or is larger than `most` bytes.
    """
    try:
        file = open_file(path)
    except OSError as error:
        raise GraphImportError(f"{path} cannot be read: {error.strerror or error}") from None
    if size_of(file) > most:
        file.close()
        raise GraphImportError(f"{path} is larger than the limit of {most:,} bytes")
    return file


def size_of(file: BufferedReader) -> int:
    """Return the number of bytes of an open file."""
    return os.fstat(file.fileno()).st_size
