"""Random sets of objects and detections: COCO's scores against pycocotools, Pascal VOC's against a plain loop.

    python tests/campaigns/detection_scores.py --number 500

Every set has a few images, some empty, and a few classes, some without objects. There are crowds and `difficult`
objects, boxes that are equal or share an edge, objects and detections of areas at the bounds of COCO's sizes, equal
scores, and now and then more than 100 detections of one class. Coordinates are multiples of a quarter of a pixel, so
that the IoU of 0.5 is met exactly. The largest difference of any score of any class is printed; the exit code is 1 if
one is above 1e-6.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import sys
from collections.abc import Iterator

import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from cnncli.datasets.boxes.targets import Objects
from cnncli.tasks.detection.average_precision import coco_scores, voc_average_precision
from cnncli.tasks.detection.matching import match
from cnncli.tasks.detection.overlap import Contents, Detections

LIMIT = 1e-6
SIDE = 200
OUTSIDE_ALL_SIZES = 2e10
"""Area by which pycocotools ignores an object that is no crowd: it overwrites the key `ignore` itself."""


def random_contents(seed: int) -> tuple[Contents, int]:
    """Return the objects and detections of a few images, and the number of classes."""
    generator = np.random.default_rng(seed)
    num_classes = int(generator.integers(1, 5))
    rare = generator.integers(0, num_classes, 2)
    objects, detections = [], []
    for _ in range(generator.integers(1, 9)):
        own = _objects(generator, num_classes, rare)
        objects.append(own)
        detections.append(_detections(generator, num_classes, own))
    return Contents(objects, detections), num_classes


def _boxes(generator: np.random.Generator, number: int) -> np.ndarray:
    """Return boxes of sides of 1 to 150 pixels; some areas are just 32² or 96²."""
    sides = generator.integers(4, 600, (number, 2)) / 4
    fixed = np.array([[32, 32], [16, 64], [96, 96], [48, 192]])[generator.integers(0, 4, number)]
    sides = np.where(generator.random((number, 1)) < 0.15, fixed, sides)
    corner = generator.integers(0, 4 * SIDE, (number, 2)) / 4
    return np.concatenate([corner, corner + sides], axis=1)


def _objects(generator: np.random.Generator, num_classes: int, rare: np.ndarray) -> Objects:
    number = int(generator.choice([0, 1, 3, 8, 20]))
    corners = _boxes(generator, number)
    if number > 3:
        corners[0] = corners[1]
    labels = generator.integers(0, num_classes, number)
    labels = np.where(np.isin(labels, rare), generator.integers(0, num_classes, number), labels)
    labels[labels == rare[0]] = (rare[0] + 1) % num_classes
    flags = generator.random((2, number))
    crowd = flags[0] < 0.1
    sides = corners[:, 2:] - corners[:, :2]
    # An object's area may be less than its box's: COCO's is that of its outline.
    share = np.where(generator.random(number) < 0.3, 0.5, 1.0)
    return Objects(corners, labels, (flags[1] < 0.1) & ~crowd, crowd, sides.prod(axis=1) * share, (SIDE, SIDE))


def _detections(generator: np.random.Generator, num_classes: int, objects: Objects) -> Detections:
    """Return detections around the objects, some equal to one, and some anywhere."""
    number = int(generator.choice([0, 2, 10, 40, 150], p=[0.1, 0.2, 0.4, 0.2, 0.1]))
    corners = _boxes(generator, number)
    labels = generator.integers(0, num_classes, number)
    if len(objects.labels):
        chosen = generator.integers(0, len(objects.labels), number)
        near = (
            objects.corners[chosen]
            + generator.integers(-40, 41, (number, 4)) / 4 * generator.random((number, 1)).round()
        )
        is_box = (near[:, 2:] > near[:, :2]).all(axis=1) & (generator.random(number) < 0.7)
        corners[is_box] = near[is_box]
        labels = np.where(generator.random(number) < 0.7, objects.labels[chosen], labels)
    # Halves and wholes of objects have IoUs of exactly 0.5 and 1.
    for row in range(min(number, len(objects.labels), 3)):
        corners[row] = objects.corners[row]
        corners[row, 2] -= (corners[row, 2] - corners[row, 0]) / 2 * generator.integers(0, 2)
        labels[row] = objects.labels[row]
    if number == 150:
        labels[:] = labels[0]
    scores = generator.integers(0, 30, number) / 30 if generator.random() < 0.5 else generator.random(number)
    return Detections(corners, labels, scores)


def pycocotools_scores(contents: Contents, num_classes: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the twelve numbers of pycocotools, its precisions and its recalls; NaN where it has none."""
    images = [{"id": i + 1, "width": SIDE, "height": SIDE} for i in range(len(contents.objects))]
    dataset = {"images": images, "categories": [{"id": label + 1} for label in range(num_classes)], "annotations": []}
    for image, own in enumerate(contents.objects, 1):
        for row, (x1, y1, x2, y2) in enumerate(own.corners.tolist()):
            dataset["annotations"].append(
                {
                    "id": len(dataset["annotations"]) + 1,
                    "image_id": image,
                    "category_id": int(own.labels[row]) + 1,
                    "bbox": [x1, y1, x2 - x1, y2 - y1],
                    "area": OUTSIDE_ALL_SIZES if own.difficult[row] else float(own.areas[row]),
                    "iscrowd": int(own.crowd[row]),
                }
            )
    found = [
        {"image_id": image, "category_id": int(label) + 1, "bbox": [x1, y1, x2 - x1, y2 - y1], "score": score}
        for image, own in enumerate(contents.detections, 1)
        for (x1, y1, x2, y2), label, score in zip(*(column.tolist() for column in own), strict=True)
    ]
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO()
        truth.dataset = dataset
        truth.createIndex()
        evaluation = COCOeval(truth, truth.loadRes(found) if found else COCO(), "bbox")
        if not found:
            evaluation.cocoDt.dataset = {**dataset, "annotations": []}
            evaluation.cocoDt.createIndex()
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    numbers = evaluation.stats, evaluation.eval["precision"], evaluation.eval["recall"]
    return tuple(np.where(values == -1, np.nan, values) for values in numbers)


