"""Average precision and recall: COCO's, equal to pycocotools', and Pascal VOC's."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cnncli.tasks.detection.matching import MOST_DETECTIONS, SIZES, THRESHOLDS, Matches
from cnncli.tasks.detection.overlap import (
    LEAST_OVERLAP,
    Contents,
    Flags,
    Floats,
    Numbers,
    image_numbers,
    joined,
    overlaps,
)

RECALLS = np.linspace(0.0, 1.0, 101)
"""Recalls at which COCO reads the precision."""

_FEWER = (1, 10)
_LEAST = np.spacing(1)


@dataclass(frozen=True)
class CocoScores:
    """COCO's scores of each class; NaN where a class has no objects of a size.

    Attributes:
        precision: Mean precision over the 101 recalls: (classes, thresholds, sizes).
        recall: Share of the objects that is found: (classes, thresholds, sizes).
        recall_of_fewer: The same from the 1 and the 10 most confident detections of each image and class, of objects of
            all sizes: (classes, thresholds, 2).
        curves: Precision at the 101 recalls, at IoU 0.5, of objects of all sizes: (classes, 101).
    """

    precision: Floats
    recall: Floats
    recall_of_fewer: Floats
    curves: Floats

    def ap(self, threshold: int | None = None, size: str = "all") -> float:
        """Return the mean AP of the classes that have objects of a size; NaN where none has.

        Args:
            threshold: Place in `THRESHOLDS`; None for the mean of all.
            size: Key of `SIZES`.
        """
        found = self.precision[:, :, list(SIZES).index(size)]
        return mean_known(found if threshold is None else found[:, threshold])

    def ar(self, most: int = MOST_DETECTIONS, size: str = "all") -> float:
        """Return the mean recall over IoU 0.5 to 0.95 from the most confident detections of each image and class."""
        if most in _FEWER:
            return mean_known(self.recall_of_fewer[..., _FEWER.index(most)])
        return mean_known(self.recall[..., list(SIZES).index(size)])


def mean_known(values: Floats) -> float:
    """Return the mean of the values that are not NaN; NaN where there is none."""
    known = values[~np.isnan(values)]
    return float(known.mean()) if known.size else float("nan")


def coco_scores(matches: Matches) -> CocoScores:
    """Return AP and AR of each class as pycocotools' COCOeval accumulates them."""
    num_classes, shape = len(matches.objects), (len(THRESHOLDS), len(SIZES))
    precision, recall = np.full((num_classes, *shape), np.nan), np.full((num_classes, *shape), np.nan)
    fewer = np.full((num_classes, len(THRESHOLDS), len(_FEWER)), np.nan)
    curves = np.full((num_classes, len(RECALLS)), np.nan)
    bounds = np.searchsorted(matches.labels, np.arange(num_classes + 1))
    hits = matches.hits
    for label in range(num_classes):
        own = slice(bounds[label], bounds[label + 1])
        for size, number in enumerate(matches.objects[label]):
            if number:
                right, wrong = hits[own, :, size], ~(hits | matches.ignored)[own, :, size]
                at_recalls = precision_at_recalls(right, wrong, number)
                precision[label, :, size] = at_recalls.mean(axis=1)
                recall[label, :, size] = right.sum(axis=0) / number
                if size == 0:
                    curves[label] = at_recalls[0]
                    for place, most in enumerate(_FEWER):
                        fewer[label, :, place] = right[matches.ranks[own] < most].sum(axis=0) / number
    return CocoScores(precision, recall, fewer, curves)


def precision_at_recalls(right: Flags, wrong: Flags, number: int) -> Floats:
    """Return the highest precision at each of the 101 recalls or beyond; 0 where it is not reached.

    Args:
        right: Whether each detection is of an object, the most confident first: (detections, thresholds).
        wrong: Whether it is of none; those that are neither do not count.
        number: Number of objects.
    """
    hits = np.cumsum(right, axis=0, dtype=np.float64)
    total = hits + np.cumsum(wrong, axis=0, dtype=np.float64)
    precision = hits / (total + _LEAST)
    best = np.maximum.accumulate(precision[::-1], axis=0)[::-1]
    found = np.zeros((right.shape[1], len(RECALLS)))
    for threshold, recall in enumerate((hits / number).T):
        places = np.searchsorted(recall, RECALLS, side="left")
        reached = places < len(recall)
        found[threshold, reached] = best[places[reached], threshold]
    return found


def voc_average_precision(contents: Contents, num_classes: int) -> Floats:
    """Return Pascal VOC's AP at IoU 0.5 of each class: the area below its precision at all recalls, or NaN.

    It is NaN for a class without objects. Unlike COCO's matching, every detection is of the object of its class that it
    overlaps most, found already or not; the first of an object is right, the others are wrong. Detections of
    `difficult` objects are neither, and those objects need not be found. Nor need crowds, which VOC does not have: a
    detection of no object that lies in a crowd with at least half its area is neither as well.

    Reference: Everingham et al., The Pascal Visual Object Classes Challenge 2012 Development Kit, section 3.4.1 and
    VOCevaldet.m.
    """
    detections, images = joined(contents.detections), image_numbers(contents.detections)
    best, ignored = _nearest(contents)
    order = np.lexsort((images, -detections.scores, detections.labels))
    # Of the detections of one object, the first in this order is right.
    right = np.zeros(len(order), np.bool_)
    found, first = np.unique(best[order], return_index=True)
    right[first[found >= 0]] = True
    bounds = np.searchsorted(detections.labels[order], np.arange(num_classes + 1))
    scores = np.full(num_classes, np.nan)
    labels = [objects.labels[~(objects.crowd | objects.difficult)] for objects in contents.objects]
    numbers = np.bincount(np.concatenate([np.zeros(0, np.int64), *labels]), minlength=num_classes)
    for label in np.flatnonzero(numbers):
        own = slice(bounds[label], bounds[label + 1])
        counted = ~ignored[order][own]
        scores[label] = _area_below(right[own][counted], int(numbers[label]))
    return scores


def _nearest(contents: Contents) -> tuple[Numbers, Flags]:
    """Return the object of each detection, counted over all images, or -1; and whether the detection is left out."""
    best, ignored, first = [np.zeros(0, np.int64)], [np.zeros(0, np.bool_)], 0
    for objects, detections in zip(*contents, strict=True):
        nearest, left_out = np.full(len(detections.labels), -1), np.zeros(len(detections.labels), np.bool_)
        if len(objects.labels):
            same = detections.labels[:, None] == objects.labels
            shared = np.where(same, overlaps(detections.corners, objects.corners, objects.crowd), 0.0)
            single = np.where(objects.crowd, 0.0, shared)
            chosen = single.argmax(axis=1)
            near = single.max(axis=1) >= LEAST_OVERLAP
            nearest[near] = chosen[near] + first
            left_out = np.where(near, objects.difficult[chosen], (shared * objects.crowd >= LEAST_OVERLAP).any(axis=1))
        best.append(nearest)
        ignored.append(left_out)
        first += len(objects.labels)
    return np.concatenate(best), np.concatenate(ignored)


def _area_below(right: Flags, number: int) -> float:
    """Return the area below the curve of the highest precision at each recall or beyond."""
    hits = np.cumsum(right)
    precision = hits / np.arange(1, len(right) + 1)
    best = np.maximum.accumulate(precision[::-1])[::-1]
    return float(best[right].sum() / number)
