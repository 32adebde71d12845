"""How well a segmentation follows the outlines of what is there: precision and recall of boundary pixels."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

TOLERANCE = 0.0075
"""Distance up to which two outlines agree, as a share of the image's diagonal."""

Flags = npt.NDArray[np.bool_]


class BoundaryCounts(NamedTuple):
    """Boundary pixels of each class of an image, int64 (classes,); of several images (images, classes).

    Attributes:
        found: Predicted ones near a true one.
        predicted: All predicted ones.
        met: True ones near a predicted one.
        true: All true ones.
    """

    found: npt.NDArray[np.int64]
    predicted: npt.NDArray[np.int64]
    met: npt.NDArray[np.int64]
    true: npt.NDArray[np.int64]

    def f1(self) -> npt.NDArray[np.float64]:
        """Return the harmonic mean of precision and recall; NaN where there is no boundary, 0 where one is missing.

        Reference: Csurka et al., What is a good evaluation measure for semantic segmentation?, BMVC 2013.
        """
        precision = np.divide(self.found, self.predicted, out=np.zeros(self.found.shape), where=self.predicted > 0)
        recall = np.divide(self.met, self.true, out=np.zeros(self.met.shape), where=self.true > 0)
        total = precision + recall
        f1: npt.NDArray[np.float64] = np.divide(
            2 * precision * recall, total, out=np.zeros(total.shape), where=total > 0
        )
        f1[(self.predicted == 0) & (self.true == 0)] = np.nan
        return f1


def boundary_counts(truth: npt.NDArray[Any], predicted: npt.NDArray[Any], num_classes: int) -> BoundaryCounts:
    """Compare the outlines of each class.

    Args:
        truth: Class numbers (height, width); what is ignored is no class, and predictions there do not count.
        predicted: Class numbers (height, width).
        num_classes: Number of classes.
    """
    height, width = truth.shape
    radius = max(1, round(TOLERANCE * float(np.hypot(height, width))))
    counted = truth < num_classes
    counts = np.zeros((4, num_classes), np.int64)
    for label in np.union1d(np.unique(truth[counted]), np.unique(predicted[counted])).tolist():
        of_truth, of_prediction = outline(truth == label), outline((predicted == label) & counted)
        counts[:, label] = (
            np.count_nonzero(of_prediction & dilated(of_truth, radius)),
            np.count_nonzero(of_prediction),
            np.count_nonzero(of_truth & dilated(of_prediction, radius)),
            np.count_nonzero(of_truth),
        )
    return BoundaryCounts(*counts)


def outline(inside: Flags) -> Flags:
    """Return the pixels inside that have one outside at a side; the image's edge is no outline."""
    edge = np.zeros_like(inside)
    edge[1:] |= ~inside[:-1]
    edge[:-1] |= ~inside[1:]
    edge[:, 1:] |= ~inside[:, :-1]
    edge[:, :-1] |= ~inside[:, 1:]
    return edge & inside


def dilated(flags: Flags, radius: int) -> Flags:
    """Return the pixels no further than `radius` from one that is set."""
    grown = np.zeros_like(flags)
    height = len(flags)
    for down in range(-radius, radius + 1):
        reach = int(np.sqrt(radius**2 - down**2))
        wide = _widened(flags, reach)
        if down >= 0:
            grown[down:] |= wide[: height - down]
        else:
            grown[:down] |= wide[-down:]
    return grown


def _widened(flags: Flags, reach: int) -> Flags:
    """Return the pixels no further than `reach` along the row from one that is set."""
    if reach == 0:
        return flags
    width = flags.shape[1]
    total = np.zeros((len(flags), width + 1), np.int32)
    np.cumsum(flags, axis=1, out=total[:, 1:])
    places = np.arange(width)
    wide: Flags = total[:, np.minimum(places + reach + 1, width)] > total[:, np.maximum(places - reach, 0)]
    return wide
