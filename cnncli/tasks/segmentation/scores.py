"""Scores of a segmentation from counts of pixels, in NumPy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Counts = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


def foreground_of(classes: Sequence[str]) -> int | None:
    """Return the number of the class that is not the background; None unless there are exactly two.

    The background is the class of that name, else the first one.
    """
    if len(classes) != 2:
        return None
    return 0 if classes[1].lower() == "background" else 1


def confusion_matrix(truth: npt.NDArray[Any], predicted: npt.NDArray[Any], num_classes: int) -> Counts:
    """Count pixels by true class (row) and predicted class (column); a truth that is no class number is left out."""
    counted = truth < num_classes
    places = truth[counted].astype(np.int64) * num_classes + predicted[counted]
    return np.bincount(places, minlength=num_classes**2).reshape(num_classes, num_classes)


def intersection_over_union(shared: Counts, true: Counts, predicted: Counts) -> Floats:
    """Return the IoU of each class: pixels of both over pixels of either; NaN for a class that is in neither."""
    union = true + predicted - shared
    found: Floats = np.divide(shared, union, out=np.full(union.shape, np.nan), where=union > 0)
    return found


def iou_by_image(shared: Counts, true: Counts, predicted: Counts) -> Floats:
    """Return the mean IoU of each image over the classes that are in it or predicted in it; NaN without any.

    Args:
        shared: Pixels of each image that are of a class and predicted so, (images, classes).
        true: Pixels that are of a class.
        predicted: Pixels that are predicted to be.
    """
    found = intersection_over_union(shared, true, predicted)
    known = ~np.isnan(found)
    totals, number = np.where(known, found, 0.0).sum(axis=1), known.sum(axis=1)
    means: Floats = np.divide(totals, number, out=np.full(totals.shape, np.nan), where=number > 0)
    return means


def mean_iou(confusion: Counts) -> float:
    """Return the mean IoU over the classes that occur or are predicted; 0 where there is none."""
    found = intersection_over_union(np.diag(confusion), confusion.sum(axis=1), confusion.sum(axis=0))
    return 0.0 if np.isnan(found).all() else float(np.nanmean(found))


def dice(confusion: Counts, label: int) -> float:
    """Return the Dice coefficient of a class: twice the pixels of both over those of each; NaN where it is in neither.

    Reference: Dice, Measures of the amount of ecologic association between species, Ecology 26 (3), 1945.
    """
    either = int(confusion[label].sum() + confusion[:, label].sum())
    return float(2 * confusion[label, label] / either) if either else float("nan")


def pixel_accuracy(confusion: Counts) -> float:
    """Return the share of pixels of the right class; 0 where there is none."""
    total = int(confusion.sum())
    return float(np.trace(confusion) / total) if total else 0.0
