"""One pass over image files: every one is decoded in full, the bad ones are reported, the rest measured."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cnncli.datasets import cache
from cnncli.datasets.cache import Known
from cnncli.datasets.facts import Facts
from cnncli.datasets.files import Files
from cnncli.datasets.images import FORMATS, MODES
from cnncli.errors import DataError
from cnncli.resources import available_threads

Watch = Callable[[int, int], None]
"""Called with the number of files done and of all files."""

_CHUNK = 64
_OTHER = "other"
VOCABULARY = (*(f"{name} {mode}" for name in (*FORMATS, "MPO") for mode in MODES), _OTHER)
"""What a file may be stored as: format and mode."""

_KINDS = {kind: number for number, kind in enumerate(VOCABULARY)}
_SETTLED = 2_000_000_000
"""A file changed less than this many nanoseconds ago may change again without a new time of change."""


@dataclass(frozen=True)
class Scan:
    """Facts and reasons from one pass over files, in their order.

    Attributes:
        facts: A row for each file; zeros for a bad one.
        reasons: Why a file is bad, "" for a good one.
    """

    facts: Facts
    reasons: list[str]


def scan(files: Files, sizes: npt.NDArray[np.int64], stamps: npt.NDArray[np.int64], watch: Watch | None = None) -> Scan:
    """Measure files, those that the cache knows by path, size and stamp without opening them.

    Args:
        files: The files.
        sizes: Bytes of each.
        stamps: Time of change, or checksum, of each.
        watch: Called with the progress.
    """
    begun = time.time_ns()
    result = Scan(Facts.empty(len(files), files.channels, VOCABULARY), [""] * len(files))
    identity = files.store.identity
    known = cache.load(identity, files.channels)
    missing = _recall(known, Known(files.names, sizes, stamps, result.facts, result.reasons))
    if missing:
        _measure(files, missing, result, watch)
        settled = np.flatnonzero(stamps < begun - _SETTLED) if files.store.has_times else np.arange(len(files))
        rows = settled.tolist()
        names, reasons = [files.names[i] for i in rows], [result.reasons[i] for i in rows]
        cache.save(
            identity, files.channels, Known(names, sizes[settled], stamps[settled], result.facts.take(settled), reasons)
        )
    return result


def _recall(known: Known | None, wanted: Known) -> list[int]:
    """Copy what is known to the rows that want it; return the rows that stay empty."""
    if known is None or known.facts.vocabulary != VOCABULARY:
        return list(range(len(wanted.names)))
    row_of = {name: row for row, name in enumerate(known.names)}
    rows = np.array([row_of.get(name, -1) for name in wanted.names], np.int64)
    same = rows >= 0
    same[same] = (known.sizes[rows[same]] == wanted.sizes[same]) & (known.stamps[rows[same]] == wanted.stamps[same])
    for name in Facts.columns():
        getattr(wanted.facts, name)[same] = getattr(known.facts, name)[rows[same]]
    for row in np.flatnonzero(same).tolist():
        wanted.reasons[row] = known.reasons[int(rows[row])]
    return np.flatnonzero(~same).tolist()


def _measure(files: Files, rows: Sequence[int], result: Scan, watch: Watch | None) -> None:
    def measure(part: Sequence[int]) -> int:
        for row in part:
            try:
                decoded = files.examine(row)
                result.facts.set(row, decoded, _KINDS.get(f"{decoded.format} {decoded.mode}", _KINDS[_OTHER]))
            except DataError as error:
                result.reasons[row] = error.message.removeprefix(f"{files.names[row]}: ")
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
