"""The scores from which on objects count as found, as a run knows them from its validation split."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

from cnncli.errors import RunError
from cnncli.runs.documents import checked
from cnncli.runs.evaluations import AGAIN, find_evaluation
from cnncli.runs.run import Run
from cnncli.tasks.task import Task

SPLIT = "validation"
"""The split that chooses: scores of a test would be too good if it also chose."""


def find_thresholds(run: Run, checkpoint: str, task: Task, classes: Sequence[str]) -> tuple[float, ...] | None:
    """Return the score of each class that `cnn eval --split validation` found best for a checkpoint, or None."""
    # What cannot be read is for `cnn eval` to tell; predictions do not hang on it.
    with suppress(RunError):
        kept = find_evaluation(run, SPLIT, checkpoint)
        if kept is not None:
            checked(kept.document, task.pages.form, str(run.evaluation_file(SPLIT)), AGAIN)
            return task.thresholds(kept.document) if kept.document["classes"] == list(classes) else None
    return None
