"""Predictions against the truth, in NumPy: every number that `cnn eval` reports."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

Z_95 = 1.959963984540054
"""The standard normal's 97.5 % point."""


@dataclass(frozen=True)
class Evaluation:
    """What a network answered for the examples of one split.

    Attributes:
        split: Name of the split.
        classes: Class names; labels are places in it.
        labels: True class of each example (examples,).
        probabilities: Predicted probabilities (examples, classes), float64.
        losses: Cross-entropy of each example in nats (examples,).
    """

    split: str
    classes: tuple[str, ...]
    labels: Integers
    probabilities: Floats
    losses: Floats

    @classmethod
    def from_logits(
        cls, split: str, classes: tuple[str, ...], labels: Integers, logits: npt.NDArray[np.float32]
    ) -> Evaluation:
        """Build from a network's outputs before the softmax (examples, classes)."""
        log_probabilities = log_softmax(logits)
        losses = -log_probabilities[np.arange(len(labels)), labels]
        return cls(split, classes, labels, np.exp(log_probabilities), losses)

    @property
    def predicted(self) -> Integers:
        """Most probable class of each example; the first of equals."""
        return self.probabilities.argmax(axis=1)

    @property
    def correct(self) -> npt.NDArray[np.bool_]:
        """Whether each example was classified rightly."""
        return self.predicted == self.labels

    @property
    def loss(self) -> float:
        """Mean cross-entropy in nats."""
        return float(self.losses.mean())

    @property
    def accuracy(self) -> float:
        """Share of examples classified rightly."""
        return float(self.correct.mean())

    def top_k_accuracy(self, k: int) -> float:
        """Return the share of examples whose true class is among the `k` most probable; ties go to the first class."""
        order = np.argsort(-self.probabilities, axis=1, kind="stable")[:, :k]
        return float((order == self.labels[:, None]).any(axis=1).mean())

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
        rows = self.per_class()
        occur = (self.confusion_matrix().sum(axis=0) + self.confusion_matrix().sum(axis=1)) > 0
        support = np.array([row["support"] for row in rows])
        names = ("precision", "recall", "f1")
        values = {name: np.array([row[name] for row in rows]) for name in names}
        return {
            "macro": {name: float(values[name][occur].mean()) for name in names},
            "weighted": {name: float((values[name] * support).sum() / support.sum()) for name in names},
        }

    def calibration(self, bins: int = 15) -> dict[str, Any]:
        """Compare confidence with accuracy in bins of equal width.

        Returns:
            `ece`, the expected calibration error, and for each bin that holds examples its bounds, count, mean
            confidence and accuracy.

        Reference: Guo et al., On calibration of modern neural networks, ICML 2017.
        """
        confidence = self.probabilities.max(axis=1)
        place = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
        rows = []
        for index in np.unique(place):
            inside = place == index
            rows.append(
                {
                    "low": float(index / bins),
                    "high": float((index + 1) / bins),
                    "count": int(inside.sum()),
                    "confidence": float(confidence[inside].mean()),
                    "accuracy": float(self.correct[inside].mean()),
                }
            )
        total = len(self.labels)
        ece = sum(row["count"] / total * abs(row["confidence"] - row["accuracy"]) for row in rows)
        return {"bins": rows, "ece": float(ece)}

    def to_json(self) -> dict[str, Any]:
        """Return the fields of `cnn eval --json`."""
        return {
            "split": self.split,
            "num_examples": len(self.labels),
            "loss": self.loss,
            "accuracy": self.accuracy,
            "accuracy_interval": list(wilson_interval(int(self.correct.sum()), len(self.labels))),
            "top_5_accuracy": self.top_k_accuracy(min(5, len(self.classes))),
            "classes": list(self.classes),
            "confusion_matrix": self.confusion_matrix().tolist(),
            "per_class": self.per_class(),
            "averages": self.averages(),
            "calibration": self.calibration(),
        }


def log_softmax(logits: npt.NDArray[np.float32]) -> Floats:
    """Return log-probabilities (examples, classes) in float64."""
    shifted = logits.astype(np.float64) - logits.max(axis=-1, keepdims=True)
    normalised: Floats = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    return normalised


def wilson_interval(successes: int, trials: int) -> tuple[float, float]:
    """Return the 95 % score interval of a proportion.

    Reference: Wilson, Journal of the American Statistical Association 22 (158), 1927.
    """
    share, z2 = successes / trials, Z_95**2
    centre = share + z2 / (2 * trials)
    spread = Z_95 * sqrt(share * (1 - share) / trials + z2 / (4 * trials**2))
    scale = 1 + z2 / trials
    return max(0.0, (centre - spread) / scale), min(1.0, (centre + spread) / scale)


def _ratio(part: Integers, whole: Integers) -> Floats:
    return np.divide(part, whole, out=np.zeros(len(part)), where=whole > 0)
