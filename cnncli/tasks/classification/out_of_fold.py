"""One evaluation of a classifier over the held-out examples of all folds, from what each fold's run keeps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from cnncli.runs.evaluations import KeptEvaluation
from cnncli.tasks.classification.evaluation import Evaluation, Integers
from cnncli.tasks.classification.predictions import evaluated_examples


def joined_evaluation(folds: Sequence[KeptEvaluation]) -> Evaluation:
    """Return the evaluation over the examples of all folds.

    True and predicted classes, confidences and margins are known of every example. Of its loss, its Brier score and
    its class's rank only the averages over its fold are kept: every example has these here, which gives the averages
    over all examples that their own values would give.

    Args:
        folds: The evaluation of each fold by a run that had not seen it; all have the same classes.

    Raises:
        RunError: If the predictions of one cannot be read.
    """
    classes = folds[0].document["classes"]
    numbers = {name: number for number, name in enumerate(classes)}
    parts = [_part(fold, numbers) for fold in folds]
    columns = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    ids = columns.pop("ids").tolist()
    return Evaluation(folds[0].document["split"], tuple(classes), **columns, ids=ids)


def _part(fold: KeptEvaluation, numbers: Mapping[str, int]) -> dict[str, Any]:
    """Return the columns of `Evaluation` for one fold."""
    document, found = fold.document, evaluated_examples(fold.predictions_file)
    return {
        "labels": np.array([numbers[example.true] for example in found], np.int64),
        "predicted": np.array([numbers[example.predicted] for example in found], np.int64),
        "ranks": _ranks(document["top_k_accuracy"], len(found)),
        "confidences": np.array([example.probability for example in found]),
        "margins": np.array([example.margin for example in found]),
        "losses": np.full(len(found), document["loss"], np.float64),
        "squares": np.full(len(found), document["brier_score"], np.float64),
        "ids": np.array([example.example for example in found], object),
    }


def _ranks(shares: Mapping[str, float], number: int) -> Integers:
    """Return ranks of `number` examples that give these shares of ranks below k, in no order."""
    below = [0, *(round(shares[k] * number) for k in sorted(shares, key=int)), number]
    return np.repeat(np.arange(len(below) - 1), np.diff(below))
