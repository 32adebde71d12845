"""The scores of a split: every number that `cnn eval` reports, in NumPy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from cnncli.tasks.classification.calibration import Calibration, calibration
from cnncli.tasks.classification.columns import COLUMNS
from cnncli.tasks.predictions import csv_text
from cnncli.tasks.significance import wilson_interval

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

SCORES = ("precision", "recall", "f1")
"""The scores of every class, besides its support."""


@dataclass(frozen=True)
class Evaluation:
    """What a network predicted for the examples of one split: a few numbers of each, not its probabilities.

    Attributes:
        split: Name of the split.
        classes: Class names; labels are places in it.
        labels: True class of each example (examples,).
        predicted: Most probable class of each example; the first one in a tie.
        ranks: Number of classes that are more probable than the true one; ties count by their order.
        confidences: Probability of the predicted class of each example.
        margins: How far the predicted class's probability lies above the next one's; 1 where there is no other class.
        losses: Cross-entropy of each example in nats (examples,).
        squares: Squared distance of each example's probabilities from certainty of the true class.
        energies: −log Σ exp(logit) of each example; empty where only probabilities are known.
        ids: File or index of each example; empty where they are not needed.
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
    energies: Floats = field(default_factory=lambda: np.empty(0))
    ids: Sequence[str] = ()

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
        numbers = zip(self.confidences.tolist(), self.margins.tolist(), strict=True)
        names = zip(self.ids, self.labels.tolist(), self.predicted.tolist(), strict=True)
        rows = (
            (example, self.classes[true], self.classes[predicted], *map(repr, values))
            for (example, true, predicted), values in zip(names, numbers, strict=True)
        )
        return csv_text([COLUMNS, *rows])

    @property
    def loss(self) -> float:
        """Mean cross-entropy in nats."""
        return float(self.losses.mean())

    @property
    def accuracy(self) -> float:
        """Share of examples classified correctly."""
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


def _ratio(part: Integers, whole: Integers) -> Floats:
    return np.divide(part, whole, out=np.zeros(len(part)), where=whole > 0)
