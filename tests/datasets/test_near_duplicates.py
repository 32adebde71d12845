"""Images that look the same, against every pair compared with SciPy and NumPy."""

from __future__ import annotations

import numpy as np
from scipy import fft

from cnncli.datasets.duplicates import near_pairs, perceptual_hashes

BITS = 4
"""Near-duplicates differ in at most so many of 64 bits."""
CORRELATION = 0.985
"""And their thumbnails correlate at least so much."""


def coefficients(thumb):
    """Return the 64 lowest frequencies of a thumbnail's cosine transform."""
    return fft.dctn(thumb.astype(np.float64), type=2)[:8, :8].ravel()


def is_clear(thumb):
    """Return whether no bit of the hash hangs on rounding: the frequencies next to the median are not equal to it."""
    found = coefficients(thumb)
    gaps = np.sort(np.abs(found - np.median(found[1:])))
    return gaps[1] > 0.1


def make_thumbs(number):
    """Return random images, and of each the copies that noise has changed more and more."""
    generator = np.random.default_rng(5)
    first, second = [], []
    while len(first) < number:
        image = np.clip(generator.normal(128, 50, (16, 16)), 0, 255)
        noisy = np.clip(image + generator.normal(0, generator.uniform(2, 12), (16, 16)), 0, 255)
        pair = np.rint(image).astype(np.uint8), np.rint(noisy).astype(np.uint8)
        if all(map(is_clear, pair)):
            first.append(pair[0])
            second.append(pair[1])
    return np.stack(first), np.stack(second)


def bits(thumb):
    """Return the hash of a thumbnail, bit by bit."""
    found = coefficients(thumb)
    return found > np.median(found[1:])


def test_hashes_are_signs_against_the_median():
    """The first frequency is the highest bit."""
    thumbs, _ = make_thumbs(50)
    expected = [int("".join(map(str, bits(thumb).astype(int))), 2) for thumb in thumbs]
    assert perceptual_hashes(thumbs).tolist() == expected


def test_every_near_pair_is_found_and_no_other():
    """Pairs at both limits and just beyond them, among all pairs of both sets."""
    first, second = make_thumbs(400)
    hashes = [np.array([bits(thumb) for thumb in thumbs]) for thumbs in (first, second)]
    distances = (hashes[0][:, None] ^ hashes[1]).sum(axis=2)
    rows = [thumbs.reshape(len(thumbs), -1).astype(np.float64) for thumbs in (first, second)]
    correlations = np.corrcoef(*rows)[: len(first), len(first) :]
    assert np.abs(correlations - CORRELATION).min() > 1e-7
    near = (distances <= BITS) & (correlations >= CORRELATION)
    assert (near & (distances == BITS)).sum() > 5
    # As many bits of each hash lie above the median, so the next distance is two further.
    assert ((distances == BITS + 2) & (correlations >= CORRELATION)).sum() > 5
    assert ((distances <= BITS) & (correlations < CORRELATION) & (correlations > CORRELATION - 0.01)).sum() > 5
    assert near_pairs(first, second).tolist() == np.argwhere(near).tolist()
    for none in (near_pairs(first[:0], second), near_pairs(first, second[:0])):
        assert (none.shape, none.dtype) == ((0, 2), np.int64)
