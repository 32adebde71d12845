"""One pass over mask files: every one is decoded in full, bad ones are reported, the pixels of each class counted."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, fields
from hashlib import blake2b
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from cnncli.datasets import cache
from cnncli.datasets.masks.coding import IGNORED, Coding, Mask
from cnncli.datasets.masks.targets import MaskFiles, MaskSource
from cnncli.datasets.masks.values import read_values
from cnncli.datasets.rehash import current
from cnncli.datasets.scan import Watch
from cnncli.datasets.stamps import Hashes, Stamps, content_hash, settled
from cnncli.errors import DataError
from cnncli.resources import available_threads

_HASH_BYTES = 16
_CHUNK = 64
_VERSION = 2
"""Of the facts that are kept. 2: hashes of the files' contents, orientations."""


@dataclass(frozen=True)
class MaskFacts:
    """What one pass over masks has found, in their order.

    Attributes:
        pixels: Pixels of each class, those that are ignored last: int64 (masks, classes + 1); zeros for a bad one.
        sizes: Height and width, int32 (masks, 2).
        hashes: Hash of the class numbers, uint8 (masks, 16).
        orientations: By which each was turned, 1 to 8 as in EXIF, uint8 (masks,); 0 for a bad one.
        contents: Hash of what each file contained, uint8 (masks, 16).
        reasons: Why a file is bad, "" for a good one.
    """

    pixels: npt.NDArray[np.int64]
    sizes: npt.NDArray[np.int32]
    hashes: npt.NDArray[np.uint8]
    orientations: npt.NDArray[np.uint8]
    contents: Hashes
    reasons: list[str]

    @classmethod
    def empty(cls, number: int, num_classes: int) -> MaskFacts:
        """Return facts to be filled in."""
        return cls(
            np.zeros((number, num_classes + 1), np.int64),
            np.zeros((number, 2), np.int32),
            np.zeros((number, _HASH_BYTES), np.uint8),
            np.zeros(number, np.uint8),
            np.zeros((number, _HASH_BYTES), np.uint8),
            [""] * number,
        )

    def columns(self) -> dict[str, npt.NDArray[Any]]:
        """Return the arrays by their names."""
        return {field.name: getattr(self, field.name) for field in fields(self) if field.name != "reasons"}

    def set(self, row: int, mask: Mask, orientation: int = 1) -> None:
        """Fill in what is to be known of a mask."""
        counted = np.bincount(mask.ravel(), minlength=IGNORED + 1)
        self.pixels[row, :-1] = counted[: self.pixels.shape[1] - 1]
        self.pixels[row, -1] = counted[IGNORED]
        self.sizes[row] = mask.shape
        self.hashes[row] = np.frombuffer(mask_hash(mask), np.uint8)
        self.orientations[row] = orientation


class MaskSet(NamedTuple):
    """All masks of a source, one for each image.

    Attributes:
        coding: What their values mean.
        splits: Split of each.
        images: Place of each image in the listing.
        names: What errors call each.
        source: The masks.
        facts: What is known of each.
        unpaired: File, split and reason of what has no partner.
        ignored: Number of files that are neither images nor masks.
    """

    coding: Coding
    splits: Sequence[str]
    images: Sequence[int]
    names: Sequence[str]
    source: MaskSource
    facts: MaskFacts
    unpaired: Sequence[tuple[str, str, str]]
    ignored: int


def mask_hash(mask: Mask) -> bytes:
    """Return 16 bytes that tell masks of any size apart."""
    return blake2b(mask.tobytes(), digest_size=_HASH_BYTES, salt=f"{mask.shape[0]}x{mask.shape[1]}".encode()).digest()


