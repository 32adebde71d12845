"""Predictions against the truth, in NumPy: every number that `cnn eval` reports."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple, cast

import numpy as np
import numpy.typing as npt

from cnncli.datasets.targets import ClassNumbers, Targets
from cnncli.errors import DataError
from cnncli.tasks.classification.calibration import Calibration, calibration
from cnncli.tasks.significance import wilson_interval

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

SCORES = ("precision", "recall", "f1")
"""What is told of every class besides its support."""


@dataclass(frozen=True)
class Evaluation:
    """What a network predicted for the examples of one split: a few numbers of each, not its probabilities.

    Attributes:
        split: Name of the split.
        classes: Class names; labels are places in it.
        labels: True class of each example (examples,).
        predicted: Most probable class of each example; the first of equals.
        ranks: Number of classes that are more probable than the true one; equals count by their order.
        confidences: Probability of the predicted class of each example.
        margins: How far the predicted class's probability lies above the next one's; 1 where there is no other class.
        losses: Cross-entropy of each example in nats (examples,).
        squares: Squared distance of each example's probabilities from certainty of the true class.
        ids: File or index of each example; empty where nobody asks for it.
    """

    split: str
    classes: tuple[str, ...]
    labels: Integers
    predicted: Integers
    ranks: Integers
    confidences: Floats
    margins: Floats
    losses: Floats
    squares: Floats
    ids: Sequence[str] = ()

    @classmethod
    def from_logits(
        cls,
        split: str,
        classes: tuple[str, ...],
        labels: Integers,
        logits: npt.NDArray[np.floating[Any]],
        ids: Sequence[str] = (),
    ) -> Evaluation:
        """Build from a network's outputs before the softmax (examples, classes).

        Raises:
            DataError: If there is no example to measure.
        """
        evaluator = ClassificationEvaluator(split, classes, ids)
        evaluator.update(logits, ClassNumbers(labels))
        return evaluator.result()

    @classmethod
    def from_probabilities(
        cls,
        split: str,
        classes: tuple[str, ...],
        labels: Integers,
        probabilities: npt.NDArray[np.float32],
        ids: Sequence[str] = (),
    ) -> Evaluation:
        """Build from probabilities (examples, classes); one that was rounded to 0 counts as float32's smallest.

        Raises:
            DataError: If there is no example to measure.
        """
        evaluator = ClassificationEvaluator(split, classes, ids)
        evaluator.update_exported({"probabilities": probabilities}, ClassNumbers(labels))
        return evaluator.result()

    def __len__(self) -> int:
        return len(self.labels)

    @cached_property
    def correct(self) -> npt.NDArray[np.bool_]:
        """Whether each example was classified correctly."""
        correct: npt.NDArray[np.bool_] = self.predicted == self.labels
        return correct

    def scalars(self) -> dict[str, float]:
        """Return loss and accuracy."""
        return {"loss": self.loss, "accuracy": self.accuracy}

    def csv(self) -> str:
        """Return a line for each example, with the columns of predictions-<split>.csv."""
        from cnncli.tasks.classification.predictions import evaluation_csv

        return evaluation_csv(self)

    @property
    def loss(self) -> float:
        """Mean cross-entropy in nats."""
        return float(self.losses.mean())

    @property
    def accuracy(self) -> float:
        """Share of examples classified rightly."""
        return float(self.correct.mean())

    @property
    def balanced_accuracy(self) -> float:
        """Mean recall of the classes that occur."""
        recalls = [row["recall"] for row in self.per_class() if row["support"]]
        return float(np.mean(recalls))

    def top_k_accuracy(self, k: int) -> float:
        """Return the share of examples whose true class is among the `k` most probable; ties go to the first class."""
        return float((self.ranks < k).mean())

    def confusion_matrix(self) -> Integers:
        """Count examples by true class (row) and predicted class (column)."""
        n = len(self.classes)
        return np.bincount(self.labels * n + self.predicted, minlength=n * n).reshape(n, n)

    def per_class(self) -> list[dict[str, Any]]:
        """Return precision, recall, F1 and support of each class; 0 where a ratio has no denominator."""
        matrix = self.confusion_matrix()
        hits, predicted, support = np.diag(matrix), matrix.sum(axis=0), matrix.sum(axis=1)
        precision, recall = _ratio(hits, predicted), _ratio(hits, support)
        f1 = _ratio(2 * hits, predicted + support)
        return [
            {
                "class": name,
                "precision": float(precision[i]),
                "recall": float(recall[i]),
                "f1": float(f1[i]),
                "support": int(support[i]),
            }
            for i, name in enumerate(self.classes)
        ]

    def averages(self) -> dict[str, dict[str, float]]:
        """Return precision, recall and F1 averaged over classes: each alike ("macro"), or by support ("weighted").

        Classes that neither occur nor are predicted are left out of the macro average.
        """
        rows, matrix = self.per_class(), self.confusion_matrix()
        occur = (matrix.sum(axis=0) + matrix.sum(axis=1)) > 0
        support = np.array([row["support"] for row in rows])
        values = {name: np.array([row[name] for row in rows]) for name in SCORES}
        return {
            "macro": {name: float(values[name][occur].mean()) for name in SCORES},
            "weighted": {name: float((values[name] * support).sum() / support.sum()) for name in SCORES},
        }

    def calibration(self, bins: int = 15) -> Calibration:
        """Compare confidence with accuracy in bins of equal width."""
        return calibration(self.confidences, self.correct, bins)

    def brier_score(self) -> float:
        """Return the mean squared distance of the probabilities from certainty of the true class, 0 to 2.

        Reference: Brier, Monthly Weather Review 78 (1), 1950.
        """
        return float(self.squares.mean())

    def to_json(self) -> dict[str, Any]:
        """Return the fields of `cnn eval --json`."""
        ks = range(1, min(5, len(self.classes)) + 1)
        return {
            "split": self.split,
            "num_examples": len(self),
            "loss": self.loss,
            "accuracy": self.accuracy,
            "accuracy_interval": list(wilson_interval(int(self.correct.sum()), len(self))),
            "balanced_accuracy": self.balanced_accuracy,
            "top_5_accuracy": self.top_k_accuracy(ks[-1]),
            "top_k_accuracy": {str(k): self.top_k_accuracy(k) for k in ks},
            "brier_score": self.brier_score(),
            "classes": list(self.classes),
            "confusion_matrix": self.confusion_matrix().tolist(),
            "confusion_matrix_axes": {"rows": "true class", "columns": "predicted class", "values": "examples"},
            "per_class": self.per_class(),
            "averages": self.averages(),
            "calibration": self.calibration().to_json(),
        }


class ClassificationEvaluator:
    """Scores a split batch by batch.

    Args:
        split: Name of the split.
        classes: Names of the classes.
        ids: File or index of each example, in the order of the batches.
    """

    def __init__(self, split: str, classes: tuple[str, ...], ids: Sequence[str] = ()) -> None:
        self._split, self._classes, self._ids = split, classes, ids
        self._rows: list[_Rows] = []

    def update(self, outputs: npt.NDArray[np.floating[Any]], targets: Targets) -> None:
        """Add a batch of logits (examples, classes)."""
        log_probabilities = log_softmax(outputs)
        self._add(np.exp(log_probabilities), log_probabilities, targets)

    def update_exported(self, outputs: Mapping[str, npt.NDArray[np.floating[Any]]], targets: Targets) -> None:
        """Add a batch of "probabilities" (examples, classes)."""
        probabilities = outputs["probabilities"].astype(np.float64)
        exact = np.maximum(probabilities, np.finfo(np.float32).tiny)
        self._add(probabilities, log_softmax(np.log(exact)), targets)

    def _add(self, probabilities: Floats, log_probabilities: Floats, targets: Targets) -> None:
        labels = cast("ClassNumbers", targets).labels
        if len(labels):
            self._rows.append(_rows(labels, probabilities, log_probabilities))

    def result(self) -> Evaluation:
        """Return the scores of all batches.

        Raises:
            DataError: If there was no example.
        """
        if not self._rows:
            raise DataError(f"the {self._split} split has no examples", "Measure another split with --split.")
        rows = _Rows(*(np.concatenate(column) for column in zip(*self._rows, strict=True)))
        return Evaluation(self._split, self._classes, **rows._asdict(), ids=self._ids)


class _Rows(NamedTuple):
    """What is kept of each example of a batch; see `Evaluation`."""

    labels: Integers
    predicted: Integers
    ranks: Integers
    confidences: Floats
    margins: Floats
    losses: Floats
    squares: Floats


def _rows(labels: Integers, probabilities: Floats, log_probabilities: Floats) -> _Rows:
    number, classes = np.arange(len(labels)), np.arange(probabilities.shape[1])
    of_truth = probabilities[number, labels][:, None]
    before = (probabilities > of_truth) | ((probabilities == of_truth) & (classes < labels[:, None]))
    margins = np.ones(len(labels))
    if len(classes) > 1:
        second, first = np.partition(probabilities, -2, axis=1)[:, -2:].T
        margins = first - second
    return _Rows(
        labels=labels,
        predicted=probabilities.argmax(axis=1),
        ranks=before.sum(axis=1),
        confidences=probabilities.max(axis=1),
        margins=margins,
        losses=-log_probabilities[number, labels],
        squares=np.square(probabilities - (labels[:, None] == classes)).sum(axis=1),
    )


def log_softmax(logits: npt.NDArray[np.floating[Any]]) -> Floats:
    """Return log-probabilities (examples, classes) in float64."""
    shifted = logits.astype(np.float64) - logits.max(axis=-1, keepdims=True)
    normalised: Floats = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    return normalised


def softmax(logits: npt.NDArray[np.floating[Any]]) -> Floats:
    """Return probabilities (examples, classes) in float64."""
    probabilities: Floats = np.exp(log_softmax(logits))
    return probabilities


def _ratio(part: Integers, whole: Integers) -> Floats:
    return np.divide(part, whole, out=np.zeros(len(part)), where=whole > 0)
