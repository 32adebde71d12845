"""Image files that a user names one by one: files, folders, patterns, standard input."""

from __future__ import annotations

import glob
import io
import mimetypes
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from PIL import Image, UnidentifiedImageError

from cnncli.datasets.images import FORMATS
from cnncli.datasets.store import Folder, read_file
from cnncli.errors import DataError

MOST_PIPED = 2**28
"""Most bytes that are read from standard input."""

MOST_PATHS = 2**26
"""Most bytes of paths among them."""


@dataclass(frozen=True, slots=True)
class Picture:
    """An image that is read when it is asked for.

    Attributes:
        name: What the user calls it.
        piped: What came through standard input; None for a file.
    """

    name: str
    piped: bytes | None = None

    def content(self) -> bytes:
        """Return the encoded image.

        Raises:
            DataError: If the file cannot be read; names it.
        """
        return read_file(Path(self.name), self.name) if self.piped is None else self.piped


def pictures(references: Sequence[str], standard_input: BinaryIO | None = None) -> list[Picture]:
    """Return the images that a user means, in the order in which they are named.

    A folder stands for all files below it but those whose names say that they are not images; a pattern for what
    matches it ("**" goes into folders); "-" for standard input: one image, or the paths of images, one a line
    or between zero bytes.

    Raises:
        DataError: If one of them leads to nothing.
    """
    found: list[Picture] = []
    for reference in references:
        if reference == "-" and standard_input is not None:
            found += _from_input(standard_input.read(MOST_PIPED + 1))
        else:
            found += _from_reference(reference)
    return found


def _from_reference(reference: str) -> Iterator[Picture]:
    path = Path(reference)
    if path.is_dir():
        names = [str(path / name) for name in Folder(path).listing().names if not _is_something_else(name)]
        where = f"the folder {reference} contains no images"
    elif path.exists():
        names, where = [reference], ""
    elif glob.has_magic(reference):
        # pathlib's own patterns cannot begin at the root or with "..".
        matches = glob.glob(reference, recursive=True)  # noqa: PTH207
        names = sorted(name for name in matches if Path(name).is_file())
        where = f"no file matches {reference}"
    else:
        names, where = [], f"file {reference} not found"
    if not names:
        raise DataError(where, "Give image files, folders of images, or patterns: 'photos/**/*.jpg'.")
    return (Picture(name) for name in names)


def _from_input(content: bytes) -> Iterator[Picture]:
    """Take what came through standard input for an image if it is one, else for a list of paths."""
    if not content:
        raise DataError("standard input is empty", "Pipe in an image, or the paths of images, one per line.")
    if len(content) > MOST_PIPED:
        raise DataError(f"standard input has more than {MOST_PIPED:,} bytes", "Name the files, or pipe in their paths.")
    if _is_image(content):
        yield Picture("-", piped=content)
        return
    if len(content) > MOST_PATHS:
        raise DataError(f"standard input has more than {MOST_PATHS:,} bytes of paths")
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        known = ", ".join(FORMATS)
        raise DataError(f"standard input is neither an image ({known}) nor a list of paths") from error
    # One after the other: a list of the empty names between as many zero bytes would take eight times the memory.
    names = (found[0] for found in re.finditer(r"[^\0]+", text)) if "\0" in text else text.splitlines()
    for name in names:
        if name:
            yield from _from_reference(name)


def _is_image(content: bytes) -> bool:
    try:
        with Image.open(io.BytesIO(content), formats=FORMATS):
            return True
    except UnidentifiedImageError:
        return False
    except Exception:  # noqa: BLE001 - an image that is damaged or too large: said when it is decoded
        return True


def _is_something_else(name: str) -> bool:
    kind = mimetypes.guess_type(name)[0]
    return kind is not None and not kind.startswith("image/")
