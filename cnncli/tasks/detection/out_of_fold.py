"""One evaluation of a detector over the held-out images of all folds, from what each fold's run keeps."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cnncli.runs.evaluations import KeptEvaluation
from cnncli.tasks.detection.evaluation import Evaluation
from cnncli.tasks.detection.overlap import Contents
from cnncli.tasks.detection.rows import read_rows


def joined_evaluation(folds: Sequence[KeptEvaluation]) -> Evaluation:
    """Return the evaluation over the images of all folds: the detections of all are ranked together by their scores.

    Of the loss only the mean over its fold is kept: every image has that here, which gives the mean over all images.

    Args:
        folds: The evaluation of each fold by a run that had not seen it; all have the same classes.

    Raises:
        RunError: If the predictions of one cannot be read.
    """
    documents, rows = [fold.document for fold in folds], [fold.rows(read_rows) for fold in folds]
    classes = tuple(documents[0]["classes"])
    contents = [own.contents(classes) for own in rows]
    losses = [document["loss"] for document in documents]
    return Evaluation(
        split=documents[0]["split"],
        classes=classes,
        contents=Contents(
            [objects for own in contents for objects in own.objects],
            [detections for own in contents for detections in own.detections],
        ),
        losses=np.repeat(np.array(losses, np.float64), [len(own) for own in rows]),
        ids=[example for own in rows for example in own.examples],
    )
