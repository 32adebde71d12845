"""How far boxes overlap, and the objects and detections of a split, among which overlaps are looked for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from cnncli.datasets.boxes.targets import Corners, Objects

Floats = npt.NDArray[np.float64]
Numbers = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

LEAST_OVERLAP = 0.5
"""IoU from which on a detection may be of an object."""


class Detections(NamedTuple):
    """What a network detects, in one image or in many, one after another.

    Attributes:
        corners: Boxes in the original images' pixels, float64 (detections, 4).
        labels: Class numbers, int64 (detections,).
        scores: From 0 to 1, float64 (detections,).
    """

    corners: Corners
    labels: Numbers
    scores: Floats

    def take(self, chosen: Flags | Numbers) -> Detections:
        """Return some of them."""
        return Detections(self.corners[chosen], self.labels[chosen], self.scores[chosen])


class Contents(NamedTuple):
    """The objects of all images of a split, and what was detected in them.

    Attributes:
        objects: Of each image.
        detections: Of each image.
    """

    objects: Sequence[Objects]
    detections: Sequence[Detections]


class Pairs(NamedTuple):
    """Detections and objects of one image and one class that overlap enough to be of each other.

    Attributes:
        detections: Number of the detection of each pair, counted over all images; ascending.
        objects: Number of its object, likewise; ascending for each detection.
        overlaps: IoU; of a crowd, the share of the detection's area that lies in it.
    """

    detections: Numbers
    objects: Numbers
    overlaps: Floats


def areas(corners: Corners) -> Floats:
    """Return the areas of boxes (…, 4)."""
    found: Floats = (corners[..., 2] - corners[..., 0]) * (corners[..., 3] - corners[..., 1])
    return found


def overlaps(corners: Corners, others: Corners, crowd: Flags | None = None) -> Floats:
    """Return the IoU of each box with each of the others, (boxes, others); 0 where they share no area.

    Args:
        corners: Boxes (boxes, 4).
        others: Boxes (others, 4).
        crowd: Which of the others stand for many objects: with these, what is shared is compared with the box's own
            area, as COCO does it. None: no one.
    """
    left_top = np.maximum(corners[:, None, :2], others[None, :, :2])
    right_bottom = np.minimum(corners[:, None, 2:], others[None, :, 2:])
    sides = np.maximum(right_bottom - left_top, 0.0)
    shared = sides[..., 0] * sides[..., 1]
    own = areas(corners)[:, None]
    whole = own + areas(others)[None] - shared
    if crowd is not None:
        whole = np.where(crowd, own, whole)
    found: Floats = np.divide(shared, whole, out=np.zeros(shared.shape), where=shared > 0)
    return found


def find_pairs(contents: Contents) -> Pairs:
    """Return the pairs of one class with an IoU of at least 0.5, image by image."""
    parts = list(_pairs(contents))
    if not parts:
        return Pairs(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0))
    return Pairs(*map(np.concatenate, zip(*parts, strict=True)))


def _pairs(contents: Contents) -> Iterator[tuple[Numbers, Numbers, Floats]]:
    first_detection = first_object = 0
    for objects, detections in zip(*contents, strict=True):
        if len(objects.labels) and len(detections.labels):
            shared = overlaps(detections.corners, objects.corners, objects.crowd)
            same = detections.labels[:, None] == objects.labels
            rows, columns = np.nonzero(same & (shared >= LEAST_OVERLAP))
            yield rows + first_detection, columns + first_object, shared[rows, columns]
        first_detection += len(detections.labels)
        first_object += len(objects.labels)


def image_numbers(parts: Sequence[Objects] | Sequence[Detections]) -> Numbers:
    """Return the number of the image of each object or detection."""
    return np.repeat(np.arange(len(parts)), [len(part.labels) for part in parts])


def joined(parts: Sequence[Detections]) -> Detections:
    """Return the detections of all images, one after another."""
    if not parts:
        return Detections(np.zeros((0, 4)), np.zeros(0, np.int64), np.zeros(0))
    return Detections(*map(np.concatenate, zip(*parts, strict=True)))


def joined_objects(parts: Sequence[Objects]) -> Objects:
    """Return the objects of all images, one after another; of their sizes, the first."""
    if not parts:
        none = np.zeros(0, np.bool_)
        return Objects(np.zeros((0, 4)), np.zeros(0, np.int64), none, none, np.zeros(0), (0, 0))
    corners, labels, difficult, crowd, areas = map(np.concatenate, zip(*(part[:5] for part in parts), strict=True))
    return Objects(corners, labels, difficult, crowd, areas, parts[0].size)
