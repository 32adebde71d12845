"""Facts of images kept between runs, so that a folder is decoded once."""

from __future__ import annotations

import contextlib
import io
import json
import os
import sys
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import PIL

from cnncli.datasets.facts import Facts
from cnncli.files import durable

_VERSION = 3
"""Of the rules by which images are decoded and measured: what was found by older rules is not used. 3: colour profiles
are applied."""


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
        sizes: Bytes of each when it was looked at.
        stamps: Time of change, or checksum, of each when it was looked at.
        facts: A row for each; zeros where `reasons` says that the file is bad.
        reasons: Why a file is bad, "" for a good one.
    """

    names: Sequence[str]
    sizes: npt.NDArray[np.int64]
    stamps: npt.NDArray[np.int64]
    facts: Facts
    reasons: list[str]


def _path(identity: str, channels: int) -> Path:
    key = sha256(f"{_VERSION} {PIL.__version__} {channels} {identity}".encode("utf-8", "surrogateescape"))
    return folder() / f"facts-{key.hexdigest()[:32]}.npz"


def load(identity: str, channels: int) -> Known | None:
    """Return what an earlier run found in a store, or None."""
    try:
        with _path(identity, channels).open("rb") as file:
            stored = np.load(file, allow_pickle=False)
            vocabulary = tuple(json.loads(stored["vocabulary"].tobytes()))
            columns = {name: stored[name] for name in Facts.columns()}
            known = Known(
                names=_split(stored["names"]),
                sizes=stored["file_sizes"],
                stamps=stored["stamps"],
                facts=Facts(**columns, vocabulary=vocabulary),
                reasons=_split(stored["reasons"]),
            )
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile):
        return None
    lengths = {len(known.names), len(known.sizes), len(known.stamps), len(known.facts), len(known.reasons)}
    return known if len(lengths) == 1 else None


def save(identity: str, channels: int, known: Known) -> None:
    """Save the results; a cache that cannot be written is not an error: the next run scans again."""
    path = _path(identity, channels)
    content = {name: getattr(known.facts, name) for name in Facts.columns()} | {
        "vocabulary": np.frombuffer(json.dumps(known.facts.vocabulary).encode(), np.uint8),
        "names": _join(known.names),
        "reasons": _join(known.reasons),
        "file_sizes": known.sizes,
        "stamps": known.stamps,
    }
    buffer = io.BytesIO()
    np.savez(buffer, **content)
    _write(path, buffer.getbuffer())


def load_document(key: str) -> dict[str, Any] | None:
    """Return what `save_document` kept under a key, or None."""
    try:
        document = json.loads((folder() / f"passport-{_VERSION}-{key[:32]}.json").read_bytes())
    except (OSError, ValueError):
        return None
    return document if isinstance(document, dict) else None


def save_document(key: str, document: dict[str, Any]) -> None:
    """Keep a document that follows from `key`, a hash of all it is made from."""
    _write(folder() / f"passport-{_VERSION}-{key[:32]}.json", json.dumps(document).encode())


def _write(path: Path, content: bytes | memoryview) -> None:
    """Replace a file at once; a disk that is full or read-only leaves no trace."""
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        durable.remove_leftovers(path.parent)
        durable.replace_file(path, content, wait=False)


def _join(texts: Sequence[str]) -> npt.NDArray[np.uint8]:
    joined = "".join(text.replace("\0", " ") + "\0" for text in texts)
    return np.frombuffer(joined.encode("utf-8", "surrogateescape"), np.uint8)


def _split(stored: npt.NDArray[np.uint8]) -> list[str]:
    return stored.tobytes().decode("utf-8", "surrogateescape").split("\0")[:-1]
