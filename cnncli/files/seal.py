"""A checksum inside a JSON document: a number that was changed afterwards is not believed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

KEY = "sha256_of_the_rest"


def sealed(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return a document with the checksum of all else that it holds; there must be no NaN in it."""
    # As JSON has it: keys that are numbers become text, tuples become lists.
    document = json.loads(json.dumps(document))
    return {**document, KEY: _digest(document)}


def unsealed(document: dict[str, Any]) -> dict[str, Any]:
    """Return a document without its checksum; one of an earlier version has none.

    Raises:
        ValueError: If the checksum is that of another content.
    """
    if KEY not in document:
        return document
    rest = {name: value for name, value in document.items() if name != KEY}
    if document[KEY] != _digest(rest):
        raise ValueError("it does not match its own checksum, so it was changed after it was written")
    return rest


def _digest(document: Mapping[str, Any]) -> str:
    """Return the digest of a document, whatever its spaces and the order of its keys."""
    return sha256(json.dumps(document, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
