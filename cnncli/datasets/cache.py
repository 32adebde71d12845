"""Facts of images kept between runs, so that a folder is decoded once.

Nothing that is read here is believed for being here. Each file begins with a checksum of its name and its content, so
that a damaged one, or one in another's place, is as good as none; and what it says of an image holds only as long as
the stamp of the image's own file does, see `stamps`.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import sys
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b, sha256
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import PIL

from cnncli.datasets.facts import Facts
from cnncli.datasets.stamps import Hashes, Stamps
from cnncli.files.durable import remove_leftovers, replacement, write
from cnncli.files.read import read_bytes

_VERSION = 4
"""Of the files, and of the rules by which images are decoded and measured: what was found by older rules is not used.
3: colour profiles are applied. 4: checksums, stamps."""

_SEAL = b"cnncli cache "
_HASH_BYTES = 32
_MOST_BYTES = 2**32


def folder() -> Path:
    """Return the user's cache folder for cnncli: below XDG_CACHE_HOME if that is set."""
    if given := os.environ.get("XDG_CACHE_HOME"):
        return Path(given) / "cnncli"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "cnncli"
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData" / "Local")) / "cnncli" / "Cache"
    return Path.home() / ".cache" / "cnncli"


@dataclass(frozen=True)
class Known:
    """What is known of some files.

    Attributes:
        names: The files.
        stamps: What the system said of each when it was looked at.
        contents: Hash of what each contained.
        facts: A row for each; zeros where `reasons` says that the file is bad.
        reasons: Why a file is bad, "" for a good one.
    """

    names: Sequence[str]
    stamps: Stamps
    contents: Hashes
    facts: Facts
    reasons: list[str]


def _path(identity: str, channels: int) -> Path:
    key = sha256(f"{_VERSION} {PIL.__version__} {channels} {identity}".encode("utf-8", "surrogateescape"))
    return folder() / f"facts-{key.hexdigest()[:32]}.sealed"


def load(identity: str, channels: int) -> Known | None:
    """Return what an earlier run found in a store, or None."""
    content = _read(_path(identity, channels))
    if content is None:
        return None
    try:
        stored = np.load(content, allow_pickle=False)
        vocabulary = tuple(json.loads(stored["vocabulary"].tobytes()))
        columns = {name: stored[name] for name in Facts.columns()}
        known = Known(
            names=parted(stored["names"]),
            stamps=stored["stamps"],
            contents=stored["contents"],
            facts=Facts(**columns, vocabulary=vocabulary),
            reasons=parted(stored["reasons"]),
        )
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile):
        return None
    lengths = {len(known.names), len(known.stamps), len(known.contents), len(known.facts), len(known.reasons)}
    return known if len(lengths) == 1 else None


def save(identity: str, channels: int, known: Known) -> None:
    """Save the results; a cache that cannot be written is not an error: the next run scans again."""
    content = {name: getattr(known.facts, name) for name in Facts.columns()} | {
        "vocabulary": np.frombuffer(json.dumps(known.facts.vocabulary).encode(), np.uint8),
        "names": joined(known.names),
        "reasons": joined(known.reasons),
        "stamps": known.stamps,
        "contents": known.contents,
    }
    buffer = io.BytesIO()
    np.savez(buffer, **content)
    _write(_path(identity, channels), buffer.getbuffer())


def load_arrays(identity: str) -> dict[str, npt.NDArray[Any]] | None:
    """Return the arrays that `save_arrays` kept for an identity, or None."""
    content = _read(_arrays_path(identity))
    if content is None:
        return None
    try:
        with np.load(content, allow_pickle=False) as stored:
            return {name: stored[name] for name in stored.files}
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile):
        return None


def save_arrays(identity: str, arrays: dict[str, npt.NDArray[Any]]) -> None:
    """Keep arrays for an identity."""
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **arrays)
    _write(_arrays_path(identity), buffer.getbuffer())


def _arrays_path(identity: str) -> Path:
    key = sha256(f"{_VERSION} {PIL.__version__} {identity}".encode("utf-8", "surrogateescape"))
    return folder() / f"arrays-{key.hexdigest()[:32]}.sealed"


def load_document(key: str) -> dict[str, Any] | None:
    """Return what `save_document` kept under a key, or None."""
    content = _read(_document_path(key))
    if content is None:
        return None
    try:
        document = json.loads(content.read())
    except ValueError:
        return None
    return document if isinstance(document, dict) else None


def save_document(key: str, document: dict[str, Any]) -> None:
    """Keep a document that follows from `key`, a hash of all it is made from."""
    _write(_document_path(key), json.dumps(document).encode())


def _document_path(key: str) -> Path:
    return folder() / f"passport-{_VERSION}-{key[:32]}.sealed"


def _seal(path: Path, content: bytes | memoryview) -> bytes:
    """Return the beginning of a file: a checksum of its content, which holds under its own name alone."""
    checksum = blake2b(path.name.encode() + b"\0", digest_size=_HASH_BYTES)
    checksum.update(content)
    return _SEAL + checksum.digest()


def _read(path: Path) -> io.BytesIO | None:
    """Return a file's content behind its seal, or None where there is no file, or not the one that was written."""
    try:
        size = path.stat().st_size
        content = read_bytes(path, min(size, _MOST_BYTES))
    except OSError:
        return None
    start = len(_SEAL) + _HASH_BYTES
    if content[:start] != _seal(path, memoryview(content)[start:]):
        return None
    stream = io.BytesIO(content)
    stream.seek(start)
    return stream


def _write(path: Path, content: bytes | memoryview) -> None:
    """Replace a file at once; a disk that is full or read-only leaves no trace."""
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        remove_leftovers(path.parent)
        # Not waited for: what a power failure leaves of it has no seal.
        with replacement(path, wait=False) as file:
            write(file, _seal(path, content))
            write(file, content)


def joined(texts: Sequence[str]) -> npt.NDArray[np.uint8]:
    """Return texts as bytes, each ended by a zero byte."""
    joined = "".join(text.replace("\0", " ") + "\0" for text in texts)
    return np.frombuffer(joined.encode("utf-8", "surrogateescape"), np.uint8)


def parted(stored: npt.NDArray[Any]) -> list[str]:
    """Return the texts that `joined` was given."""
    return stored.tobytes().decode("utf-8", "surrogateescape").split("\0")[:-1]
