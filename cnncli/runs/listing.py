"""All runs of a folder, one row each: what `cnn runs` shows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from cnncli.errors import RunError
from cnncli.runs.find import all_runs
from cnncli.runs.run import Run


@dataclass(frozen=True)
class Row:
    """A run in one line.

    Attributes:
        run: Path of its directory.
        name: Name of the experiment.
        id: The start, and a number where several began in one second.
        started: When it began.
        status: running, done, interrupted, failed, or damaged where its record cannot be read.
        epochs: Number of epochs completed.
        best_validation_accuracy: The highest so far, or None.
        total_params: Number of weights of the network, or None where the run does not say.
        seconds: Training time of the completed epochs.
    """

    run: str
    name: str
    id: str
    started: datetime
    status: str
    epochs: int
    best_validation_accuracy: float | None
    total_params: int | None
    seconds: float

    def to_json(self) -> dict[str, Any]:
        """Return plain data."""
        return {**asdict(self), "started": self.started.isoformat(timespec="seconds")}


def rows(runs_dir: Path, name: str | None = None) -> list[Row]:
    """Return a row for each run, the newest last.

    Args:
        runs_dir: Folder of all runs.
        name: Only runs of this name.
    """
    listed = (_row(run) for run in all_runs(runs_dir) if name in (None, run.name))
    return sorted(listed, key=lambda row: (row.started, row.name, row.id))


def accuracies(metrics: list[dict[str, Any]], split: str) -> list[float]:
    """Return the accuracies that an epoch's lines state for a split, in order."""
    splits = (line.get(split) for line in metrics)
    values = (numbers.get("accuracy") for numbers in splits if isinstance(numbers, Mapping))
    return [value for value in values if isinstance(value, float | int)]


def _row(run: Run) -> Row:
    try:
        record, metrics = run.record, run.metrics()
        status: str = run.status_of(record)
    except RunError:
        record, metrics, status = {}, [], "damaged"
    return Row(
        run=str(run.path),
        name=run.name,
        id=run.id,
        started=run.started_of(record),
        status=status,
        epochs=len(metrics),
        best_validation_accuracy=max(accuracies(metrics, "validation"), default=None),
        total_params=record.get("total_params"),
        seconds=sum(line.get("seconds") or 0 for line in metrics),
    )
