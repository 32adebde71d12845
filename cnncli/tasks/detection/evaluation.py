"""The scores of a split of detected objects: every number that `cnn eval` reports, in NumPy."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from cnncli.datasets.boxes.targets import Objects
from cnncli.tasks.detection.average_precision import CocoScores, coco_scores, mean_known, voc_average_precision
from cnncli.tasks.detection.matching import Matches, match
from cnncli.tasks.detection.outcomes import IGNORED, confusion_matrix, outcomes
from cnncli.tasks.detection.overlap import Contents, Detections, Floats, Numbers
from cnncli.tasks.detection.resampling import Ranked, bootstrap, percentiles, ranked, selected_ap50
from cnncli.tasks.detection.thresholds import Threshold, all_confident, best_thresholds
from cnncli.tasks.predictions import csv_text

BACKGROUND = "background"
"""What the last row and column of the confusion matrix are called: no object."""

COLUMNS = ("example", "kind", "class", "score", "xmin", "ymin", "xmax", "ymax", "outcome", "area")
"""Columns of predictions-<split>.csv: a line for each object and each detection; only objects have an area."""

OBJECT, DIFFICULT, CROWD, DETECTION, NOTHING = "object", "difficult", "crowd", "detection", "none"
"""What a line is of; an image with neither objects nor detections has one line, of nothing."""

RIGHT, FALSE = "right", "false"
"""Outcomes of a detection at IoU 0.5, whatever its score; or `IGNORED`."""


@dataclass(frozen=True)
class Evaluation:
    """What a network detected in the images of one split.

    Attributes:
        split: Name of the split.
        classes: Class names.
        contents: The objects of each image and the detections in it.
        losses: Loss of each image; empty where the network does not return what it is computed from.
        ids: File or index of each image; empty where they are not needed.
    """

    split: str
    classes: tuple[str, ...]
    contents: Contents
    losses: Floats
    ids: Sequence[str] = ()

    def __len__(self) -> int:
        return len(self.contents.objects)

    def scalars(self) -> dict[str, float]:
        """Return loss, AP and AP at IoU 0.5; an AP is 0 where no image has an object."""
        scores = {"ap": self.coco.ap(), "ap50": self.coco.ap(0)}
        return {"loss": self.loss, **{name: 0.0 if np.isnan(score) else score for name, score in scores.items()}}

    @property
    def loss(self) -> float:
        """Mean loss of the images; NaN where it is not known."""
        return float(self.losses.mean()) if len(self.losses) else float("nan")

    @cached_property
    def matches(self) -> Matches:
        """Which detection is of which object."""
        return match(self.contents, len(self.classes))

    @cached_property
    def coco(self) -> CocoScores:
        """COCO's scores of each class."""
        return coco_scores(self.matches)

    @cached_property
    def ranked(self) -> Ranked:
        """The detections at IoU 0.5 by class and score."""
        return ranked(self.matches, self.contents)

    @cached_property
    def thresholds(self) -> list[Threshold]:
        """The threshold of each class with the highest F1 on these images."""
        return best_thresholds(self.ranked)

    @cached_property
    def confident(self) -> Contents:
        """The objects of each image and the detections that reach the threshold of their class."""
        return all_confident(self.contents, [threshold.score for threshold in self.thresholds])

    @cached_property
    def confusion(self) -> Numbers:
        """Objects by true and detected class at these thresholds, the background last."""
        return confusion_matrix(self.confident, len(self.classes))

    def count_errors(self) -> Numbers:
        """Return how many objects too many are detected in each image, of each class: (images, classes).

        Detections of objects that need not be found are not counted, nor are these.
        """
        errors = -self.ranked.objects
        for row, (detections, own) in enumerate(
            zip(self.confident.detections, outcomes(self.confident, len(self.classes)), strict=True)
        ):
            counted = [kind != IGNORED for kind in own.detections]
            errors[row] += np.bincount(detections.labels[counted], minlength=len(self.classes))
        return errors

    def interval(self) -> tuple[float, float] | None:
        """Return the 95 % interval of the AP at IoU 0.5, bootstrapped over images; None without objects."""
        return percentiles(selected_ap50(self.ranked, bootstrap(len(self))))

    def per_class(self) -> list[dict[str, Any]]:
        """Return the scores of each class; None where there is nothing to measure."""
        coco, voc, errors = self.coco, voc_average_precision(self.contents, len(self.classes)), self.count_errors()
        objects = self.ranked.objects
        return [
            {
                "class": name,
                "ap": _known(coco.precision[label, :, 0].mean()),
                "ap50": _known(coco.precision[label, 0, 0]),
                "ap75": _known(coco.precision[label, 5, 0]),
                "voc_ap50": _known(voc[label]),
                "ar100": _known(coco.recall[label, :, 0].mean()),
                "objects": int(objects[:, label].sum()),
                "images": int((objects[:, label] > 0).sum()),
                "threshold": self.thresholds[label].score,
                "precision": self.thresholds[label].precision,
                "recall": self.thresholds[label].recall,
                "f1": self.thresholds[label].f1,
                "detections": int((errors + objects)[:, label].sum()),
                "count_error": float(np.abs(errors[:, label]).mean()),
                "count_bias": float(errors[:, label].mean()),
                "curve": [_known(value) for value in coco.curves[label]],
            }
            for label, name in enumerate(self.classes)
        ]

    def to_json(self) -> dict[str, Any]:
        """Return the fields of `cnn eval --json`."""
        coco, per_class = self.coco, self.per_class()
        interval = self.interval()
        voc = [row["voc_ap50"] for row in per_class if row["voc_ap50"] is not None]
        return {
            "split": self.split,
            "num_examples": len(self),
            "num_objects": int(self.ranked.objects.sum()),
            "loss": _known(self.loss),
            "ap": _known(coco.ap()),
            "ap50": _known(coco.ap(0)),
            "ap50_interval": None if interval is None else list(interval),
            "ap75": _known(coco.ap(5)),
            **{f"ap_{size}": _known(coco.ap(size=size)) for size in ("small", "medium", "large")},
            **{f"ar{most}": _known(coco.ar(most)) for most in (1, 10, 100)},
            **{f"ar_{size}": _known(coco.ar(size=size)) for size in ("small", "medium", "large")},
            "voc_ap50": _known(mean_known(np.array(voc, np.float64))),
            "classes": list(self.classes),
            "per_class": per_class,
            "confusion_matrix": self.confusion.tolist(),
            "confusion_matrix_axes": {
                "rows": f"true class, {BACKGROUND} last",
                "columns": f"detected class, {BACKGROUND} last",
                "values": "objects and detections",
            },
        }

    def csv(self) -> str:
        """Return a line for each object and each detection, with the columns of predictions-<split>.csv."""
        return csv_text([COLUMNS, *self._lines()])

    def _lines(self) -> Iterator[tuple[str, ...]]:
        kinds = np.full(sum(len(own.labels) for own in self.contents.detections), FALSE, object)
        kinds[self.matches.rows[self.matches.hits[:, 0, 0]]] = RIGHT
        kinds[self.matches.rows[self.matches.ignored[:, 0, 0]]] = IGNORED
        first = 0
        for example, objects, detections in zip(self.ids, *self.contents, strict=True):
            if not len(objects.labels) and not len(detections.labels):
                yield example, NOTHING, *[""] * (len(COLUMNS) - 2)
            yield from self._object_lines(example, objects)
            yield from self._detection_lines(example, detections, kinds[first:].tolist())
            first += len(detections.labels)

    def _object_lines(self, example: str, objects: Objects) -> Iterator[tuple[str, ...]]:
        columns = objects.labels.tolist(), objects.corners.tolist(), objects.areas.tolist()
        for label, corners, area, difficult, crowd in zip(*columns, objects.difficult, objects.crowd, strict=True):
            kind = CROWD if crowd else DIFFICULT if difficult else OBJECT
            yield example, kind, self.classes[label], "", *map(repr, corners), "", repr(area)

    def _detection_lines(self, example: str, detections: Detections, kinds: Sequence[str]) -> Iterator[tuple[str, ...]]:
        columns = detections.labels.tolist(), detections.scores.tolist(), detections.corners.tolist()
        for label, score, corners, kind in zip(*columns, kinds, strict=False):
            yield example, DETECTION, self.classes[label], repr(score), *map(repr, corners), kind, ""


def _known(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
