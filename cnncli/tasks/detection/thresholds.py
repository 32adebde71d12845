"""The score from which on a detection is best trusted, class by class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from cnncli.tasks.detection.overlap import Contents, Detections
from cnncli.tasks.detection.resampling import Ranked
from cnncli.tasks.predictions import LEAST_SCORE


class Threshold(NamedTuple):
    """The threshold with the highest F1 of a class, and what it leads to.

    Attributes:
        score: Detections with this score or a higher one count as found; None where no detection is right.
        precision: Share of these that are right; None without any.
        recall: Share of the objects that is found; None without objects.
        f1: Harmonic mean of both; None without objects.
    """

    score: float | None
    precision: float | None
    recall: float | None
    f1: float | None


def best_thresholds(found: Ranked) -> list[Threshold]:
    """Return the threshold of each class with the highest F1 at IoU 0.5; of equal ones the highest."""
    thresholds = []
    for label, number in enumerate(found.objects.sum(axis=0).tolist()):
        own = found.labels == label
        hits, scores = np.cumsum(found.right[own]), found.scores[own]
        if not number or not len(hits) or not hits[-1]:
            nothing = 0.0 if number else None
            thresholds.append(Threshold(None, None, nothing, nothing))
            continue
        # Detections of equal scores pass together.
        last = np.append(scores[1:] != scores[:-1], True)
        f1 = np.where(last, 2 * hits / (np.arange(1, len(hits) + 1) + number), -1.0)
        best = int(f1.argmax())
        precision, recall = float(hits[best] / (best + 1)), float(hits[best] / number)
        thresholds.append(Threshold(float(scores[best]), precision, recall, float(f1[best])))
    return thresholds


def confident(detections: Detections, scores: Sequence[float | None]) -> Detections:
    """Return the detections that reach the threshold of their class; none of a class whose threshold is None."""
    limits = np.array([np.inf if score is None else score for score in scores])
    return detections.take(detections.scores >= limits[detections.labels])


def all_confident(contents: Contents, scores: Sequence[float | None]) -> Contents:
    """Return the objects of all images with the detections that reach the threshold of their class."""
    return Contents(contents.objects, [confident(detections, scores) for detections in contents.detections])


def kept_thresholds(document: Mapping[str, Any]) -> tuple[float, ...]:
    """Return the threshold of each class in what evaluation-<split>.json holds; where no detection was right, 0.3."""
    scores = (row["threshold"] for row in document["per_class"])
    return tuple(LEAST_SCORE if score is None else score for score in scores)
