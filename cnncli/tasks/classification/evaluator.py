"""Scores a split of a classifier batch by batch, in NumPy; what it keeps of an example is a few numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, cast

import numpy as np
import numpy.typing as npt

from cnncli.datasets.targets import ClassNumbers, Targets
from cnncli.errors import DataError
from cnncli.tasks.classification.evaluation import Evaluation, Floats, Integers
from cnncli.tasks.classification.ood import energies
from cnncli.tasks.classification.predictions import output_names


def evaluate_logits(
    split: str,
    classes: tuple[str, ...],
    labels: Integers,
    logits: npt.NDArray[np.floating[Any]],
    ids: Sequence[str] = (),
) -> Evaluation:
    """Return the scores of a whole split from what its network ends in, logits (examples, classes).

    Raises:
        DataError: If there is no example.
    """
    evaluator = ClassificationEvaluator(split, classes, ids)
    evaluator.update(logits, ClassNumbers(labels))
    return evaluator.result()


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
        self._add(np.exp(log_probabilities), log_probabilities, targets, energies(outputs))

    def update_exported(self, outputs: Mapping[str, npt.NDArray[np.floating[Any]]], targets: Targets) -> None:
        """Add a batch of "probabilities" (examples, classes)."""
        probabilities = outputs["probabilities"].astype(np.float64)
        exact = np.maximum(probabilities, np.finfo(np.float32).tiny)
        self._add(probabilities, log_softmax(np.log(exact)), targets, np.empty(0))

    def _add(self, probabilities: Floats, log_probabilities: Floats, targets: Targets, energies: Floats) -> None:
        labels = cast("ClassNumbers", targets).labels
        if len(labels):
            self._rows.append(_rows(labels, probabilities, log_probabilities, energies))

    def result(self) -> Evaluation:
        """Return the scores of all batches.

        Raises:
            DataError: If there was no example.
        """
        if not self._rows:
            raise DataError(f"the {self._split} split has no examples", "Measure another split with --split.")
        rows = _Rows(*(np.concatenate(column) for column in zip(*self._rows, strict=True)))
        # Where an output beyond the classes was predicted, it is listed as one more class, without examples.
        names = output_names(self._classes, int(rows.predicted.max()) + 1)
        return Evaluation(self._split, names, **rows._asdict(), ids=self._ids)


class _Rows(NamedTuple):
    """What is kept of each example of a batch; see `Evaluation`."""

    labels: Integers
    predicted: Integers
    ranks: Integers
    confidences: Floats
    margins: Floats
    losses: Floats
    squares: Floats
    energies: Floats


def _rows(labels: Integers, probabilities: Floats, log_probabilities: Floats, energies: Floats) -> _Rows:
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
        energies=energies,
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
