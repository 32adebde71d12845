"""One pass over mask files: every one is decoded in full, bad ones are reported, the pixels of each class counted."""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from hashlib import blake2b
from typing import Any

import numpy as np
import numpy.typing as npt

from cnncli.datasets import cache
from cnncli.datasets.masks.coding import IGNORED, Mask
from cnncli.datasets.masks.targets import MaskFiles
from cnncli.datasets.rehash import current
from cnncli.datasets.stamps import Stamps, settled
from cnncli.errors import DataError
from cnncli.resources import available_threads

_HASH_BYTES = 16


@dataclass(frozen=True)
class MaskFacts:
    """What one pass over masks has found, in their order.

    Attributes:
        pixels: Pixels of each class, those that are ignored last: int64 (masks, classes + 1); zeros for a bad one.
        sizes: Height and width, int32 (masks, 2).
        hashes: Hash of the class numbers, uint8 (masks, 16).
        reasons: Why a file is bad, "" for a good one.
    """

    pixels: npt.NDArray[np.int64]
    sizes: npt.NDArray[np.int32]
    hashes: npt.NDArray[np.uint8]
    reasons: list[str]

    @classmethod
    def empty(cls, number: int, num_classes: int) -> MaskFacts:
        """Return facts to be filled in."""
        return cls(
            np.zeros((number, num_classes + 1), np.int64),
            np.zeros((number, 2), np.int32),
            np.zeros((number, _HASH_BYTES), np.uint8),
            [""] * number,
        )

    def set(self, row: int, mask: Mask) -> None:
        """Fill in what is to be known of a mask."""
        counted = np.bincount(mask.ravel(), minlength=IGNORED + 1)
        self.pixels[row, :-1] = counted[: self.pixels.shape[1] - 1]
        self.pixels[row, -1] = counted[IGNORED]
        self.sizes[row] = mask.shape
        self.hashes[row] = np.frombuffer(mask_hash(mask), np.uint8)


def mask_hash(mask: Mask) -> bytes:
    """Return 16 bytes that tell masks of any size apart."""
    return blake2b(mask.tobytes(), digest_size=_HASH_BYTES, salt=f"{mask.shape[0]}x{mask.shape[1]}".encode()).digest()


def scan_masks(files: MaskFiles, stamps: Stamps) -> MaskFacts:
    """Measure masks; those that the cache knows by path and stamp are not opened.

    Args:
        files: The masks.
        stamps: What the system says of each file.
    """
    begun = time.time_ns()
    facts = MaskFacts.empty(len(files), len(files.coding.classes))
    identity = f"masks:{files.coding.identity}:{files.store.identity}"
    known = None if current() is not None else cache.load_arrays(identity)
    unread = _recall(known, files.names, stamps, facts)
    if unread:
        with ThreadPoolExecutor(available_threads(), thread_name_prefix="decode") as pool:
            list(pool.map(partial(_measure, files, facts), unread))
        trusted = settled(stamps, begun)
        trusted[[bool(reason) for reason in facts.reasons]] = -1
        names = cache.joined(files.names)
        cache.save_arrays(
            identity,
            {
                "names": names,
                "stamps": trusted,
                "pixels": facts.pixels,
                "sizes": facts.sizes,
                "hashes": facts.hashes,
            },
        )
    return facts


def _measure(files: MaskFiles, facts: MaskFacts, row: int) -> None:
    try:
        facts.set(row, files.read(row))
    except DataError as error:
        facts.reasons[row] = error.message.removeprefix(f"{files.names[row]}: ")


def _recall(
    known: dict[str, npt.NDArray[Any]] | None, names: Sequence[str], stamps: Stamps, facts: MaskFacts
) -> list[int]:
    """Copy what is known of masks whose stamps are as they were; return the rows of all others."""
    if known is None:
        return list(range(len(names)))
    places = {name: place for place, name in enumerate(cache.parted(known["names"]))}
    unread = []
    for row, name in enumerate(names):
        place = places.get(name)
        if place is None or not np.array_equal(known["stamps"][place], stamps[row]):
            unread.append(row)
            continue
        facts.pixels[row] = known["pixels"][place]
        facts.sizes[row] = known["sizes"][place]
        facts.hashes[row] = known["hashes"][place]
    return unread