def voc_loop(contents: Contents, num_classes: int) -> np.ndarray:
    """Return VOC's AP of each class, detection by detection, as the development kit's VOCevaldet.m computes it."""
    scores = np.full(num_classes, np.nan)
    for label in range(num_classes):
        number = sum(
            1
            for own in contents.objects
            for row, kind in enumerate(own.labels)
            if kind == label and not own.difficult[row] and not own.crowd[row]
        )
        ranked = [
            (-score, image, row)
            for image, own in enumerate(contents.detections)
            for row, (score, kind) in enumerate(zip(own.scores, own.labels, strict=True))
            if kind == label
        ]
        seen: set[tuple[int, int]] = set()
        hits, misses = 0, 0
        recall, precision = [0.0], [0.0]
        for _, image, row in sorted(ranked):
            kind = _voc_kind(contents.objects[image], contents.detections[image].corners[row], label, image, seen)
            hits, misses = hits + (kind == "right"), misses + (kind == "wrong")
            if kind != "neither" and number:
                recall.append(hits / number)
                precision.append(hits / (hits + misses))
        if number:
            recall, precision = [*recall, 1.0], [*precision, 0.0]
            for place in range(len(precision) - 2, -1, -1):
                precision[place] = max(precision[place], precision[place + 1])
            scores[label] = sum((recall[i] - recall[i - 1]) * precision[i] for i in range(1, len(recall)))
    return scores


def _voc_kind(own: Objects, box: np.ndarray, label: int, image: int, seen: set[tuple[int, int]]) -> str:
    best, place, in_crowd = 0.0, -1, False
    for row, kind in enumerate(own.labels):
        if kind != label:
            continue
        other = own.corners[row]
        width, height = min(box[2], other[2]) - max(box[0], other[0]), min(box[3], other[3]) - max(box[1], other[1])
        if width <= 0 or height <= 0:
            continue
        area = (box[2] - box[0]) * (box[3] - box[1])
        whole = area + (other[2] - other[0]) * (other[3] - other[1]) - width * height
        if own.crowd[row]:
            in_crowd |= width * height / area >= 0.5
        elif width * height / whole > best:
            best, place = width * height / whole, row
    if best < 0.5:
        return "neither" if in_crowd else "wrong"
    if own.difficult[place]:
        return "neither"
    if (image, place) in seen:
        return "wrong"
    seen.add((image, place))
    return "right"


def largest_difference(contents: Contents, num_classes: int) -> float:
    """Return the largest difference of any score; infinity where one is missing on one side alone."""
    stats, precision, recall = pycocotools_scores(contents, num_classes)
    found = coco_scores(match(contents, num_classes))
    ours = [found.ap(), found.ap(0), found.ap(5), *(found.ap(size=size) for size in ("small", "medium", "large"))]
    ours += [found.ar(1), found.ar(10), found.ar(), *(found.ar(size=size) for size in ("small", "medium", "large"))]
    return max(
        _difference(np.array(ours), stats),
        _difference(found.precision, precision[..., 2].mean(axis=1).transpose(1, 0, 2)),
        _difference(found.recall, recall[..., 2].transpose(1, 0, 2)),
        _difference(found.recall_of_fewer, recall[:, :, 0, :2].transpose(1, 0, 2)),
        _difference(found.curves, precision[0, :, :, 0, 2].T),
        _difference(voc_average_precision(contents, num_classes), voc_loop(contents, num_classes)),
    )


def _difference(ours: np.ndarray, expected: np.ndarray) -> float:
    if (np.isnan(ours) != np.isnan(expected)).any():
        return float("inf")
    return float(np.nan_to_num(np.abs(ours - expected)).max())


def differences(number: int, first: int = 0) -> Iterator[float]:
    """Yield the largest difference of each of so many sets."""
    for seed in range(first, first + number):
        yield largest_difference(*random_contents(seed))


def main() -> int:
    """Compare so many sets, and say what came of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--number", type=int, default=500, help="sets")
    parser.add_argument("--seed", type=int, default=0, help="of the first set")
    options = parser.parse_args()
    found = list(differences(options.number, options.seed))
    beyond = [options.seed + place for place, difference in enumerate(found) if difference > LIMIT]
    print(f"sets                {len(found):,}")
    print(f"largest difference  {max(found):.1e} (limit {LIMIT:.0e})")
    print(f"beyond the limit    {len(beyond):,} {beyond[:10]}")
    return 1 if beyond else 0


if __name__ == "__main__":
    sys.exit(main())
