"""The scores of a segmented split: every number that `cnn eval` reports, in NumPy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from cnncli.tasks.predictions import csv_text
from cnncli.tasks.segmentation.scores import (
    Counts,
    Floats,
    dice,
    foreground_of,
    intersection_over_union,
    iou_by_image,
    mean_iou,
    pixel_accuracy,
)

NUM_BINS = 15
"""Bins of equal width of a pixel's confidence."""

NUM_RESAMPLES = 2000
"""Bootstrap samples of images."""

COUNTS = ("shared", "true", "predicted")
"""Columns with a number of pixels for each class."""

BOUNDARY_F1, RAND_ERROR = "boundary_f1", "adapted_rand_error"
"""The first has a number for each class, nan for one without a boundary; the second is empty unless there are two."""

COLUMNS = ("example", "mean_iou", "pixel_accuracy", "loss", *COUNTS, BOUNDARY_F1, RAND_ERROR)
"""Columns of predictions-<split>.csv."""


@dataclass(frozen=True)
class Evaluation:
    """What a network predicted for the pixels of one split.

    Attributes:
        split: Name of the split.
        classes: Class names.
        confusion: Pixels by true class (row) and predicted class (column); those that are ignored are left out.
        shared: Pixels of each image that are of a class and predicted so, int64 (images, classes).
        true: Pixels of each image that are of a class.
        predicted: Pixels of each image that are predicted to be, among those that count.
        losses: Mean cross-entropy of each image's pixels in nats.
        bins: Pixels by confidence, float64 (3, 15): their number, the sum of confidences, the number that is right.
        boundary_scores: Boundary F1 of each image and class, NaN for a class without a boundary; None where it was not
            measured.
        rand_errors: Adapted Rand error of each image, NaN without objects; None where it was not measured.
        ids: File or index of each image; empty where they are not needed.
    """

    split: str
    classes: tuple[str, ...]
    confusion: Counts
    shared: Counts
    true: Counts
    predicted: Counts
    losses: Floats
    bins: Floats
    boundary_scores: Floats | None = None
    rand_errors: Floats | None = None
    ids: Sequence[str] = ()

    def __len__(self) -> int:
        return len(self.losses)

    def scalars(self) -> dict[str, float]:
        """Return loss, mean IoU and pixel accuracy."""
        return {"loss": self.loss, "mean_iou": self.mean_iou, "pixel_accuracy": self.pixel_accuracy}

    @property
    def loss(self) -> float:
        """Mean cross-entropy in nats: the mean over images of the mean over their pixels."""
        return float(self.losses.mean())

    @cached_property
    def mean_iou(self) -> float:
        """Mean IoU of the classes that occur or are predicted, from one confusion matrix of all pixels."""
        return mean_iou(self.confusion)

    @property
    def pixel_accuracy(self) -> float:
        """Share of pixels of the right class."""
        return pixel_accuracy(self.confusion)

    @property
    def mean_accuracy(self) -> float:
        """Mean recall of the classes that occur."""
        recalls = [row["recall"] for row in self.per_class() if row["pixels"]]
        return float(np.mean(recalls)) if recalls else 0.0

    @property
    def frequency_weighted_iou(self) -> float:
        """IoU of each class weighted by its true pixels."""
        pixels = self.confusion.sum(axis=1)
        found = self._iou()
        occurs = pixels > 0
        return float((found[occurs] * pixels[occurs]).sum() / pixels.sum()) if occurs.any() else 0.0

    def _iou(self) -> Floats:
        return intersection_over_union(np.diag(self.confusion), self.confusion.sum(axis=1), self.confusion.sum(axis=0))

    def boundary_f1(self) -> Floats | None:
        """Return the boundary F1 of each class, the mean over the images that have it; NaN for a class of none."""
        found = self.boundary_scores
        if found is None:
            return None
        known = ~np.isnan(found)
        totals = np.where(known, found, 0.0).sum(axis=0)
        return _ratio(totals, known.sum(axis=0))

    def adapted_rand_error(self) -> float | None:
        """Return the mean adapted Rand error of the images with objects; None where there is none to measure."""
        known = None if self.rand_errors is None else self.rand_errors[~np.isnan(self.rand_errors)]
        return None if known is None or len(known) == 0 else float(known.mean())

    def _of_foreground(self) -> dict[str, Any]:
        """Return the scores that only a task of two classes has."""
        label = foreground_of(self.classes)
        if label is None:
            return {}
        scores = {"foreground": self.classes[label], "dice": _known(dice(self.confusion, label))}
        if self.rand_errors is not None:
            scores["adapted_rand_error"] = self.adapted_rand_error()
        return scores

    def per_class(self) -> list[dict[str, Any]]:
        """Return IoU, precision, recall, F1 and boundary F1 of each class; None where there is nothing to measure."""
        hits, support, named = np.diag(self.confusion), self.confusion.sum(axis=1), self.confusion.sum(axis=0)
        scores = {
            "iou": self._iou(),
            "precision": _ratio(hits, named),
            "recall": _ratio(hits, support),
            "f1": _ratio(2 * hits, named + support),
        }
        boundary = self.boundary_f1()
        if boundary is not None:
            scores["boundary_f1"] = boundary
        return [
            {
                "class": name,
                **{score: _known(values[row]) for score, values in scores.items()},
                "pixels": int(support[row]),
                "images": int((self.true[:, row] > 0).sum()),
            }
            for row, name in enumerate(self.classes)
        ]

    def interval(self) -> tuple[float, float]:
        """Return the 95 % interval of the mean IoU: the bootstrap's percentiles over images."""
        generator = np.random.default_rng(0)
        chosen = generator.multinomial(len(self), np.full(len(self), 1 / len(self)), NUM_RESAMPLES).astype(np.float64)
        shared, true, predicted = (chosen @ counts for counts in (self.shared, self.true, self.predicted))
        union = true + predicted - shared
        found = np.divide(shared, union, out=np.full(union.shape, np.nan), where=union > 0)
        known = ~np.isnan(found)
        means = np.where(known, found, 0.0).sum(axis=1) / np.maximum(known.sum(axis=1), 1)
        low, high = np.percentile(means, (2.5, 97.5))
        return float(low), float(high)

    def calibration(self) -> dict[str, Any]:
        """Compare confidence with accuracy by pixels, in bins of equal width."""
        number, confidence, right = self.bins
        total = number.sum()
        rows = [
            {
                "low": place / NUM_BINS,
                "high": (place + 1) / NUM_BINS,
                "count": int(number[place]),
                "confidence": float(confidence[place] / number[place]),
                "accuracy": float(right[place] / number[place]),
            }
            for place in range(NUM_BINS)
            if number[place]
        ]
        error = float(np.abs(confidence - right).sum() / total) if total else 0.0
        return {"ece": error, "num_bins": NUM_BINS, "bins": rows}

    def image_iou(self) -> Floats:
        """Return the mean IoU of each image over the classes that are in it or predicted in it; NaN without any."""
        return iou_by_image(self.shared, self.true, self.predicted)

    def csv(self) -> str:
        """Return a line for each image, with the columns of predictions-<split>.csv."""
        accuracies = _ratio(self.shared.sum(axis=1), self.true.sum(axis=1))
        columns = [
            self.ids,
            *(map(repr, scores.tolist()) for scores in (self.image_iou(), accuracies, self.losses)),
            *(map(_cell, counts.tolist()) for counts in (self.shared, self.true, self.predicted)),
            [""] * len(self) if self.boundary_scores is None else map(_cell, self.boundary_scores.tolist()),
            [""] * len(self) if self.rand_errors is None else map(repr, self.rand_errors.tolist()),
        ]
        return csv_text([COLUMNS, *zip(*columns, strict=True)])

    def to_json(self) -> dict[str, Any]:
        """Return the fields of `cnn eval --json`."""
        document = {
            "split": self.split,
            "num_examples": len(self),
            "num_pixels": int(self.confusion.sum()),
            "loss": self.loss,
            "mean_iou": self.mean_iou,
            "mean_iou_interval": list(self.interval()),
            "pixel_accuracy": self.pixel_accuracy,
            "mean_accuracy": self.mean_accuracy,
            "frequency_weighted_iou": self.frequency_weighted_iou,
            **self._of_foreground(),
            "classes": list(self.classes),
            "confusion_matrix": self.confusion.tolist(),
            "confusion_matrix_axes": {"rows": "true class", "columns": "predicted class", "values": "pixels"},
            "per_class": self.per_class(),
            "calibration": self.calibration(),
        }
        boundary = self.boundary_f1()
        if boundary is not None:
            known = boundary[~np.isnan(boundary)]
            document["mean_boundary_f1"] = float(known.mean()) if len(known) else None
        return document


def _cell(values: Sequence[float]) -> str:
    """Return the numbers of an image's classes as one cell."""
    return " ".join(map(repr, values))


def _ratio(part: npt.NDArray[Any], whole: npt.NDArray[Any]) -> Floats:
    ratio: Floats = np.divide(part, whole, out=np.full(part.shape, np.nan), where=whole > 0)
    return ratio


def _known(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
