"""What a sweep has found: its trials, and the best ones."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cnncli.config.dump import dump_document
from cnncli.config.language.extends import remainder
from cnncli.config.load import load
from cnncli.errors import CnnError
from cnncli.sweeps.directory import BASE, SweepDirectory, Trial
from cnncli.sweeps.halving import Ladder
from cnncli.sweeps.spec import Sweep


@dataclass(frozen=True)
class Results:
    """A sweep's results.

    Attributes:
        path: Its directory.
        sweep: The sweep.
        trials: All trials so far, in the order of their numbers.
        best: Numbers of the best: of several objectives, all that no other trial is better than in every respect.
    """

    path: str
    sweep: Sweep
    trials: tuple[Trial, ...]
    best: tuple[int, ...]

    @property
    def share_of_steps(self) -> float | None:
        """Steps taken by the trials with a result, as a share of what they would take without pruning; None of none."""
        ended = [trial for trial in self.trials if trial.outcome is not None and trial.epochs]
        whole = sum(trial.steps * self._times(trial) for trial in ended)
        return sum(trial.steps for trial in ended) / whole if self.sweep.rungs and whole else None

    def _times(self, trial: Trial) -> float:
        """Return how many times as long a trial would be trained without pruning."""
        return self.sweep.base.train.epochs / trial.epochs if trial.state == "pruned" else 1.0

    def to_json(self) -> dict[str, Any]:
        """Return what `cnn sweep --json` prints."""
        return {
            "sweep": self.path,
            "name": self.sweep.name,
            "sampler": self.sweep.settings.sampler,
            "objectives": dict(self.sweep.objectives),
            "share_of_steps": self.share_of_steps,
            "trials": [trial.to_json() for trial in self.trials],
            "best": [self.trials[number].to_json() for number in self.best],
        }


def results(directory: SweepDirectory) -> Results:
    """Read what a sweep has found so far."""
    sweep, read = directory.sweep, [each.read() for each in directory.trials()]
    are_all = sweep.settings.sampler == "grid" and len(read) == len(sweep.space.grid())
    trials = Ladder(sweep).judge_all(read, are_all)
    return Results(str(directory.path), directory.sweep, trials, best(directory.sweep, trials))


def best(sweep: Sweep, trials: Sequence[Trial]) -> tuple[int, ...]:
    """Return the numbers of the done trials that no other dominates; of one objective the first of the best.

    A trial dominates another if it is at least as good in every objective, and better in one.
    """
    scores = {
        trial.proposal.number: tuple(s * v for s, v in zip(sweep.signs, trial.values.values(), strict=True))
        for trial in trials
        if trial.state == "done" and trial.values is not None
    }
    found = non_dominated(scores)
    return tuple(found if len(sweep.signs) > 1 else found[:1])


def non_dominated(scores: Mapping[int, tuple[float, ...]]) -> list[int]:
    """Return the numbers of the scores that no other dominates; more is better in every place."""
    return [number for number, score in scores.items() if not any(_dominates(o, score) for o in scores.values())]


def _dominates(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    return one != other and all(a >= b for a, b in zip(one, other, strict=True))


def best_config(found: Results, file: Path) -> str:
    """Return the config of the best trial, of several the first, as YAML that `cnn train` takes.

    It extends the sweep's base.yaml, and says only what differs; where that cannot be said so, or the sweep has none,
    it says everything.

    Args:
        found: What the sweep has found.
        file: The file that it is written for: a path in it starts from there.

    Raises:
        CnnError: If no trial is done yet.
    """
    if not found.best:
        raise none_done(found)
    number = found.best[0]
    wanted = found.sweep.config(found.trials[number].proposal.params).document
    base = Path(found.path) / BASE
    rest = remainder(load(base).document, wanted) if base.is_file() else None
    if rest is None:
        return trial_config(found, number)
    folder = file.absolute().parent
    return _heading(found, number) + dump_document({"extends": os.path.relpath(base.absolute(), folder), **rest})


def none_done(found: Results) -> CnnError:
    """Return the error where something is asked for that takes a result."""
    return CnnError(f"no trial of {found.path} is done yet", "Go on with the sweep: cnn sweep FILE.")


def trial_config(found: Results, number: int) -> str:
    """Return the whole config of a trial as YAML that `cnn train` takes."""
    return _heading(found, number) + dump_document(found.sweep.config(found.trials[number].proposal.params).document)


def _heading(found: Results, number: int) -> str:
    """Return the comment that says where a config comes from."""
    values = ", ".join(f"{name} {value:g}" for name, value in (found.trials[number].values or {}).items())
    return f"# Trial {number} of the sweep {found.sweep.name}: {values}\n"
