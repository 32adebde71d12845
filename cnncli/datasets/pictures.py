"""Image files that a user names one by one: files, folders, patterns, standard input."""

from __future__ import annotations

import glob
import io
import mimetypes
import os
import posixpath
import re
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO, NamedTuple

from PIL import Image, UnidentifiedImageError

from cnncli.datasets.images import FORMATS, is_plain
from cnncli.datasets.store import Folder, open_file, read_file
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

    def is_plain(self, channels: int) -> bool:
        """Say whether it is a file that any libjpeg decodes alike, without decoding it; False where that is unknown."""
        if self.piped is not None:
            return False
        try:
            with open_file(Path(self.name), self.name) as file:
                return is_plain(file, channels)
        except DataError:
            return False


class _Group(NamedTuple):
    """Images in one folder: the beginning that their names share, and the rest of each."""

    prefix: str
    names: list[str]
    piped: bytes | None = None


class Pictures:
    """Images in the order in which they are named; of each, no more than its name is kept."""

    def __init__(self) -> None:
        self._groups: list[_Group] = []

    def __len__(self) -> int:
        return sum(len(group.names) for group in self._groups)

    def __iter__(self) -> Iterator[Picture]:
        return (Picture(group.prefix + name, group.piped) for group in self._groups for name in group.names)

    def add(self, group: _Group) -> None:
        """Add images behind the others."""
        last = self._groups[-1] if self._groups else None
        if last is not None and last.prefix == group.prefix and last.piped is None is group.piped:
            last.names.extend(group.names)
        else:
            self._groups.append(group)


def pictures(references: Sequence[str], standard_input: BinaryIO | None = None) -> Pictures:
    """Return the images that a user means, in the order in which they are named.

    A folder stands for all files below it but those whose names say that they are not images; a pattern for what
    matches it ("**" goes into folders); "-" for standard input: one image, or the paths of images, one a line
    or between zero bytes.

    Raises:
        DataError: If one of them leads to nothing.
    """
    found = Pictures()
    for reference in references:
        if reference == "-" and standard_input is not None:
            for group in _from_input(standard_input.read(MOST_PIPED + 1)):
                found.add(group)
        else:
            found.add(_from_reference(reference))
    return found


def _from_reference(reference: str) -> _Group:
    kind = _kind(reference)
    if kind is not None and stat.S_ISDIR(kind):
        folder = Path(reference)
        names = [_native(name) for name in Folder(folder).names() if not is_something_else(name)]
        found, where = _Group(str(folder / "x")[:-1], names), f"the folder {reference} contains no images"
    elif kind is not None:
        found, where = _Group("", [reference]), ""
    elif glob.has_magic(reference):
        # pathlib's own patterns cannot begin at the root or with "..".
        matches = glob.glob(reference, recursive=True)  # noqa: PTH207
        names = sorted(name for name in matches if Path(name).is_file())
        found, where = _Group("", names), f"no file matches {reference}"
    else:
        found, where = _Group("", []), f"file {reference} not found"
    if not found.names:
        raise DataError(where, "Give image files, folders of images, or patterns: 'photos/**/*.jpg'.")
    return found


def _kind(path: str) -> int | None:
    """Return the mode of what a path leads to, None if it leads nowhere."""
    try:
        return Path(path).stat().st_mode
    except (OSError, ValueError):
        return None


def _native(name: str) -> str:
    return name if os.sep == "/" else name.replace("/", os.sep)


def _from_input(content: bytes) -> Iterator[_Group]:
    """Take what came through standard input for an image if it is one, else for a list of paths."""
    if not content:
        raise DataError("standard input is empty", "Pipe in an image, or the paths of images, one per line.")
    if len(content) > MOST_PIPED:
        raise DataError(f"standard input has more than {MOST_PIPED:,} bytes", "Name the files, or pipe in their paths.")
    if _is_image(content):
        yield _Group("", ["-"], piped=content)
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
            yield _from_reference(name)


def _is_image(content: bytes) -> bool:
    try:
        with Image.open(io.BytesIO(content), formats=FORMATS):
            return True
    except UnidentifiedImageError:
        return False
    except Exception:  # noqa: BLE001 - an image that is damaged or too large: said when it is decoded
        return True


def is_something_else(name: str) -> bool:
    """Say whether a file's name says that it is not an image."""
    suffix = posixpath.splitext(name)[1]
    return _names_something_else(name if suffix in mimetypes.encodings_map else "x" + suffix)


@lru_cache(maxsize=1024)
def _names_something_else(name: str) -> bool:
    kind = mimetypes.guess_type(name)[0]
    return kind is not None and not kind.startswith("image/")
