"""What a checkpoint holds, as a text that proves itself whole.

The manifest carries the SHA-256 of the arrays' file and of itself, and its bytes are the only ones
that its document can have: so one flipped bit anywhere in a checkpoint is seen.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from hashlib import sha256
from typing import Any

from cnncli.files.durable import to_json

FORMAT = 1


class Damage(Exception):  # noqa: N818 - a finding that the store answers, not an error for the user
    """What is wrong with a checkpoint's files."""


@dataclass(frozen=True)
class Entry:
    """Where one array lies in the arrays' file.

    Attributes:
        name: The array's name.
        dtype: NumPy's or ml_dtypes's name of the value type, "float32"; always little-endian.
        shape: Lengths of the axes.
        offset: First byte in the file.
        num_bytes: Number of bytes.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    offset: int
    num_bytes: int


@dataclass(frozen=True)
class Manifest:
    """A checkpoint but for its arrays' values.

    Attributes:
        step: Training step after which it was written.
        best: Name of the best checkpoint when this one was written, or None.
        written: Local time.
        num_bytes: Size of the arrays' file.
        sha256: Digest of the arrays' file.
        entries: One for each array, in the file's order.
        meta: What the trainer added: plain data.
    """

    step: int
    best: str | None
    written: str
    num_bytes: int
    sha256: str
    entries: tuple[Entry, ...]
    meta: Mapping[str, Any]

    def to_bytes(self) -> bytes:
        """Return manifest.json's content."""
        document = {"format": FORMAT, **asdict(self)}
        return _encode({**document, "manifest_sha256": _digest(document)})

    @classmethod
    def from_bytes(cls, content: bytes) -> Manifest:
        """Read manifest.json's content.

        Raises:
            Damage: If it is not, to the last bit, what `to_bytes` gave.
        """
        try:
            document = json.loads(content)
            whole = _encode(document) == content
            digest = document.pop("manifest_sha256")
        except (ValueError, KeyError, AttributeError, RecursionError) as error:
            raise Damage("manifest.json is not readable") from error
        if not whole or digest != _digest(document):
            raise Damage("manifest.json does not match its own checksum")
        if document.pop("format") != FORMAT:
            raise Damage("it was written by another version of cnncli")
        entries = tuple(Entry(**{**entry, "shape": tuple(entry["shape"])}) for entry in document.pop("entries"))
        return cls(entries=entries, **document)


def _encode(document: Mapping[str, Any]) -> bytes:
    """Return the one content that a document has."""
    return to_json(document).encode()


def _digest(document: Mapping[str, Any]) -> str:
    """Return the digest of a document's content."""
    return sha256(_encode(document)).hexdigest()
