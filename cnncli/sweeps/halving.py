"""Successive halving: which trials of a sweep go on from a rung, and which are pruned there.

A trial goes on from a rung if it is among the best 1/`factor` of the trials that reached this rung and have no higher
number than itself; before there are `factor` of them, if it is the best. That is the rule of Optuna's
SuccessiveHalvingPruner for trials that come one after the other. A trial waits at a rung for those with lower numbers,
never for one with a higher number: so it makes no difference which of them is trained first, and trials that a sweep is
given later change nothing.

Reference: Li et al., A System for Massively Parallel Hyperparameter Tuning, MLSys 2020.
"""

from __future__ import annotations

from dataclasses import replace

from cnncli.sweeps.directory import Trial
from cnncli.sweeps.measured import Measured
from cnncli.sweeps.ranking import Point, num_better
from cnncli.sweeps.spec import Sweep


class Ladder:
    """The rungs of a sweep, and the trials on them; without halving, there is no rung and nothing is pruned.

    Args:
        sweep: The sweep.
    """

    def __init__(self, sweep: Sweep) -> None:
        self._sweep = sweep
        self._points: tuple[dict[int, Point | None], ...] = tuple({} for _ in sweep.rungs)
        self._reached: dict[int, tuple[Measured | None, ...]] = {}
        self._passed: dict[int, int] = {}
        self._pruned: dict[int, int] = {}
        self._climbing: list[int] = []

    def target(self, number: int) -> int | None:
        """Return the epoch at which a trial's trainings stop next, or None to train to the end."""
        rungs, passed = self._sweep.rungs, self._passed[number]
        return rungs[passed] if passed < len(rungs) else None

    def judge(self, trial: Trial) -> Trial:
        """Return a trial as paused or pruned, if it is.

        Args:
            trial: What came of a trial so far. Each is judged for the first time after all with lower numbers.
        """
        if trial.state == "refused":
            return trial
        number = trial.proposal.number
        if number not in self._passed:
            self._passed[number], self._reached[number] = 0, ()
            self._climbing.append(number)
        if len(trial.rungs) > len(self._reached[number]):
            self._reached[number] = trial.rungs
        for each in [each for each in self._climbing if each <= number]:
            self._climb(each)
        if number in self._pruned:
            return self._as_pruned(trial, self._pruned[number])
        waits = len(self._reached[number]) > self._passed[number]
        return replace(trial, state="paused") if waits and trial.outcome is None else trial

    def _as_pruned(self, trial: Trial, rung: int) -> Trial:
        found, epochs = self._reached[trial.proposal.number][rung], self._sweep.rungs[rung]
        if found is None or (trial.state == "done" and trial.epochs <= epochs):
            return trial  # Its training has ended by itself.
        # Where somebody has gone on with it by hand, what came of that does not count.
        steps = trial.steps * epochs // max(epochs, trial.epochs)
        values, deviations = found.values, found.deviations
        return replace(trial, state="pruned", values=values, deviations=deviations, epochs=epochs, steps=steps)

    def _climb(self, number: int) -> None:
        """Take a trial to the first rung that it has not reached, or from which it does not go on, at least not yet."""
        while self._passed[number] < len(self._reached[number]):
            rung = self._passed[number]
            points, own = self._points[rung], self._point(self._reached[number][rung])
            points[number] = own
            if own is None:
                self._climbing.remove(number)
                return
            if any(each < number and each not in points for each in self._climbing):
                return
            others = [point for each, point in points.items() if each <= number]
            known = [point for point in others if point is not None]
            if num_better(own, known) >= max(1, len(others) // self._sweep.factor):
                self._pruned[number] = rung
                self._climbing.remove(number)
                return
            self._passed[number] += 1
        if self._passed[number] == len(self._sweep.rungs):
            self._climbing.remove(number)

    def _point(self, found: Measured | None) -> Point | None:
        if found is None:
            return None
        return tuple(sign * value for sign, value in zip(self._sweep.signs, found.values.values(), strict=True))
