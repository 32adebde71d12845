"""Stamps: what the system says of a file, by which a later run tells whether it is still the same one.

A stamp that is as it was is believed. Where anything of it differs, the file is in doubt and its content is hashed:
what was found in it before holds for that content. So a network disk whose device has another number after each mount
costs a reading of all files, not a decoding, and no word is said about it.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from hashlib import blake2b

import numpy as np
import numpy.typing as npt

Stamp = tuple[int, ...]
"""Of one file: numbers that change when it does. The last two are times of change in nanoseconds, 0 if unknown."""

Stamps = npt.NDArray[np.int64]
"""(number, columns) of many files, a row each; -1 in a row that is never believed."""

Hashes = npt.NDArray[np.uint8]
"""(number, 16) hashes of the contents of files as they are stored; zeros where a file could not be read."""

MARGIN = 2_000_000_000
"""Nanoseconds that a change must be past to be told from the next one: file systems round by up to two seconds."""

_MOST = 2**63 - 1


def stamp_of(status: os.stat_result) -> Stamp:
    """Return what tells a file from another of the same path: size, device, inode, and both times of change.

    The system alone sets the second time, that of the inode: moving another file to the path changes it, whatever that
    file's own time is, and so does setting the first one back.
    """
    # Some systems number devices and inodes with all 64 bits, and a time may lie beyond the year 2262.
    device, inode = status.st_dev & _MOST, status.st_ino & _MOST
    return status.st_size, device, inode, min(status.st_mtime_ns, _MOST), min(status.st_ctime_ns, _MOST)


def table(stamps: Sequence[Stamp]) -> Stamps:
    """Return stamps as the rows of an array."""
    return np.array(stamps, np.int64).reshape(len(stamps), len(stamps[0]) if stamps else 2)


def settled(stamps: Stamps, now: int) -> Stamps:
    """Return stamps as they can be believed later: -1 for files that changed just before `now`, in nanoseconds.

    They may change again within one tick of the clock and have the same stamp.
    """
    fresh = stamps[:, -2:].max(axis=1) > now - MARGIN
    return np.where(fresh[:, None], -1, stamps)


def content_hash(content: bytes) -> bytes:
    """Return 16 bytes that are equal exactly for equal contents."""
    return blake2b(content, digest_size=16).digest()
