"""What a checkpoint holds, as a text that proves itself whole.

The manifest carries the SHA-256 of the arrays' file and of itself, and its bytes are the only ones
that its document can have: so one flipped bit anywhere in a checkpoint is seen.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from hashlib import sha256
from typing import Any

from cnncli.files.durable import to_json
from cnncli.files.form import anything, listed, mapped, matching, optional, record, text, whole
from cnncli.files.read import parse_json

FORMAT = 1

NAME = re.compile(r"step-(\d{8,})(?:-(\d+))?")
"""Of a checkpoint's directory."""

_ENTRY = {"name": text(1), "dtype": text(1), "shape": listed(whole()), "offset": whole(), "num_bytes": whole()}
_FORM = record(
    {
        "step": whole(),
        "best": optional(matching(NAME)),
        "written": text(),
        "num_bytes": whole(),
        "sha256": text(64, 64),
        "entries": listed(record(_ENTRY)),
        "meta": mapped(anything),
    }
)
"""A manifest of this format; one made by somebody else may match its checksum and hold anything."""


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
            document = parse_json(content)
            is_whole = _encode(document) == content
            digest = document.pop("manifest_sha256")
        except (ValueError, KeyError, AttributeError, TypeError) as error:
            raise Damage("manifest.json is not readable") from error
        if not is_whole or digest != _digest(document):
            raise Damage("manifest.json does not match its own checksum")
        if document.get("format") != FORMAT:
            raise Damage("it was written by another version of cnncli")
        try:
            _FORM(document)
        except ValueError as error:
            raise Damage(f"manifest.json: {error}") from error
        entries = tuple(_entry(entry) for entry in document.pop("entries"))
        return cls(entries=entries, **{name: document[name] for name in _REST})


_REST = ("step", "best", "written", "num_bytes", "sha256", "meta")


def _entry(document: Mapping[str, Any]) -> Entry:
    shape = tuple(document["shape"])
    return Entry(document["name"], document["dtype"], shape, document["offset"], document["num_bytes"])


def _encode(document: Mapping[str, Any]) -> bytes:
    """Return the one content that a document has."""
    return to_json(document).encode()


def _digest(document: Mapping[str, Any]) -> str:
    """Return the digest of a document's content."""
    return sha256(_encode(document)).hexdigest()
