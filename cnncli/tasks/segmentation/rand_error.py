"""How well a segmentation tells objects apart: whether pairs of pixels that are in one object stay in one."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Flags = npt.NDArray[np.bool_]
Labels = npt.NDArray[np.int64]


def adapted_rand_error(truth: Flags, predicted: Flags) -> float:
    """Return 1 − the F-score of pairs of true foreground pixels in the same object; NaN where there is no such pair.

    An object is a connected component of the foreground. As in scikit-image, whose
    `adapted_rand_error(label(truth), label(predicted))` it is, what is background in the truth does not count, and
    what is predicted to be background is one more object. Precision is the share of the pairs within a predicted
    object that are within a true one, recall the reverse. The masks are taken as they are: no threshold is looked for
    that maximizes the score.

    Args:
        truth: Which pixels are foreground, bool (height, width).
        predicted: Which are predicted to be, of the same shape.

    Reference: Arganda-Carreras et al., Crowdsourcing the creation of image segmentation algorithms for connectomics,
    Frontiers in Neuroanatomy 9, 2015, article 142.
    """
    true_object, predicted_object = components(truth)[truth], components(predicted)[truth]
    joint = true_object * (predicted_object.max(initial=0) + 1) + predicted_object
    both, true, found = (_pairs(labels) for labels in (joint, true_object, predicted_object))
    return 1 - 2 * both / (true + found) if true + found else float("nan")


def _pairs(labels: Labels) -> int:
    """Return the number of ordered pairs of different pixels with the same label."""
    sizes = np.unique(labels, return_counts=True)[1].astype(np.int64)
    return int((sizes * (sizes - 1)).sum())


def components(inside: Flags) -> Labels:
    """Return the connected component of each pixel from 1 on, 0 outside: neighbours share a side or a corner.

    Stretches of a row are joined with those of the row above that they touch.
    """
    padded = np.pad(inside, ((0, 0), (1, 1)))
    changes = padded[:, 1:] != padded[:, :-1]
    starts, ends = (np.argwhere(changes & side) for side in (padded[:, 1:], padded[:, :-1]))
    above, below = _touching(starts, ends[:, 1], len(inside))
    roots = _roots(above, below, len(starts))
    numbers = np.unique(roots, return_inverse=True)[1] + 1
    labels = np.zeros(inside.shape, np.int64)
    labels[inside] = np.repeat(numbers, ends[:, 1] - starts[:, 1])
    return labels


def _touching(starts: Labels, ends: Labels, height: int) -> tuple[Labels, Labels]:
    """Return the pairs of stretches of neighbouring rows that touch.

    Args:
        starts: Row and first column of each stretch, row by row.
        ends: The column after its last one.
        height: Number of rows.
    """
    rows, first = starts.T
    firsts = np.searchsorted(rows, np.arange(height + 1))
    width = int(ends.max(initial=0)) + 2
    # Within a row, ends and starts both grow: those that touch a stretch of the next row follow each other.
    low = np.searchsorted(rows * width + ends, (rows - 1) * width + first)
    high = np.searchsorted(rows * width + first, (rows - 1) * width + ends, side="right")
    low, high = np.maximum(low, firsts[np.maximum(rows - 1, 0)]), np.minimum(high, firsts[rows])
    number = np.where(rows > 0, np.maximum(high - low, 0), 0)
    below = np.repeat(np.arange(len(starts)), number)
    offsets = np.arange(len(below)) - np.repeat(np.cumsum(number) - number, number)
    return low[below] + offsets, below


def _roots(first: Labels, second: Labels, number: int) -> Labels:
    """Return for each of `number` nodes the least one that edges connect it with."""
    roots = np.arange(number)
    while True:
        one, other = roots[first], roots[second]
        apart = one != other
        if not apart.any():
            return roots
        np.minimum.at(roots, np.maximum(one, other)[apart], np.minimum(one, other)[apart])
        while (roots[roots] != roots).any():
            roots = roots[roots]
