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
from typing import BinaryIO

from cnncli.errors import DataError
from cnncli.files import durable

_BLOCK = 2**20
_TIMEOUT = 30.0
"""Seconds without a byte after which a download is given up."""

_NOTE_EVERY = 10.0
"""Seconds between two lines about a download that is going on."""


@dataclass(frozen=True)
class PublishedFile:
    """A file that never changes.

    Attributes:
        url: Where it is published.
        name: Where `keras.datasets` keeps it, below its folder of data sets.
        size: Its bytes.
        digest: Its SHA-256, or its MD5 where nothing else is published, in hexadecimal.
    """

    url: str
    name: str
    size: int
    digest: str


def folder() -> Path:
    """Return the folder where `keras.datasets` keeps its files, by the rules of `keras.utils.get_file`."""
    home = Path(os.environ.get("KERAS_HOME") or Path.home() / ".keras").expanduser()
    with suppress(OSError):
        home.mkdir(parents=True, exist_ok=True)
    if not os.access(home, os.W_OK):
        home = Path(tempfile.gettempdir()) / ".keras"
    return home / "datasets"


def open_published(file: PublishedFile) -> BinaryIO:
    """Open a published file at its first byte, downloaded if it is not in the cache.

    Its bytes are checked through the very handle that is returned: no other file can take its place in between.

    Raises:
        DataError: If what the network gives is not the published file.
        OSError: If there is no network, or no room in the cache.
    """
    path = folder() / file.name
    if path.is_file():
        cached = path.open("rb")
        if digest(cached, file.digest) == file.digest:
            return cached
        cached.close()
        _note(f"{path} is damaged and is downloaded again")
    _download(file, path)
    downloaded = path.open("rb")
    check(downloaded, file, str(path))
    return downloaded


def check(opened: BinaryIO | FileIO, file: PublishedFile, origin: str) -> None:
    """Go back to the first byte of an open file; raise DataError if it is not the published one."""
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
    """Put a file into the cache, whole or not at all."""
    _note(f"downloading {file.url} ({file.size / 1e6:.1f} MB)")
    path.parent.mkdir(parents=True, exist_ok=True)
    durable.remove_leftovers(path.parent, of=path)
    with durable.replacement(path) as target:
        _copy(file, target)
        check(target, file, file.url)


def _copy(file: PublishedFile, target: FileIO) -> None:
    """Write what the network gives, but never more than the file's size."""
    from http.client import HTTPException  # with TLS they take 10 ms, and a set is downloaded once
    from urllib.error import URLError
    from urllib.request import urlopen

    done, noted = 0, time.monotonic()
    try:
        with urlopen(file.url, timeout=_TIMEOUT) as response:  # noqa: S310 - the URLs are fixed
            while done < file.size and (block := response.read(min(_BLOCK, file.size - done))):
                durable.write(target, block)
                done += len(block)
                if time.monotonic() - noted >= _NOTE_EVERY:
                    noted = time.monotonic()
                    _note(f"downloaded {done / 1e6:.1f} of {file.size / 1e6:.1f} MB")
    except (URLError, HTTPException) as error:
        raise OSError(f"{file.url}: {error.reason if type(error) is URLError else error}") from error
    if done < file.size:
        raise OSError(f"{file.url} ended after {done:,} of {file.size:,} bytes")


def _note(text: str) -> None:
    sys.stderr.write(text + "\n")
    sys.stderr.flush()
