"""One evaluation of a segmentation over the held-out images of all folds, from what each fold's run keeps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from cnncli.runs.evaluations import KeptEvaluation
from cnncli.tasks.segmentation.evaluation import NUM_BINS, Evaluation
from cnncli.tasks.segmentation.rows import read_rows
from cnncli.tasks.segmentation.scores import Floats


def joined_evaluation(folds: Sequence[KeptEvaluation]) -> Evaluation:
    """Return the evaluation over the images of all folds: pixels are added up, what is known of each image is kept.

    Args:
        folds: The evaluation of each fold by a run that had not seen it; all have the same classes.

    Raises:
        RunError: If the predictions of one cannot be read.
    """
    documents, rows = [fold.document for fold in folds], [fold.rows(read_rows) for fold in folds]
    shared, true, predicted = np.concatenate([own.counts for own in rows], axis=1)
    return Evaluation(
        split=documents[0]["split"],
        classes=tuple(documents[0]["classes"]),
        confusion=np.sum([document["confusion_matrix"] for document in documents], axis=0),
        shared=shared,
        true=true,
        predicted=predicted,
        losses=np.concatenate([own.losses for own in rows]),
        bins=np.sum([_bins(document["calibration"]) for document in documents], axis=0),
        boundary_scores=_joined([own.boundary_scores for own in rows]),
        rand_errors=_joined([own.rand_errors for own in rows]),
        ids=[example for own in rows for example in own.examples],
    )


def _bins(calibration: Mapping[str, Any]) -> Floats:
    """Return the sums of which `Evaluation.calibration` told the means."""
    sums = np.zeros((3, NUM_BINS))
    for row in calibration["bins"]:
        sums[:, round(row["low"] * NUM_BINS)] = row["count"] * np.array([1, row["confidence"], row["accuracy"]])
    return sums


def _joined(parts: Sequence[Floats | None]) -> Floats | None:
    """Return what is known of the images of all folds; None where one does not have it."""
    known = [part for part in parts if part is not None]
    return np.concatenate(known) if len(known) == len(parts) else None
