"""The AP at IoU 0.5 of many selections of the same images: for intervals and tests."""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import numpy as np

from cnncli.tasks.detection.average_precision import RECALLS
from cnncli.tasks.detection.matching import Matches
from cnncli.tasks.detection.overlap import Contents, Flags, Floats, Numbers

NUM_RESAMPLES = 2000
"""Bootstrap samples of images."""

_TOGETHER = 2**22
"""Numbers that are computed at a time: selections × detections."""

_LEAST = np.spacing(1)


class Ranked(NamedTuple):
    """The detections that count at IoU 0.5, by class, then by score, the highest first.

    Attributes:
        labels: Class of each, int64 (detections,).
        images: Number of its image.
        scores: Its score.
        right: Whether it is of an object.
        objects: Number of objects that are to be found, (images, classes).
    """

    labels: Numbers
    images: Numbers
    scores: Floats
    right: Flags
    objects: Numbers


def ranked(matches: Matches, contents: Contents) -> Ranked:
    """Return the detections at IoU 0.5, of objects of all sizes."""
    counted = ~matches.ignored[:, 0, 0]
    return Ranked(
        matches.labels[counted],
        matches.images[counted],
        matches.scores[counted],
        matches.hits[counted, 0, 0],
        object_counts(contents, len(matches.objects)),
    )


def object_counts(contents: Contents, num_classes: int) -> Numbers:
    """Return the number of objects of each image and class that are to be found, (images, classes)."""
    counts = np.zeros((len(contents.objects), num_classes), np.int64)
    for row, own in enumerate(contents.objects):
        counts[row] = np.bincount(own.labels[~(own.crowd | own.difficult)], minlength=num_classes)
    return counts


def selected_ap50(found: Ranked, times: Numbers) -> Floats:
    """Return the AP at IoU 0.5 of selections of the images, the mean of the classes that have objects there; or NaN.

    An image that is selected twice counts twice. All scores keep their order, so that nothing is sorted again.

    Args:
        found: The detections of all images.
        times: How often each image is selected, (selections, images).
    """
    objects = times @ found.objects
    scores = np.full(objects.shape, np.nan)
    bounds = np.searchsorted(found.labels, np.arange(objects.shape[1] + 1))
    for label, (start, end) in enumerate(pairwise(bounds.tolist())):
        known = objects[:, label] > 0
        own = slice(start, end)
        scores[known, label] = _of_class(found.images[own], found.right[own], times[known], objects[known, label])
    has = ~np.isnan(scores)
    number = has.sum(axis=1)
    means: Floats = np.divide(
        np.where(has, scores, 0).sum(axis=1), number, out=np.full(len(times), np.nan), where=number > 0
    )
    return means


def _of_class(images: Numbers, right: Flags, times: Numbers, objects: Numbers) -> Floats:
    """Return the AP of one class for each selection; what is below the last right detection does not matter."""
    hits = np.flatnonzero(right)
    scores = np.zeros(len(times))
    if not len(hits):
        return scores
    images = images[: hits[-1] + 1]
    together = max(1, _TOGETHER // len(images))
    for start in range(0, len(times), together):
        part = slice(start, start + together)
        weights = times[part][:, images]
        total = np.cumsum(weights, axis=1)[:, hits].astype(np.float64)
        true = np.cumsum(weights[:, hits], axis=1).astype(np.float64)
        best = np.maximum.accumulate((true / (total + _LEAST))[:, ::-1], axis=1)[:, ::-1]
        # The number of COCO's recalls that each right detection is the first to reach.
        reached = np.searchsorted(RECALLS, true / objects[part, None], side="right")
        scores[part] = (best * np.diff(reached, axis=1, prepend=0)).sum(axis=1) / len(RECALLS)
    return scores


def bootstrap(num_images: int, resamples: int = NUM_RESAMPLES) -> Numbers:
    """Return how often each image is in each bootstrap sample, (samples, images)."""
    generator = np.random.default_rng(0)
    return generator.multinomial(num_images, np.full(num_images, 1 / num_images), resamples)


def percentiles(values: Floats) -> tuple[float, float] | None:
    """Return the 95 % interval of bootstrapped values; None where all are NaN."""
    known = values[~np.isnan(values)]
    if not len(known):
        return None
    low, high = np.percentile(known, (2.5, 97.5))
    return float(low), float(high)
