"""What came of every detection and every object: right, confused, false, missed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from cnncli.datasets.boxes.targets import Objects
from cnncli.tasks.detection.matching import match
from cnncli.tasks.detection.overlap import LEAST_OVERLAP, Contents, Detections, Flags, Numbers, overlaps

RIGHT, CONFUSED, FALSE, MISSED, IGNORED = "right", "confused", "false", "missed", "ignored"


class Outcomes(NamedTuple):
    """What came of an image's detections and objects at IoU 0.5.

    Attributes:
        detections: Of each detection: right; confused, of an object of another class; false; ignored.
        objects: Of each object: right; confused, found as another class; missed; ignored, where it need not be found.
        found: Number of the object that each detection is of, right or confused; else -1.
    """

    detections: tuple[str, ...]
    objects: tuple[str, ...]
    found: Numbers

    @property
    def f1(self) -> float:
        """F1 of the image; NaN where it has no objects, and nothing is detected."""
        counted = sum(kind != IGNORED for kind in (*self.detections, *self.objects))
        return 2 * self.detections.count(RIGHT) / counted if counted else float("nan")


def outcomes(contents: Contents, num_classes: int) -> Iterator[Outcomes]:
    """Yield what came of each image.

    First every class by itself, as for the AP at IoU 0.5. Then what is left of both, whatever its class: the most
    confident detection first takes the object that it overlaps most, by 0.5 at least.
    """
    matches = match(contents, num_classes)
    number = sum(len(own.labels) for own in contents.detections)
    found, ignored = np.full(number, -1), np.zeros(number, np.bool_)
    found[matches.rows], ignored[matches.rows] = matches.found[:, 0, 0], matches.ignored[:, 0, 0]
    first_detection = first_object = 0
    for objects, detections in zip(*contents, strict=True):
        own = slice(first_detection, first_detection + len(detections.labels))
        matched = np.where(found[own] >= 0, found[own] - first_object, -1)
        yield _of_image(objects, detections, matched, ignored[own])
        first_detection, first_object = own.stop, first_object + len(objects.labels)


def _of_image(objects: Objects, detections: Detections, matched: Numbers, ignored: Flags) -> Outcomes:
    spared = objects.crowd | objects.difficult
    of_detections = np.where(ignored, IGNORED, np.where(matched >= 0, RIGHT, FALSE)).astype(object)
    of_objects = np.where(spared, IGNORED, MISSED).astype(object)
    found = np.where(ignored, -1, matched)
    of_objects[found[found >= 0]] = RIGHT
    left, free = np.flatnonzero(of_detections == FALSE), np.flatnonzero(of_objects == MISSED)
    shared = overlaps(detections.corners[left], objects.corners[free])
    for place in np.argsort(-detections.scores[left], kind="stable"):
        if not len(free) or shared[place].max() < LEAST_OVERLAP:
            continue
        nearest = int(shared[place].argmax())
        shared[:, nearest] = 0.0
        found[left[place]] = free[nearest]
        of_detections[left[place]] = of_objects[free[nearest]] = CONFUSED
    return Outcomes(tuple(of_detections), tuple(of_objects), found)


def confusion_matrix(contents: Contents, num_classes: int) -> Numbers:
    """Return objects by true class (row) and detected class (column), (classes + 1, classes + 1).

    The last row is of false detections, of nothing or of what is found already; the last column of missed objects.
    """
    matrix = np.zeros((num_classes + 1, num_classes + 1), np.int64)
    for objects, detections, own in zip(*contents, outcomes(contents, num_classes), strict=True):
        for label, kind, number in zip(detections.labels.tolist(), own.detections, own.found.tolist(), strict=True):
            if kind != IGNORED:
                matrix[objects.labels[number] if number >= 0 else num_classes, label] += 1
        missed = [kind == MISSED for kind in own.objects]
        matrix[:num_classes, num_classes] += np.bincount(objects.labels[missed], minlength=num_classes)
    return matrix
