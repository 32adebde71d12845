"""What the runs of a group came to: each of them, and their mean with how certain it is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import mean, stdev
from typing import Any

from cnncli.runs.evaluations import KeptEvaluation, checkpoint_name, find_evaluation
from cnncli.runs.group import Member
from cnncli.runs.metrics import primary
from cnncli.runs.run import Run

LOSS = "loss"

SPLITS = ("validation", "test")
"""The splits whose metrics are summed up."""

NUM_RESAMPLES = 10_000
"""Bootstrap samples of the runs."""

FEWEST = 3
"""Runs from which on a bootstrap interval says something."""

PERCENTILES = (2.5, 97.5)


@dataclass(frozen=True)
class Spread:
    """A metric over several runs.

    Attributes:
        mean: Its mean.
        sd: Sample standard deviation; None of a single run.
        n: Number of runs.
        interval: 95 % bootstrap interval of the mean; None of fewer than `FEWEST` runs.
    """

    mean: float
    sd: float | None
    n: int
    interval: tuple[float, float] | None

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Return the spread of at least one value."""
        number = len(values)
        sd = stdev(values) if number > 1 else None
        return cls(mean(values), sd, number, bootstrap_interval(values) if number >= FEWEST else None)

    def to_json(self) -> dict[str, Any]:
        """Return plain data."""
        interval = None if self.interval is None else list(self.interval)
        return {"mean": self.mean, "sd": self.sd, "n": self.n, "interval": interval}


def bootstrap_interval(values: Sequence[float]) -> tuple[float, float]:
    """Return the 95 % percentile interval of the mean over runs, from seeded resamples: always the same.

    Of few runs it is too narrow: it knows no more of the spread than they show.

    Reference: Efron and Tibshirani, An Introduction to the Bootstrap, 1993, section 13.3.
    """
    import numpy as np

    drawn = np.random.default_rng(0).integers(0, len(values), (NUM_RESAMPLES, len(values)))
    low, high = np.percentile(np.asarray(values, np.float64)[drawn].mean(axis=1), PERCENTILES)
    return float(low), float(high)


@dataclass(frozen=True)
class Outcome:
    """What one run of a group came to.

    Attributes:
        member: Its seed and fold.
        run: The run; None where none was begun.
        status: Its status, "missing" where there is no run.
        metric: The metric that says how good it is.
        best_epoch: The epoch of its best checkpoint, or None.
        metrics: `metric` and the loss of each split that was measured with the best checkpoint.
    """

    member: Member
    run: Run | None = None
    status: str = "missing"
    metric: str | None = None
    best_epoch: int | None = None
    metrics: Mapping[str, Mapping[str, float | None]] = field(default_factory=dict)

    @classmethod
    def of(cls, member: Member, run: Run | None) -> Outcome:
        """Return what a run came to.

        Raises:
            RunError: If a file of it cannot be read.
        """
        if run is None:
            return cls(member)
        record = run.record
        metric, best_epoch = primary(record), (record.get("best") or {}).get("epoch")
        found: dict[str, Mapping[str, Any]] = {}
        lines = [line for line in run.metrics() if line["epoch"] == best_epoch]
        for split in SPLITS:
            kept = evaluation_of(run, split)
            measured = (lines[0].get(split) if lines else None) if kept is None else kept.document
            if measured:
                found[split] = {name: measured.get(name) for name in dict.fromkeys((metric, LOSS))}
        return cls(member, run, run.status_of(record), metric, best_epoch, found)

    def values(self) -> Iterator[tuple[str, float]]:
        """Yield the metrics by their names: validation_accuracy, test_loss."""
        for split, numbers in self.metrics.items():
            yield from ((f"{split}_{name}", value) for name, value in numbers.items() if value is not None)

    def to_json(self) -> dict[str, Any]:
        """Return plain data."""
        return {
            "run": None if self.run is None else str(self.run.path),
            "seed": self.member.seed,
            "fold": self.member.fold,
            "status": self.status,
            "best_epoch": self.best_epoch,
            **{split: self.metrics.get(split) for split in SPLITS},
        }


def evaluation_of(run: Run, split: str) -> KeptEvaluation | None:
    """Return the evaluation that a run keeps of a split with its best checkpoint, or None."""
    return find_evaluation(run, split, checkpoint_name(run, "best"))


def spreads(outcomes: Sequence[Outcome]) -> dict[str, Spread]:
    """Return the spread of each metric over the runs that have it."""
    values: dict[str, list[float]] = {}
    for outcome in outcomes:
        for name, value in outcome.values():
            values.setdefault(name, []).append(value)
    return {name: Spread.of(found) for name, found in values.items()}
