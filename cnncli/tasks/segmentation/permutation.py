"""A paired test of two segmentations: is one's mean IoU higher by more than chance?"""

from __future__ import annotations

import numpy as np

from cnncli.tasks.permutation import Permutation, remark
from cnncli.tasks.segmentation.rows import Rows
from cnncli.tasks.segmentation.scores import Floats

NUM_PERMUTATIONS = 10_000


class MeanIouPermutation(Permutation):
    """The test of two segmentations' mean IoU."""

    remark = remark(NUM_PERMUTATIONS)
    score = "mean IoU"


def permutation_test(first: Rows, second: Rows) -> MeanIouPermutation | None:
    """Exchange the two runs' counts of random images, again and again; None where the images differ.

    If both were equally good, any image could as well have come from the other run.
    """
    if first.examples != second.examples or first.counts.shape != second.counts.shape:
        return None
    if not np.array_equal(first.counts[1], second.counts[1]):
        return None
    generator = np.random.default_rng(0)
    exchanged = generator.integers(0, 2, (NUM_PERMUTATIONS, len(first.examples))).astype(np.float64)
    gains = (second.counts - first.counts).astype(np.float64)
    moved = np.einsum("pi,kic->kpc", exchanged, gains)
    of_first = _means(first.counts.sum(axis=1)[:, None] + moved)
    of_second = _means(second.counts.sum(axis=1)[:, None] - moved)
    found = float(_means(second.counts.sum(axis=1)[:, None])[0] - _means(first.counts.sum(axis=1)[:, None])[0])
    return MeanIouPermutation.of(found, of_second - of_first)


def _means(counts: np.ndarray) -> Floats:
    """Return the mean IoU of each row of (3, rows, classes), over the classes that occur or are predicted."""
    shared, true, predicted = counts
    union = true + predicted - shared
    found = np.divide(shared, union, out=np.zeros(union.shape), where=union > 0)
    means: Floats = found.sum(axis=1) / np.maximum((union > 0).sum(axis=1), 1)
    return means
