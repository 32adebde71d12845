"""Published files: found in the cache that Keras uses too, or downloaded into it, and checked before they are read."""

from __future__ import annotations

import hashlib
import os
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import Any, BinaryIO

from cnncli.errors import DataError
from cnncli.files import durable
from cnncli.files.locks import try_lock

_BLOCK = 2**20
_TIMEOUT = 30.0
"""Seconds without a byte after which a download is given up."""

_NOTE_EVERY = 10.0
"""Seconds between two lines about a download that is going on."""

_PARTIAL, _NOT_SATISFIABLE = 206, 416
"""HTTP's codes for a part of a file, and for a part that it does not have."""


MOST_BYTES = 2**31
"""Most bytes of a file whose size is not published."""


@dataclass(frozen=True)
class PublishedFile:
    """A file that never changes.

    Attributes:
        url: Where it is published.
        name: Where Keras keeps it, below its folder.
        size: Its bytes; None where that is not published.
        digest: Its SHA-256, or its MD5 where nothing else is published, in hexadecimal; None where neither is.
        folder: Keras's folder of such files: "datasets" or "models".
    """

    url: str
    name: str
    size: int | None
    digest: str | None
    folder: str = "datasets"


def folder(kind: str = "datasets") -> Path:
    """Return the folder where Keras keeps its files, by the rules of `keras.utils.get_file`."""
    home = Path(os.environ.get("KERAS_HOME") or Path.home() / ".keras").expanduser()
    with suppress(OSError):
        home.mkdir(parents=True, exist_ok=True)
    if not os.access(home, os.W_OK):
        home = Path(tempfile.gettempdir()) / ".keras"
    return home / kind


def open_published(file: PublishedFile) -> BinaryIO:
    """Open a published file at its first byte, downloaded if it is not in the cache.

    Its bytes are checked through the very handle that is returned: no other file can take its place in between.

    Raises:
        DataError: If what the network gives is not the published file.
        OSError: If there is no network, or no room in the cache.
    """
    path = folder(file.folder) / file.name
    if path.is_file():
        cached = path.open("rb")
        if file.digest is None or digest(cached, file.digest) == file.digest:
            return cached
        cached.close()
        _note(f"{path} is damaged and is downloaded again")
    _download(file, path)
    downloaded = path.open("rb")
    check(downloaded, file, str(path))
    return downloaded


def check(opened: BinaryIO | FileIO, file: PublishedFile, origin: str) -> None:
    """Go back to the first byte of an open file; raise DataError if it is not the published one."""
    if file.digest is None:
        opened.seek(0)
        return
    found = digest(opened, file.digest)
    if found != file.digest:
        name, kind = file.url.rpartition("/")[2], _kind(file.digest)
        raise DataError(
            f"{origin} is not the published {name}: its {kind} is {found}, expected {file.digest}",
            hint="Download it again.",
        )


def digest(opened: BinaryIO | FileIO, expected: str) -> str:
    """Return the digest of an open file, of the kind of the expected one, and go back to its first byte."""
    total = hashlib.new(_kind(expected).replace("-", ""), usedforsecurity=False)
    opened.seek(0)
    while block := opened.read(_BLOCK):
        total.update(block)
    opened.seek(0)
    return total.hexdigest()


def _kind(expected: str) -> str:
    return "SHA-256" if len(expected) == 64 else "MD5"


def _download(file: PublishedFile, path: Path) -> None:
    """Put a file into the cache, whole or not at all.

    What has come of one whose digest is known is kept beside it, as "NAME.part", and the next download goes on there.
    """
    size = "" if file.size is None else f" ({file.size / 1e6:.1f} MB)"
    _note(f"downloading {file.url}{size}")
    path.parent.mkdir(parents=True, exist_ok=True)
    durable.remove_leftovers(path.parent, of=path)
    part = path.with_name(f"{path.name}.part")
    with durable.reopen(part) as target:
        if not try_lock(target) or not _is_at(target, part):  # Another process downloads it too: each for itself.
            with durable.replacement(path) as own:
                _copy(file, own, 0)
                check(own, file, file.url)
            return
        try:
            _copy(file, target, 0 if file.digest is None else target.seek(0, os.SEEK_END))
            check(target, file, file.url)
            durable.fsync(target)
            durable.replace(part, path)
        except BaseException as error:
            if file.digest is None or isinstance(error, DataError) or target.seek(0, os.SEEK_END) == 0:
                with suppress(OSError):
                    part.unlink()
            raise
    durable.fsync_directory(path.parent)


def _is_at(opened: FileIO, path: Path) -> bool:
    """Say whether an open file still has its name: another process may have finished it meanwhile."""
    try:
        return os.path.samestat(os.fstat(opened.fileno()), path.stat())
    except OSError:
        return False


def _copy(file: PublishedFile, target: FileIO, start: int) -> None:
    """Write what the network gives from a byte on, but never more than the file's size."""
    from http.client import HTTPException  # with TLS they take 10 ms, and a set is downloaded once
    from urllib.error import HTTPError, URLError
    from urllib.request import Request, urlopen

    headers = {"Range": f"bytes={start}-"} if start else {}
    try:
        with urlopen(Request(file.url, headers=headers), timeout=_TIMEOUT) as response:  # noqa: S310 - URLs are fixed
            if getattr(response, "status", None) != _PARTIAL:
                start = 0
            target.seek(start)
            target.truncate(start)
            size = file.size if file.size is not None else _length(response, start)
            done = _copy_blocks(response, target, start, size)
    except HTTPError as error:
        if start and error.code == _NOT_SATISFIABLE:  # What is kept is as long as the file, or longer.
            return _copy(file, target, 0) if file.size is None or start > file.size else None
        raise OSError(f"{file.url}: {error}") from error
    except (URLError, HTTPException) as error:
        raise OSError(f"{file.url}: {error.reason if type(error) is URLError else error}") from error
    if done < size:
        raise OSError(f"{file.url} ended after {done:,} of {size:,} bytes")
    return None


def _length(response: Any, start: int) -> int:
    """Return the size of the whole file, as the server says it; raises OSError where it does not."""
    length = str(response.headers.get("Content-Length", ""))
    if not length.isascii() or not length.isdigit() or start + int(length) > MOST_BYTES:
        raise OSError(f"{response.url}: the server says no size, or more than {MOST_BYTES:,} bytes")
    return start + int(length)


def _copy_blocks(response: Any, target: FileIO, done: int, size: int) -> int:
    """Write a response block by block, and return how many bytes of the file there are then."""
    noted = time.monotonic()
    while done < size and (block := response.read(min(_BLOCK, size - done))):
        durable.write(target, block)
        done += len(block)
        if time.monotonic() - noted >= _NOTE_EVERY:
            noted = time.monotonic()
            _note(f"downloaded {done / 1e6:.1f} of {size / 1e6:.1f} MB")
    return done


def _note(text: str) -> None:
    sys.stderr.write(text + "\n")
    sys.stderr.flush()
