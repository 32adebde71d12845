"""Where image files are: what a folder or an archive lists, and how one file is read."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol

from cnncli.datasets.images import MAX_BYTES
from cnncli.datasets.stamps import Stamp, Stamps, stamp_of, table
from cnncli.errors import DataError

MAX_DEPTH = 64
"""Most folders within folders."""

_JUNK = frozenset({"__MACOSX", "@eaDir", "__pycache__", "$RECYCLE.BIN", "lost+found", "Thumbs.db", "desktop.ini"})


@dataclass(frozen=True)
class Listing:
    """The files of a store.

    Attributes:
        names: Path of each file below the root, with "/" between the parts.
        stamps: What the system says of each file.
        folders: Path of each folder below the root, empty ones too.
        bad: Path and reason of what is listed but cannot be read as a file.
        ignored: Number of hidden files and of files that systems leave behind.
    """

    names: Sequence[str]
    stamps: Stamps
    folders: Sequence[str]
    bad: Sequence[tuple[str, str]]
    ignored: int


class Store(Protocol):
    """A folder, an archive, or another place that holds encoded images."""

    @property
    def identity(self) -> str:
        """What the store is known by in the cache."""

    def listing(self) -> Listing:
        """Return what it holds."""

    def stamp(self, name: str) -> Stamp:
        """Return one file's stamp as it is now.

        Raises:
            OSError: If it cannot be looked at.
        """

    def read(self, name: str) -> bytes:
        """Return the content of one file."""


def is_junk(name: str) -> bool:
    """Say whether a path is hidden, or one that systems leave behind: .ipynb_checkpoints, __MACOSX, Thumbs.db."""
    return any((part.startswith(".") and part not in (".", "..")) or part in _JUNK for part in name.split("/"))


class Folder:
    """A folder on disk as a store of image files; links are followed, loops and special files reported.

    Args:
        root: The folder.

    Raises:
        DataError: If there is no such folder.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        if not root.is_dir():
            raise DataError(f"{root} is not a folder", hint="Set data.path to a folder of images, or a .zip of one.")

    @property
    def identity(self) -> str:
        """What the folder is known by in the cache."""
        return f"folder:{self.root.resolve()}"

    def listing(self) -> Listing:
        """Return the files below the folder, in the order of their names."""
        walk = _Walk()
        walk.enter(self.root, "", frozenset())
        walk.files.sort()
        return Listing(
            names=[name for name, _ in walk.files],
            stamps=table([stamp for _, stamp in walk.files]),
            folders=sorted(walk.folders),
            bad=sorted(walk.bad),
            ignored=walk.ignored,
        )

    def names(self) -> Iterator[str]:
        """Yield the files below the folder as `listing` does, but without a look at each: a million in seconds."""
        return _names(self.root, "", frozenset())

    def stamp(self, name: str) -> Stamp:
        """Return what the system says of one file now."""
        return stamp_of(os.stat(f"{self.root}/{name}"))  # noqa: PTH116 - for every image of every epoch

    def read(self, name: str) -> bytes:
        """Return one file's content.

        Raises:
            DataError: If it is not a regular file, is too large, or cannot be read.
        """
        return read_file(self.root / name, name)


def read_file(path: Path, name: str) -> bytes:
    """Return the content of a regular file of bearable size; `name` is what an error calls it."""
    try:
        with open_file(path, name) as file:
            return file.read()
    except OSError as error:
        raise DataError(f"{name}: {_reason(error)}") from error


def open_file(path: Path, name: str) -> BinaryIO:
    """Open a regular file of bearable size; `name` is what an error calls it."""
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise DataError(f"{name}: not a regular file")
        if status.st_size > MAX_BYTES:
            raise DataError(f"{name}: the file has {status.st_size:,} bytes; the limit is {MAX_BYTES:,}")
        return path.open("rb")
    except OSError as error:
        raise DataError(f"{name}: {_reason(error)}") from error


def _names(path: Path, prefix: str, above: frozenset[tuple[int, int]]) -> Iterator[str]:
    """Yield the files of one folder and of those below it; `above` holds the folders on the way to it."""
    try:
        status = path.stat()
        place = (status.st_dev, status.st_ino)
        if place in above or len(above) > MAX_DEPTH:
            return
        with os.scandir(path) as entries:
            # With the "/" behind a folder's name, the order is that of whole paths.
            found = sorted(filter(None, map(_listed, entries)))
    except OSError:
        return
    for name in found:
        if name.endswith("/"):
            yield from _names(path / name, prefix + name, above | {place})
        else:
            yield prefix + name


def _listed(entry: os.DirEntry[str]) -> str | None:
    """Return the name of a file, of a folder with "/" behind it, or None for everything else."""
    try:
        if is_junk(entry.name):
            return None
        if entry.is_file():
            return entry.name
        return entry.name + "/" if entry.is_dir() else None
    except OSError:
        return None


class _Walk:
    """What a walk through a folder has found so far."""

    def __init__(self) -> None:
        self.files: list[tuple[str, Stamp]] = []
        self.folders: list[str] = []
        self.bad: list[tuple[str, str]] = []
        self.ignored = 0

    def enter(self, path: Path, prefix: str, above: frozenset[tuple[int, int]]) -> None:
        """List one folder and what is below it; `above` holds the folders on the way to it."""
        try:
            status = path.stat()
            place = (status.st_dev, status.st_ino)
            if place in above or len(above) > MAX_DEPTH:
                reason = "a link to a folder that contains it" if place in above else f"below {MAX_DEPTH} folders"
                self.bad.append((prefix.rstrip("/"), reason))
                return
            for entry in _entries(path):
                self._add(entry, prefix + entry.name, above | {place})
        except OSError as error:
            self.bad.append((prefix.rstrip("/") or str(path), _reason(error)))

    def _add(self, entry: os.DirEntry[str], name: str, above: frozenset[tuple[int, int]]) -> None:
        if is_junk(entry.name):
            self.ignored += 1
            return
        try:
            status = entry.stat()
        except OSError as error:
            self.bad.append((name, _reason(error)))
            return
        if stat.S_ISDIR(status.st_mode):
            self.folders.append(name)
            self.enter(Path(entry.path), name + "/", above)
        elif stat.S_ISREG(status.st_mode):
            self.files.append((name, stamp_of(status)))
        else:
            self.bad.append((name, "not a regular file"))


def _entries(path: Path) -> Iterator[os.DirEntry[str]]:
    with os.scandir(path) as entries:
        yield from sorted(entries, key=lambda entry: entry.name)


def _reason(error: OSError) -> str:
    return (error.strerror or str(error)).lower()
