"""Successive halving: which trials of a sweep go on from a rung, and which are pruned there.

Trials come in rounds of `parallel`. One goes on from a rung if it is among the best 1/`factor` of all trials of its
round and the rounds before that reached this rung; where these are fewer than `factor`, if it is the best. It waits at
a rung for the others of its round, and never for a later round, which may not be known yet: so it makes no difference
which trial is trained first, and rounds that a sweep is given later change nothing. With rounds of one trial, this is
the rule of Optuna's SuccessiveHalvingPruner; with a single round, successive halving as it was first described.

References: Jamieson and Talwalkar, AISTATS 2016. Li et al., MLSys 2020.
"""

from __future__ import annotations

from collections.abc import Iterable
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
        self._round: dict[int, int] = {}
        self._passed: dict[int, int] = {}
        self._pruned: dict[int, int] = {}
        self._climbing: list[int] = []
        self._is_closed = False

    def close(self) -> None:
        """Hear that all trials have been judged once: the last round of a grid may have fewer than the others."""
        self._is_closed = True

    def target(self, number: int) -> int | None:
        """Return the epoch at which a trial's trainings stop next, or None to train to the end."""
        rungs, passed = self._sweep.rungs, self._passed[number]
        return rungs[passed] if passed < len(rungs) else None

    def judge_all(self, trials: Iterable[Trial], are_all: bool) -> tuple[Trial, ...]:
        """Return trials, in the order of their numbers, as `judge` does; `are_all`: whether no others will come."""
        found = tuple(trials)
        for trial in found:
            self.judge(trial)
        if are_all:
            self.close()
        return tuple(self.judge(trial) for trial in found)

    def judge(self, trial: Trial) -> Trial:
        """Return a trial as paused or pruned, if it is.

        Args:
            trial: What came of a trial so far. Each is judged for the first time after all with lower numbers.
        """
        if trial.state == "refused":
            return trial
        number = trial.proposal.number
        if number not in self._passed:
            self._round[number] = len(self._round) // self._sweep.settings.parallel
            self._passed[number], self._reached[number] = 0, ()
            self._climbing.append(number)
        if len(trial.rungs) > len(self._reached[number]):
            self._reached[number] = trial.rungs
        while any(self._climb(each) for each in list(self._climbing)):
            pass
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

    def _climb(self, number: int) -> bool:
        """Take a trial to the next rung, or off the ladder; return whether that was possible."""
        rung = self._passed[number]
        if rung == len(self._sweep.rungs):
            self._climbing.remove(number)
            return True
        if rung == len(self._reached[number]):
            return False
        points, own = self._points[rung], self._point(self._reached[number][rung])
        points[number] = own
        if own is None:
            self._climbing.remove(number)
        elif not self._is_settled(rung, self._round[number]):
            return False
        elif self._goes_on(own, [points[each] for each in points if self._round[each] <= self._round[number]]):
            self._passed[number] += 1
        else:
            self._pruned[number] = rung
            self._climbing.remove(number)
        return True

    def _is_settled(self, rung: int, last_round: int) -> bool:
        """Whether all trials up to a round are known, and have reached a rung or never will."""
        is_whole = self._is_closed or len(self._round) >= (last_round + 1) * self._sweep.settings.parallel
        before = [each for each in self._climbing if self._round[each] <= last_round]
        return is_whole and all(each in self._points[rung] for each in before)

    def _goes_on(self, own: Point, points: list[Point | None]) -> bool:
        known = [point for point in points if point is not None]
        return num_better(own, known) < max(1, len(points) // self._sweep.factor)

    def _point(self, found: Measured | None) -> Point | None:
        if found is None:
            return None
        return tuple(sign * value for sign, value in zip(self._sweep.signs, found.values.values(), strict=True))
