"""All runs of a folder, one row each: what `cnn runs` shows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from cnncli.errors import RunError
from cnncli.runs import metrics
from cnncli.runs.find import all_runs
from cnncli.runs.run import Run
from cnncli.runs.tags import tags_of


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
        metric: Name of the metric that says how good the run is.
        best: Its best value on the validation split so far, or None.
        total_params: Number of weights of the network, or None where the run does not say.
        seconds: Training time of the completed epochs.
        problem: Why the run is damaged, or None.
        fold: The fold that was its validation split, or None.
        folds: Of how many.
        tags: What it was tagged with, in the order of the alphabet.
        values: What it has under the keys that were asked for; None where it has no such key.
    """

    run: str
    name: str
    id: str
    started: datetime
    status: str
    epochs: int
    metric: str
    best: float | None
    total_params: int | None
    seconds: float
    problem: str | None = None
    fold: int | None = None
    folds: int | None = None
    tags: tuple[str, ...] = ()
    values: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return plain data."""
        return {
            "run": self.run,
            "name": self.name,
            "id": self.id,
            "started": self.started.isoformat(timespec="seconds"),
            "status": self.status,
            "epochs": self.epochs,
            f"best_validation_{self.metric}": self.best,
            "total_params": self.total_params,
            "seconds": self.seconds,
            **({} if self.fold is None else {"fold": self.fold, "folds": self.folds}),
            **({"tags": list(self.tags)} if self.tags else {}),
            **({"values": dict(self.values)} if self.values else {}),
            **({} if self.problem is None else {"problem": self.problem}),
        }

    def results(self) -> dict[str, Any]:
        """Return what `--sort` and `--where` know of a run without its config, by all names that it has."""
        return {
            "name": self.name,
            "id": self.id,
            "started": self.started.isoformat(timespec="seconds"),
            "status": self.status,
            "epochs": self.epochs,
            **dict.fromkeys((self.metric, f"best_validation_{self.metric}"), self.best),
            **dict.fromkeys(("params", "total_params"), self.total_params),
            "seconds": self.seconds,
            **dict.fromkeys(("tag", "tags"), self.tags),
            **({} if self.fold is None else {"fold": self.fold, "folds": self.folds}),
        }


def rows(runs_dir: Path, name: str | None = None) -> list[Row]:
    """Return a row for each run, the newest last.

    Args:
        runs_dir: Folder of all runs.
        name: Only runs of this name.
    """
    listed = (_row(run) for run in all_runs(runs_dir) if name in (None, run.name))
    return sorted(listed, key=lambda row: (row.started, row.name, row.id))


def _row(run: Run) -> Row:
    problem = None
    try:
        record, lines = run.record, run.metrics()
        status: str = run.status_of(record)
    except RunError as error:
        record, lines, status, problem = {}, [], "damaged", error.message
    return Row(
        run=str(run.path),
        name=run.name,
        id=run.id,
        started=run.started_of(record),
        status=status,
        epochs=len(lines),
        metric=metrics.primary(record),
        best=metrics.best(record, lines),
        total_params=record.get("total_params"),
        seconds=sum(line.get("seconds") or 0 for line in lines),
        problem=problem,
        fold=record.get("fold"),
        folds=record.get("folds"),
        tags=tags_of(record),
    )
