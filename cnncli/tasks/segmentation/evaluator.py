"""Scores a split of segmented images batch by batch, in NumPy; of each image it keeps a few numbers a class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple, cast

import numpy as np
import numpy.typing as npt

from cnncli.config.schema.tasks import MASK
from cnncli.datasets.masks.coding import Mask
from cnncli.datasets.masks.targets import Masks
from cnncli.datasets.targets import Targets
from cnncli.errors import DataError
from cnncli.resources import available_threads
from cnncli.tasks.predictions import PredictionOptions
from cnncli.tasks.segmentation.boundaries import boundary_counts
from cnncli.tasks.segmentation.evaluation import NUM_BINS, Evaluation
from cnncli.tasks.segmentation.planes import Planes, class_planes, resized, unpadded
from cnncli.tasks.segmentation.rand_error import adapted_rand_error
from cnncli.tasks.segmentation.scores import Counts, Floats, confusion_matrix, foreground_of

_LEAST = np.float32(1e-30)


class SegmentationEvaluator:
    """Scores a split in the pixels of its original masks.

    Args:
        split: Name of the split.
        options: The classes, and how images became the network's input.
        ids: File or index of each example, in the order of the batches; without them boundaries and objects are not
            scored, which takes as long as all else.
    """

    def __init__(self, split: str, options: PredictionOptions, ids: Sequence[str] = ()) -> None:
        self._split, self._options, self._ids = split, options, ids
        self._foreground = foreground_of(options.classes) if ids else None
        self._rows: list[_Row] = []

    def update(self, outputs: Any, targets: Targets) -> None:
        """Add a batch of logits (examples, rows, columns, classes), or several by the names of the outputs."""
        logits = outputs[MASK] if isinstance(outputs, Mapping) else outputs

        def measure(row: int) -> _Row:
            planes = resized(class_planes(logits[row]), self._options.image_size)
            mask = _mask(targets, row)
            if planes.shape[1:] == mask.shape:
                return self._row(_of_logits(planes, mask), mask)
            return self._row(_of_probabilities(in_original(softmax(planes), mask.shape, self._options.fit), mask), mask)

        self._add(measure, len(logits))

    def update_exported(self, outputs: Mapping[str, npt.NDArray[Any]], targets: Targets) -> None:
        """Add a batch of "probabilities" (examples, height, width, classes)."""
        probabilities = outputs["probabilities"]

        def measure(row: int) -> _Row:
            planes, mask = class_planes(probabilities[row]), _mask(targets, row)
            return self._row(_of_probabilities(in_original(planes, mask.shape, self._options.fit), mask), mask)

        self._add(measure, len(probabilities))

    def _add(self, measure: Any, number: int) -> None:
        with ThreadPoolExecutor(available_threads(), thread_name_prefix="score") as pool:
            self._rows.extend(pool.map(measure, range(number)))

    def _row(self, answer: _Answer, mask: Mask) -> _Row:
        """Score one image in the mask's pixels."""
        number, predicted = len(self._options.classes), answer.predicted
        counted = mask < number
        confidences = answer.confidences[counted]
        bins = np.minimum((confidences * NUM_BINS).astype(np.int64), NUM_BINS - 1)
        right = predicted[counted] == mask[counted]
        return _Row(
            confusion_matrix(mask, predicted, number),
            float(answer.losses.mean(dtype=np.float64)) if len(answer.losses) else 0.0,
            np.stack([np.bincount(bins, weights, minlength=NUM_BINS) for weights in (None, confidences, right)]),
            boundary_counts(mask, predicted, number).f1() if self._ids else None,
            self._rand_error(mask, predicted, counted),
        )

    def _rand_error(self, mask: Mask, predicted: npt.NDArray[np.int64], counted: npt.NDArray[np.bool_]) -> float | None:
        """Compare the objects of two classes, without the pixels that do not count."""
        label = self._foreground
        return None if label is None else adapted_rand_error(mask == label, (predicted == label) & counted)

    def result(self) -> Evaluation:
        """Return the scores of all batches.

        Raises:
            DataError: If there was no example.
        """
        if not self._rows:
            raise DataError(f"the {self._split} split has no examples", "Measure another split with --split.")
        confusions: Counts = np.stack([row.confusion for row in self._rows])
        boundary_f1 = [row.boundary_f1 for row in self._rows if row.boundary_f1 is not None]
        return Evaluation(
            split=self._split,
            classes=tuple(self._options.classes),
            confusion=confusions.sum(axis=0),
            shared=np.diagonal(confusions, axis1=1, axis2=2).copy(),
            true=confusions.sum(axis=2),
            predicted=confusions.sum(axis=1),
            losses=np.array([row.loss for row in self._rows]),
            bins=np.sum([row.bins for row in self._rows], axis=0),
            boundary_scores=np.stack(boundary_f1) if boundary_f1 else None,
            rand_errors=None if self._foreground is None else np.array([row.rand_error for row in self._rows], float),
            ids=self._ids,
        )


class _Answer(NamedTuple):
    """What a network says of an image, in the mask's pixels.

    Attributes:
        predicted: The most probable class of each pixel.
        confidences: Its probability.
        losses: Cross-entropy of the pixels that count.
    """

    predicted: npt.NDArray[np.int64]
    confidences: npt.NDArray[np.float32]
    losses: npt.NDArray[np.float32]


class _Row(NamedTuple):
    """What is kept of an image."""

    confusion: Counts
    loss: float
    bins: npt.NDArray[np.float64]
    boundary_f1: Floats | None
    rand_error: float | None


def _mask(targets: Targets, row: int) -> Mask:
    return cast("Masks", targets).read(row)


def _of_logits(planes: Planes, mask: Mask) -> _Answer:
    logarithms = log_softmax(planes)
    return _Answer(planes.argmax(axis=0), np.exp(logarithms.max(axis=0)), -_of_truth(logarithms, mask))


def _of_probabilities(planes: Planes, mask: Mask) -> _Answer:
    losses = -np.log(np.maximum(_of_truth(planes, mask), _LEAST))
    return _Answer(planes.argmax(axis=0), planes.max(axis=0), losses)


def _of_truth(planes: Planes, mask: Mask) -> npt.NDArray[np.float32]:
    """Return the values of the true classes, of the pixels that count."""
    counted = mask < len(planes)
    rows, columns = np.nonzero(counted)
    found: npt.NDArray[np.float32] = planes[mask[counted].astype(np.int64), rows, columns]
    return found


def in_original(probabilities: Planes, shape: tuple[int, ...], fit: str) -> Planes:
    """Return probabilities of an image's own pixels: interpolated, unless they are there already.

    Args:
        probabilities: (classes, height, width), as the network reads the image.
        shape: Height and width of the image.
        fit: How the image was fitted: "stretch" or "pad".
    """
    size = (shape[0], shape[1])
    if probabilities.shape[1:] == size:
        return probabilities
    return resized(np.ascontiguousarray(unpadded(probabilities, size)) if fit == "pad" else probabilities, size)


def softmax(logits: Planes) -> Planes:
    """Return the probabilities of logits (classes, height, width)."""
    found: Planes = logits - logits.max(axis=0)
    np.exp(found, out=found)
    found /= found.sum(axis=0)
    return found


def log_softmax(logits: Planes) -> Planes:
    """Return the log-probabilities of logits (classes, height, width)."""
    found: Planes = logits - logits.max(axis=0)
    found -= np.log(np.exp(found).sum(axis=0))
    return found
