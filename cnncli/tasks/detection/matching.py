"""Which detection is of which object: each class of each image by itself, the most confident detection first."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cnncli.tasks.detection.overlap import (
    LEAST_OVERLAP,
    Contents,
    Flags,
    Floats,
    Numbers,
    Pairs,
    areas,
    find_pairs,
    image_numbers,
    joined,
    joined_objects,
)

THRESHOLDS = np.linspace(LEAST_OVERLAP, 0.95, 10)
"""IoU that a detection needs: 0.5 to 0.95."""

_LARGEST = 1e10
SIZES = {
    "all": (0.0, _LARGEST),
    "small": (0.0, 32.0**2),
    "medium": (32.0**2, 96.0**2),
    "large": (96.0**2, _LARGEST),
}
"""Areas of objects in pixels of the original image, both ends included, by what COCO calls them."""

MOST_DETECTIONS = 100
"""Detections of an image and class that count: the most confident."""

_EXACT = 1 - 1e-10
_NONE = -1


@dataclass(frozen=True)
class Matches:
    """What came of each detection, for each IoU threshold and each range of sizes.

    The detections are those that count, at most 100 of each image and class. They stand by class, then by score, the
    highest first; equal scores stay in the images' order.

    Attributes:
        rows: Number of each detection, counted over all images: int64 (detections,).
        images: Number of its image.
        labels: Its class.
        scores: Its score.
        ranks: How many detections of the image and class are more confident.
        found: Number of the object that it is of, counted over all images, or -1: (detections, thresholds, sizes).
        ignored: Whether it counts neither as right nor as wrong, likewise.
        objects: Number of objects to be found: (classes, sizes).
    """

    rows: Numbers
    images: Numbers
    labels: Numbers
    scores: Floats
    ranks: Numbers
    found: Numbers
    ignored: Flags
    objects: Numbers

    @property
    def hits(self) -> Flags:
        """Whether each detection is right: (detections, thresholds, sizes)."""
        hits: Flags = (self.found != _NONE) & ~self.ignored
        return hits


def match(contents: Contents, num_classes: int) -> Matches:
    """Match the detections of each image and class to its objects as pycocotools' COCOeval does it.

    One detection after another, the most confident first, takes the object of its class with the highest IoU among
    those that are free; of equal ones the last. Objects that are not to be found are taken only where there is no other
    that overlaps enough, and the detection is ignored then: those outside a range of sizes, crowds, which never run
    out, and `difficult` ones, which do. (pycocotools itself overwrites its key `ignore` by `iscrowd`; here `difficult`
    does what that key is meant for, and what an area outside all ranges does there.) A detection of nothing is ignored
    where its own area is outside the range.

    Reference: https://github.com/cocodataset/cocoapi, PythonAPI/pycocotools/cocoeval.py.
    """
    detections, objects = joined(contents.detections), joined_objects(contents.objects)
    images = image_numbers(contents.detections)
    groups = images * num_classes + detections.labels
    ranks = _ranks(groups, detections.scores)
    ranges = np.array(list(SIZES.values()))
    outside = ~_inside(objects.areas, ranges) | (objects.crowd | objects.difficult)[:, None]
    pairs = find_pairs(contents)
    counted = ranks[pairs.detections] < MOST_DETECTIONS
    counting = Pairs(pairs.detections[counted], pairs.objects[counted], pairs.overlaps[counted])
    found = _matched(counting, groups, ranks, outside, objects.crowd)
    unfound = found == _NONE
    ignored = np.where(unfound, ~_inside(areas(detections.corners), ranges)[:, None], False)
    rows, thresholds, sizes = np.nonzero(~unfound)
    ignored[rows, thresholds, sizes] = outside[found[rows, thresholds, sizes], sizes]
    order = np.lexsort((-detections.scores, detections.labels))
    order = order[ranks[order] < MOST_DETECTIONS]
    numbers = np.stack([np.bincount(objects.labels[~out], minlength=num_classes) for out in outside.T], axis=-1)
    return Matches(
        rows=order,
        images=images[order],
        labels=detections.labels[order],
        scores=detections.scores[order],
        ranks=ranks[order],
        found=found[order],
        ignored=ignored[order],
        objects=numbers,
    )


def _inside(values: Floats, ranges: Floats) -> Flags:
    """Return whether each area is in each range: (areas, ranges)."""
    inside: Flags = (values[:, None] >= ranges[:, 0]) & (values[:, None] <= ranges[:, 1])
    return inside


def _ranks(groups: Numbers, scores: Floats) -> Numbers:
    """Return the place of each detection in its group, by its score; of equal ones the first comes first."""
    order = np.lexsort((-scores, groups))
    ranks = np.empty(len(groups), np.int64)
    ranks[order] = _places_in_runs(groups[order])
    return ranks


def _places_in_runs(values: Numbers) -> Numbers:
    """Return the place of each value in its run of equal ones: 0, 1, 2 for the first three of a run."""
    places = np.arange(len(values))
    starts = np.concatenate([[True], values[1:] != values[:-1]]) if len(values) else np.zeros(0, np.bool_)
    return places - np.maximum.accumulate(np.where(starts, places, 0))


def _matched(pairs: Pairs, groups: Numbers, ranks: Numbers, outside: Flags, crowd: Flags) -> Numbers:
    """Return the object that each detection takes, (detections, thresholds, sizes).

    Only detections that overlap something take part. The first ones of all groups choose together, then the second
    ones, and so on: groups share no objects.
    """
    found = np.full((len(groups), len(THRESHOLDS), outside.shape[1]), _NONE)
    if not len(pairs.detections):
        return found
    rows, candidates, overlap = _candidates(pairs, len(crowd))
    # The object after the last one stands for none: nothing overlaps it.
    outside = np.concatenate([outside, np.ones((1, outside.shape[1]), np.bool_)])
    crowd = np.append(crowd, False)
    taken = np.zeros((len(crowd), len(THRESHOLDS), outside.shape[1]), np.bool_)
    order = np.lexsort((ranks[rows], groups[rows]))
    rounds = np.empty(len(rows), np.int64)
    rounds[order] = _places_in_runs(groups[rows][order])
    by_round = np.argsort(rounds, kind="stable")
    for chosen in np.split(by_round, np.cumsum(np.bincount(rounds))[:-1]):
        options = candidates[chosen]
        best = _choose(overlap[chosen], taken[options] & ~crowd[options][..., None, None], outside[options])
        takes = np.take_along_axis(options[..., None, None], np.maximum(best, 0)[:, None], axis=1)[:, 0]
        takes = np.where(best == _NONE, _NONE, takes)
        found[rows[chosen]] = takes
        place, threshold, size = np.nonzero(takes != _NONE)
        taken[takes[place, threshold, size], threshold, size] = True
    return found


def _candidates(pairs: Pairs, num_objects: int) -> tuple[Numbers, Numbers, Floats]:
    """Return the detections with pairs, the objects that each overlaps, and the IoUs, (detections, candidates).

    The last object stands first, for `argmax` takes the first of equal ones; rows are filled up with `num_objects`.
    """
    rows, starts, numbers = np.unique(pairs.detections, return_index=True, return_counts=True)
    of_row = np.repeat(np.arange(len(rows)), numbers)
    place = (starts + numbers - 1)[of_row] - np.arange(len(of_row))
    candidates = np.full((len(rows), numbers.max()), num_objects)
    overlap = np.zeros(candidates.shape)
    candidates[of_row, place], overlap[of_row, place] = pairs.objects, pairs.overlaps
    return rows, candidates, overlap


def _choose(overlap: Floats, taken: Flags, outside: Flags) -> Numbers:
    """Return which candidate each detection takes, or -1: (detections, thresholds, sizes).

    Args:
        overlap: IoU with each candidate, (detections, candidates).
        taken: Whether it is taken, (detections, candidates, thresholds, sizes).
        outside: Whether it is not to be found, (detections, candidates, sizes).
    """
    enough = overlap[..., None] >= np.minimum(THRESHOLDS, _EXACT)
    free = enough[..., None] & ~taken
    best = np.full((len(overlap), *taken.shape[2:]), _NONE)
    for kind in (outside, ~outside):  # Those that are to be found overrule the others.
        able = free & kind[:, :, None]
        values = np.where(able, overlap[..., None, None], -1.0)
        best = np.where(able.any(axis=1), values.argmax(axis=1), best)
    return best
