"""How good a trial is, by what its runs say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import Any, NamedTuple

from cnncli.runs.run import Run


@dataclass(frozen=True)
class Measured:
    """How good a trial is.

    Attributes:
        values: The value of each objective; over seeds or folds the mean.
        deviations: Standard deviation of each over seeds or folds, or None where there are none.
    """

    values: dict[str, float]
    deviations: dict[str, float] | None

    @classmethod
    def of(cls, found: Sequence[Mapping[str, float | None]]) -> Measured | None:
        """Return that of trainings with these values, or None where one of these is not a number."""
        columns = {name: [values[name] for values in found] for name in found[0]}
        known = {name: [value for value in column if value is not None] for name, column in columns.items()}
        if known != columns:
            return None
        if len(found) == 1:
            return cls({name: column[0] for name, column in known.items()}, None)
        means = {name: float(fmean(column)) for name, column in known.items()}
        return cls(means, {name: stdev(column) for name, column in known.items()})


class RunSoFar(NamedTuple):
    """One of a trial's runs, as it was read."""

    run: Run
    state: str
    lines: list[dict[str, Any]]

    @property
    def best_line(self) -> Mapping[str, Any]:
        """The line of the best epoch, as the run says it."""
        best = self.run.record.get("best") or {}
        return next((line for line in self.lines if line["epoch"] == best.get("epoch")), {})

    @classmethod
    def of(cls, run: Run) -> RunSoFar:
        """Read a run."""
        return cls(run, state_of(run), run.metrics())

    def is_through(self, epochs: int | None) -> bool:
        """Say whether it has completed so many epochs, or has ended before; None: whether it has ended."""
        return self.state == "done" or (epochs is not None and len(self.lines) >= epochs)


def state_of(run: Run) -> str:
    """Return the status of a run, as a trial counts it: failed is only what fails again, a training that diverged."""
    status = run.status
    return "interrupted" if status == "failed" and not run.has_diverged else status
