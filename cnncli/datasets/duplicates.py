"""Images that are the same, or look the same."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from cnncli.datasets.facts import THUMB

MAX_DISTANCE = 4
"""Most bits in which the perceptual hashes of near-duplicates differ."""

MIN_CORRELATION = 0.985
"""Least correlation of the thumbnails of near-duplicates."""

_BANDS = MAX_DISTANCE + 1
_MAX_BUCKET = 2_000
_FREQUENCIES = 8


def group_numbers(digests: npt.NDArray[np.uint8]) -> npt.NDArray[np.int64]:
    """Number the groups of equal images.

    Args:
        digests: (number, 16) as in `Facts`.

    Returns:
        (number,) with the same number for equal images, from 0, in the order of the digests.
    """
    words = np.ascontiguousarray(digests).view(">u8")
    order = np.lexsort((words[:, 1], words[:, 0]))
    ordered = words[order]
    new = np.ones(len(words), np.bool_)
    new[1:] = (ordered[1:] != ordered[:-1]).any(axis=1)
    groups = np.empty(len(words), np.int64)
    groups[order] = np.cumsum(new) - 1
    return groups


def perceptual_hashes(thumbs: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint64]:
    """Return 64 bits an image that change little when it is scaled, brightened or compressed again.

    The signs of the 64 lowest frequencies of the thumbnail's cosine transform against their median.
    """
    place = np.arange(THUMB)
    waves = np.cos(np.pi / THUMB * (place + 0.5) * np.arange(_FREQUENCIES)[:, None]).astype(np.float32)
    coefficients = np.matmul(waves, np.matmul(thumbs.astype(np.float32), waves.T)).reshape(len(thumbs), -1)
    middle = np.median(coefficients[:, 1:], axis=1, keepdims=True)
    bits = np.packbits(coefficients > middle, axis=1)
    return np.ascontiguousarray(bits).view(">u8").reshape(-1).astype(np.uint64)


def near_pairs(first: npt.NDArray[np.uint8], second: npt.NDArray[np.uint8]) -> npt.NDArray[np.int64]:
    """Find images of two sets that look the same: perceptual hashes and thumbnails nearly agree.

    Args:
        first: (number, 16, 16) thumbnails.
        second: Likewise, of the other set.

    Returns:
        (pairs, 2): places in the first and in the second set, in order.
    """
    if not len(first) or not len(second):
        return np.empty((0, 2), np.int64)
    hashes = perceptual_hashes(first), perceptual_hashes(second)
    found = [_candidates(hashes[0], hashes[1], band) for band in range(_BANDS)]
    pairs = np.unique(np.concatenate(found), axis=0)
    return pairs[_correlation(first[pairs[:, 0]], second[pairs[:, 1]]) >= MIN_CORRELATION]


def _candidates(first: npt.NDArray[np.uint64], second: npt.NDArray[np.uint64], band: int) -> npt.NDArray[np.int64]:
    """Return pairs within the distance whose hashes agree in one band of bits: near pairs agree in at least one."""
    width = np.uint64(64 // _BANDS)
    shift, mask = np.uint64(band) * width, (np.uint64(1) << width) - np.uint64(1)
    keys = (first >> shift) & mask, (second >> shift) & mask
    order = np.argsort(keys[0], kind="stable")
    ordered = keys[0][order]
    begin, end = np.searchsorted(ordered, keys[1]), np.searchsorted(ordered, keys[1], side="right")
    found = []
    for part in np.array_split(np.arange(len(second)), max(1, len(second) // _MAX_BUCKET)):
        counts = end[part] - begin[part]
        places = np.repeat(begin[part] - np.concatenate(([0], np.cumsum(counts)[:-1])), counts)
        rows = order[places + np.arange(len(places))]
        others = np.repeat(part, counts)
        near = np.bitwise_count(first[rows] ^ second[others]) <= MAX_DISTANCE
        found.append(np.stack([rows[near], others[near]], axis=1))
    return np.concatenate(found)


def _correlation(first: npt.NDArray[np.uint8], second: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    centred = []
    for thumbs in (first, second):
        values = thumbs.reshape(len(thumbs), THUMB * THUMB).astype(np.float32)
        values -= values.mean(axis=1, keepdims=True)
        values /= np.maximum(np.linalg.norm(values, axis=1, keepdims=True), 1e-6)
        centred.append(values)
    product: npt.NDArray[np.float32] = np.einsum("ij,ij->i", centred[0], centred[1])
    return product
