"""How far a sweep is: what the run directories of its trials say while they are trained."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from cnncli.errors import CnnError
from cnncli.runs.run import Run
from cnncli.sweeps.directory import SweepDirectory, Trial, TrialDirectory
from cnncli.sweeps.halving import Ladder
from cnncli.sweeps.proposal import Proposal
from cnncli.sweeps.results import best
from cnncli.sweeps.spec import Sweep

FINISHED = ("done", "pruned", "failed", "refused")
"""States of a trial that does not change any more."""


@dataclass(frozen=True)
class RunningTrial:
    """A trial that is trained now, by this process or another one.

    Attributes:
        proposal: Its values.
        epoch: Epochs completed, in all its trainings.
        epochs: Epochs that they have if nothing stops them before.
        value: The sweep's metric on the validation split after the last of them; None before.
        seconds: Time since it was first seen running.
    """

    proposal: Proposal
    epoch: int
    epochs: int
    value: float | None
    seconds: float


@dataclass(frozen=True)
class Progress:
    """How far a sweep is.

    Attributes:
        sweep: The sweep.
        running: What is trained now.
        counts: Number of trials done, pruned, failed and refused.
        num_waiting: Trials that are neither finished nor running.
        best: The best trials so far.
        seconds_left: Estimate from the trials that have ended since the first look; None before there is one.
    """

    sweep: Sweep
    running: tuple[RunningTrial, ...]
    counts: Mapping[str, int]
    num_waiting: int
    best: tuple[Trial, ...]
    seconds_left: float | None


class Watch:
    """Looks at a sweep's directory again and again; finished trials are not read again.

    Args:
        directory: The sweep's directory.
        clock: Returns seconds.
    """

    def __init__(self, directory: SweepDirectory, clock: Callable[[], float] = time.monotonic) -> None:
        self._directory, self._sweep, self._clock = directory, directory.sweep, clock
        self._num_points = len(self._sweep.space.grid()) if self._sweep.settings.sampler == "grid" else None
        self._ladder = Ladder(self._sweep)
        self._finished: dict[int, Trial] = {}
        self._begun: dict[int, float] = {}
        self._durations: list[float] = []
        self._epochs: dict[int, int] = {}

    def look(self) -> Progress:
        """Return how far the sweep is; a trial that cannot be read now is left out until the next look."""
        now, running = self._clock(), []
        directories = list(self._directory.trials())
        if len(directories) == self._num_points:
            self._ladder.close()
        for directory in directories:
            if directory.number in self._finished:
                continue
            with suppress(CnnError, OSError):
                trial = self._ladder.judge(directory.read())
                if trial.state in FINISHED:
                    self._finish(trial, now)
                elif trial.state == "running":
                    running.append(self._running(directory, trial, now))
        trials = [self._finished[number] for number in sorted(self._finished)]
        counts = Counter(trial.state for trial in trials)
        waiting = max(0, self._num_left(counts) - len(running))
        found = set(best(self._sweep, trials))
        return Progress(
            self._sweep,
            tuple(running),
            counts,
            waiting,
            tuple(trial for trial in trials if trial.proposal.number in found),
            self._seconds_left(running, waiting),
        )

    def _finish(self, trial: Trial, now: float) -> None:
        number = trial.proposal.number
        self._finished[number] = trial
        if number in self._begun:
            self._durations.append(now - self._begun.pop(number))

    def _running(self, directory: TrialDirectory, trial: Trial, now: float) -> RunningTrial:
        number = trial.proposal.number
        if number not in self._epochs:
            self._epochs[number] = self._sweep.config(trial.proposal.params).train.epochs * len(directory.parts)
        begun = self._begun.setdefault(number, now)
        lines = [Run(Path(path)).metrics() for path in trial.runs]
        last = lines[-1][-1] if lines and lines[-1] else {}
        value = (last.get("validation") or {}).get(metric_of(self._sweep))
        return RunningTrial(trial.proposal, sum(map(len, lines)), self._epochs[number], value, now - begun)

    def _num_left(self, counts: Mapping[str, int]) -> int:
        """Return how many trials have no result yet; one that is refused counts only as a point of a grid."""
        trained, limits = sum(counts.get(state, 0) for state in FINISHED if state != "refused"), []
        if self._sweep.settings.trials is not None:
            limits.append(self._sweep.settings.trials - trained)
        if self._num_points is not None:
            limits.append(self._num_points - trained - counts.get("refused", 0))
        return min(limits)

    def _seconds_left(self, running: Sequence[RunningTrial], waiting: int) -> float | None:
        if not running or not self._durations:
            return None
        each = fmean(self._durations)
        rests = [max(0.0, each - trial.seconds) for trial in running]
        return max(*rests, (sum(rests) + each * waiting) / len(running))


def metric_of(sweep: Sweep) -> str:
    """Return the metric that is shown of a trial that runs: the first one sought, else what chooses the best epoch."""
    known = [metric.name for metric in sweep.base.task_spec.metrics]
    return next((name for name in sweep.objectives if name in known), sweep.base.task_spec.primary.name)