def scan_masks(files: MaskFiles, stamps: Stamps, watch: Watch | None = None) -> MaskFacts:
    """Measure masks; those that the cache knows by path and stamp are not opened.

    Args:
        files: The masks.
        stamps: What the system says of each file.
        watch: Called with the progress.
    """
    begun = time.time_ns()
    facts = MaskFacts.empty(len(files), len(files.coding.classes))
    identity = f"masks {_VERSION}:{files.coding.identity}:{files.store.identity}"
    known, rehash = _Known.of(cache.load_arrays(identity), files.names), current()
    believed = known.believed(stamps)
    if rehash is None:
        known.copy(np.flatnonzero(believed), facts)
    unread = np.flatnonzero(~believed if rehash is None else np.ones_like(believed)).tolist()
    if not unread:
        return facts
    _measure(files, unread, known if rehash is None else _Known.of(None, files.names), facts, watch)
    if rehash is not None:
        rehash.different += known.differences(np.flatnonzero(believed), files.names, facts)
    trusted = settled(stamps, begun)
    # What is bad is looked at again next time, whatever its stamp is.
    trusted[[bool(reason) for reason in facts.reasons]] = -1
    cache.save_arrays(identity, {"names": cache.joined(files.names), "stamps": trusted, **facts.columns()})
    return facts


class _Known(NamedTuple):
    """What the cache says of masks: its arrays, and the place there of each mask, -1 for one that it does not know."""

    arrays: Mapping[str, npt.NDArray[Any]]
    places: npt.NDArray[np.int64]

    @classmethod
    def of(cls, arrays: Mapping[str, npt.NDArray[Any]] | None, names: Sequence[str]) -> _Known:
        """Look masks up by their names."""
        if arrays is None:
            return cls({}, np.full(len(names), -1))
        row_of = {name: row for row, name in enumerate(cache.parted(arrays["names"]))}
        return cls(arrays, np.array([row_of.get(name, -1) for name in names], np.int64))

    def believed(self, stamps: Stamps) -> npt.NDArray[np.bool_]:
        """Say of which masks the stamp is as it was."""
        same = self.places >= 0
        if same.any():
            same[same] = (self.arrays["stamps"][self.places[same]] == stamps[same]).all(axis=1)
        return same

    def copy(self, rows: npt.NDArray[np.int64], facts: MaskFacts) -> None:
        """Take over what is known of some masks."""
        for name, column in facts.columns().items():
            if len(rows):
                column[rows] = self.arrays[name][self.places[rows]]

    def differences(self, rows: npt.NDArray[np.int64], names: Sequence[str], facts: MaskFacts) -> list[str]:
        """Name those among some masks of which the cache says something else than what was found."""
        differ = np.zeros(len(rows), np.bool_)
        for name, column in facts.columns().items():
            if len(rows):
                was = self.arrays[name][self.places[rows]]
                differ |= (was != column[rows]).reshape(len(rows), -1).any(axis=1)
        return [names[row] for row in rows[differ].tolist()]

    def contains(self, row: int, content: bytes) -> bool:
        """Say whether a good mask contained the same when the cache came to know it."""
        place = int(self.places[row])
        if place < 0 or not self.arrays["orientations"][place]:
            return False
        return bool(self.arrays["contents"][place].tobytes() == content)


def _measure(files: MaskFiles, rows: Sequence[int], known: _Known, facts: MaskFacts, watch: Watch | None) -> None:
    """Read masks; decode those whose content is not what the cache knows of them."""

    def measure(part: Sequence[int]) -> int:
        for row in part:
            name = files.names[row]
            try:
                content = files.store.read(name)
                hashed = content_hash(content)
                facts.contents[row] = np.frombuffer(hashed, np.uint8)
                if known.contains(row, hashed):
                    known.copy(np.array([row]), facts)
                    continue
                stored = read_values(content, name, files.coding.is_coloured)
                facts.set(row, files.coding.meant(stored, name), stored.orientation)
            except DataError as error:
                facts.reasons[row] = error.message.removeprefix(f"{name}: ")
        return len(part)

    done = 0
    pool = ThreadPoolExecutor(available_threads(), thread_name_prefix="decode")
    try:
        for part in as_completed([pool.submit(measure, rows[i : i + _CHUNK]) for i in range(0, len(rows), _CHUNK)]):
            done += part.result()
            if watch is not None:
                watch(done, len(rows))
    finally:
        pool.shutdown(cancel_futures=True)
