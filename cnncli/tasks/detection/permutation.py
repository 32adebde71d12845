"""A paired test of two detectors: is one's AP at IoU 0.5 higher by more than chance?"""

from __future__ import annotations

import numpy as np

from cnncli.tasks.detection.resampling import Ranked, selected_ap50
from cnncli.tasks.detection.rows import Rows
from cnncli.tasks.permutation import Permutation, remark

NUM_PERMUTATIONS = 2000


class Ap50Permutation(Permutation):
    """The test of two detectors' AP at IoU 0.5."""

    remark = remark(NUM_PERMUTATIONS)
    score = "AP50"


def permutation_test(first: Rows, second: Rows) -> Ap50Permutation | None:
    """Exchange all that both runs detected in random images, again and again; None where images or objects differ.

    If both were equally good, an image's detections could as well have come from the other run. The AP of every
    exchange is computed anew from all detections: it is not a mean over images.
    """
    if not _of_the_same_objects(first, second):
        return None
    classes = tuple(sorted({*first.classes.tolist(), *second.classes.tolist()}))
    both = _together(first.ranked(classes), second.ranked(classes))
    generator = np.random.default_rng(0)
    exchanged = generator.integers(0, 2, (NUM_PERMUTATIONS, len(first)))
    exchanged = np.concatenate([np.zeros((1, len(first)), np.int64), exchanged])  # First, as it is.
    of_first = selected_ap50(both, np.concatenate([1 - exchanged, exchanged], axis=1))
    of_second = selected_ap50(both, np.concatenate([exchanged, 1 - exchanged], axis=1))
    found, *others = (of_second - of_first).tolist()
    if np.isnan(found):
        return None
    return Ap50Permutation.of(found, others)


def _of_the_same_objects(first: Rows, second: Rows) -> bool:
    """Return whether two runs were measured on the same objects of the same images."""
    if first.examples != second.examples:
        return False
    one, two = (
        [column[rows.truth()] for column in (rows.images, rows.kinds, rows.classes, rows.corners)]
        for rows in (first, second)
    )
    return all(np.array_equal(a, b) for a, b in zip(one, two, strict=True))


def _together(first: Ranked, second: Ranked) -> Ranked:
    """Return the detections of both runs by class and score; the second run's images are numbered after the first's."""
    labels, scores = np.append(first.labels, second.labels), np.append(first.scores, second.scores)
    images = np.append(first.images, second.images + len(first.objects))
    order = np.lexsort((-scores, labels))
    right, objects = np.append(first.right, second.right), np.concatenate([first.objects, second.objects])
    return Ranked(labels[order], images[order], scores[order], right[order], objects)
