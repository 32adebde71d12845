"""How well a segmentation follows the outlines of what is there: precision and recall of boundary pixels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

TOLERANCE = 0.0075
"""Distance up to which two outlines agree, as a share of the image's diagonal."""

Flags = npt.NDArray[np.bool_]


class BoundaryCounts(NamedTuple):
    """Boundary pixels of each class of an image, int64 (classes,).

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
    radius = max(1, round(TOLERANCE * float(np.hypot(*truth.shape))))
    counted = truth < num_classes
    of_truth = _Outlines.of(np.where(counted, truth, num_classes), num_classes, radius)
    of_prediction = _Outlines.of(np.where(counted, predicted, num_classes), num_classes, radius)
    return BoundaryCounts(
        of_prediction.counts(of_prediction.near(of_truth)),
        of_prediction.counts(),
        of_truth.counts(of_truth.near(of_prediction)),
        of_truth.counts(),
    )


@dataclass(frozen=True)
class _Outlines:
    """The outlines of all classes of an image: few of its pixels, so each is a number, not a flag of many.

    Attributes:
        places: Number of each outline pixel, ascending: by its class, its row and its column, in planes with `radius`
            empty rows below and as many empty columns on the right, so that no pixel is near one of another class.
        plane: Places in the plane of a class.
        width: Places in a row.
        radius: Up to which distance outlines agree.
        num_classes: Number of classes.
    """

    places: npt.NDArray[np.int64]
    plane: int
    width: int
    radius: int
    num_classes: int

    @classmethod
    def of(cls, labels: npt.NDArray[Any], num_classes: int, radius: int) -> _Outlines:
        """Find the outlines in class numbers; a pixel that is no class's has the number of classes."""
        rows, columns = np.nonzero(outlined(labels) & (labels < num_classes))
        width = labels.shape[1] + radius
        plane = (labels.shape[0] + radius) * width
        places = labels[rows, columns].astype(np.int64) * plane + rows * width + columns
        return cls(np.sort(places), plane, width, radius, num_classes)

    def counts(self, chosen: Flags | slice = slice(None)) -> npt.NDArray[np.int64]:
        """Return the number of outline pixels of each class, or of those that are chosen."""
        return np.bincount(self.places[chosen] // self.plane, minlength=self.num_classes)

    def near(self, other: _Outlines) -> Flags:
        """Say of each outline pixel whether one of its class is within the radius in another image's outlines."""
        near = np.zeros(len(self.places), np.bool_)
        if not len(other.places):
            return near
        last = len(other.places) - 1
        for down in sorted(range(-self.radius, self.radius + 1), key=abs):
            reach = int(np.sqrt(self.radius**2 - down**2))
            left = np.flatnonzero(~near)
            middle = self.places[left] + down * self.width
            next_one = np.searchsorted(other.places, middle - reach)
            found = other.places[np.minimum(next_one, last)]
            near[left] = (next_one <= last) & (found <= middle + reach)
        return near


def outlined(labels: npt.NDArray[Any]) -> Flags:
    """Return the pixels that have one of another class at a side; the image's edge is no outline."""
    edge = np.zeros(labels.shape, np.bool_)
    down, right = labels[1:] != labels[:-1], labels[:, 1:] != labels[:, :-1]
    edge[1:] |= down
    edge[:-1] |= down
    edge[:, 1:] |= right
    edge[:, :-1] |= right
    return edge
