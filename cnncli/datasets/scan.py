"""One pass over image files: every one is decoded in full, the bad ones are reported, the rest measured."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, replace

import numpy as np

from cnncli.datasets import cache
from cnncli.datasets.cache import Known
from cnncli.datasets.facts import Facts
from cnncli.datasets.files import Files
from cnncli.datasets.images import FORMATS, MODES, examine
from cnncli.datasets.recalled import Recalled
from cnncli.datasets.rehash import current
from cnncli.datasets.stamps import Hashes, Stamps, content_hash, settled
from cnncli.errors import DataError
from cnncli.resources import available_threads

Watch = Callable[[int, int], None]
"""Called with the number of files done and of all files."""

_CHUNK = 64
_OTHER = "other"
VOCABULARY = (*(f"{name} {mode}" for name in (*FORMATS, "MPO") for mode in MODES), _OTHER)
"""What a file may be stored as: format and mode."""

_KINDS = {kind: number for number, kind in enumerate(VOCABULARY)}


@dataclass(frozen=True)
class Scan:
    """What one pass over files has found, in their order.

    Attributes:
        facts: A row for each file; zeros for a bad one.
        reasons: Why a file is bad, "" for a good one.
        stamps: What the system said of each, as it can be believed later.
        contents: Hash of what each contained.
    """

    facts: Facts
    reasons: list[str]
    stamps: Stamps
    contents: Hashes

    def told_to(self, files: Files) -> Files:
        """Return the files that were scanned, with what is known of them now."""
        facts = self.facts
        return replace(files, plain=facts.plain, sizes=facts.sizes, stamps=self.stamps, contents=self.contents)


def scan(files: Files, stamps: Stamps, watch: Watch | None = None) -> Scan:
    """Measure files; those that the cache knows by path and stamp are not opened.

    Args:
        files: The files.
        stamps: What the system says of each.
        watch: Called with the progress.
    """
    begun = time.time_ns()
    number, names = len(files), files.names
    facts = Facts.empty(number, files.channels, VOCABULARY)
    found = Known(names, stamps, np.zeros((number, 16), np.uint8), facts, [""] * number)
    recalled = Recalled.of(cache.load(files.store.identity, files.channels), names, VOCABULARY)
    believed = recalled.believed(stamps)
    rehash = current()
    if rehash is None:
        recalled.copy(np.flatnonzero(believed), found)
    unread = np.flatnonzero(~believed) if rehash is None else np.arange(number)
    trusted = settled(stamps, begun)
    if len(unread):
        _measure(files, unread.tolist(), found, recalled if rehash is None else None, watch)
        # What could not be read is tried again next time, whatever its stamp is.
        trusted[~found.contents.any(axis=1)] = -1
        cache.save(files.store.identity, files.channels, replace(found, stamps=trusted))
    if rehash is not None:
        rehash.compare(recalled, believed, found)
    return Scan(found.facts, found.reasons, trusted, found.contents)


def _measure(files: Files, rows: Sequence[int], found: Known, recalled: Recalled | None, watch: Watch | None) -> None:
    """Read files; decode those whose content is not what the cache knows of them."""

    def measure(part: Sequence[int]) -> int:
        same = []
        for row in part:
            name = files.names[row]
            try:
                content = files.read(row)
                hashed = content_hash(content)
                found.contents[row] = np.frombuffer(hashed, np.uint8)
                if recalled is not None and recalled.contains(row, hashed):
                    same.append(row)
                    continue
                decoded = examine(content, files.channels, name)
                found.facts.set(row, decoded, _KINDS.get(f"{decoded.format} {decoded.mode}", _KINDS[_OTHER]))
            except DataError as error:
                found.reasons[row] = error.message.removeprefix(f"{name}: ")
        if recalled is not None:
            recalled.copy(np.array(same, np.int64), found)
        return len(part)

    done = 0
    pool = ThreadPoolExecutor(available_threads(), thread_name_prefix="decode")
    try:
        parts = [pool.submit(measure, rows[i : i + _CHUNK]) for i in range(0, len(rows), _CHUNK)]
        for part in as_completed(parts):
            done += part.result()
            if watch is not None:
                watch(done, len(rows))
    finally:
        pool.shutdown(cancel_futures=True)
