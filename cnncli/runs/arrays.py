"""Arrays as raw bytes in one file: what a checkpoint's `arrays.bin` is."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from cnncli.files.durable import Buffer
from cnncli.files.read import open_file
from cnncli.runs.manifest import Damage, Entry, Manifest

Array = npt.NDArray[Any]
ALIGNMENT = 64
CHUNK = 1 << 22
PLAIN_KINDS = "biufc"


def layout(arrays: Mapping[str, Array]) -> tuple[Entry, ...]:
    """Return where each array is to lie: one after the other, each at a multiple of 64 bytes.

    Raises:
        TypeError: If an array holds something else than numbers.
    """
    entries, offset = [], 0
    for name, array in arrays.items():
        if array.dtype.kind not in PLAIN_KINDS and not _is_extension(array.dtype.name):
            raise TypeError(f"{name} contains {array.dtype}, expected numbers")
        offset += -offset % ALIGNMENT
        entries.append(Entry(name, array.dtype.name, array.shape, offset, array.nbytes))
        offset += array.nbytes
    return tuple(entries)


def chunks(arrays: Mapping[str, Array], entries: tuple[Entry, ...]) -> Iterator[Buffer]:
    """Yield the file's bytes, a few MB at a time."""
    end = 0
    for entry in entries:
        if entry.offset > end:
            yield bytes(entry.offset - end)
        values = _raw(arrays[entry.name])
        for start in range(0, entry.num_bytes, CHUNK):
            yield values[start : start + CHUNK]
        end = entry.offset + entry.num_bytes


def read(path: Path, manifest: Manifest) -> dict[str, Array]:
    """Read all arrays, proven to be those that were written.

    Raises:
        Damage: If the file's size or digest is not the manifest's.
        OSError: If it cannot be read.
    """
    with open_file(path, follow=False) as file:
        size = os.fstat(file.fileno()).st_size
        if size != manifest.num_bytes:
            raise Damage(f"{path.name} has {size:,} bytes, expected {manifest.num_bytes:,}")
        buffer = np.empty(size, np.uint8)
        num_read = file.readinto(buffer.data)
    if num_read != size or sha256(buffer.data).hexdigest() != manifest.sha256:
        raise Damage(f"the checksum of {path.name} differs from the manifest in {path.parent.name}")
    return {entry.name: _take(buffer, entry) for entry in manifest.entries}


def first_non_finite(arrays: Mapping[str, Array]) -> str | None:
    """Return the name of the first array with a NaN or an infinity."""
    return next((name for name, array in arrays.items() if not np.isfinite(array).all()), None)


def _raw(array: Array) -> memoryview:
    """Return an array's values as little-endian bytes, without a copy where they lie so."""
    if array.dtype.kind in PLAIN_KINDS:
        array = array.astype(array.dtype.newbyteorder("<"), copy=False)
    return np.ascontiguousarray(array).reshape(-1).view(np.uint8).data


def _take(buffer: npt.NDArray[np.uint8], entry: Entry) -> Array:
    """Return one array of the file as a view of its bytes."""
    try:
        return buffer[entry.offset : entry.offset + entry.num_bytes].view(_dtype(entry.dtype)).reshape(entry.shape)
    except (TypeError, ValueError, SyntaxError) as error:  # NumPy parses names of types.
        raise Damage(f"array {entry.name} does not match its description: {error}") from error


def _dtype(name: str) -> np.dtype[Any]:
    """Return the little-endian type of that name."""
    if _is_extension(name):
        import ml_dtypes

        extension: np.dtype[Any] = np.dtype(getattr(ml_dtypes, name))
        return extension
    dtype: np.dtype[Any] = np.dtype(name)
    if dtype.kind not in PLAIN_KINDS:
        raise TypeError(f"{name} is not a numeric type")
    little: np.dtype[Any] = dtype.newbyteorder("<")
    return little


def _is_extension(name: str) -> bool:
    """Tell whether a type is one of the small floats of ml_dtypes, which NumPy itself does not know."""
    return re.fullmatch(r"bfloat16|float[468]_\w+", name) is not None
