"""The runs of an experiment as repetitions of a measurement: which of them are paired, and what they share."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from statistics import fmean
from typing import Any, NamedTuple, TypeGuard

from cnncli.errors import RunError
from cnncli.runs.documents import MOST
from cnncli.runs.groups import FOLD
from cnncli.runs.metrics import higher_is_better, primary
from cnncli.runs.run import Run

SPLITS = {"test": "test_", "validation": "best_validation_"}
"""What the value of a metric on a split is called among a run's results."""


class Unit(NamedTuple):
    """What two runs have in common that are paired: all that is drawn in a training follows from it.

    Attributes:
        seed: The experiment's seed.
        fold: The fold that is the validation split, or None.
    """

    seed: Any
    fold: Any


@dataclass(frozen=True)
class Repetition:
    """A run as one measurement of its experiment.

    Attributes:
        run: Its label.
        unit: Its seed and fold.
        scores: Its results by their names; None where there is none.
        status: As run.json has it.
        split_hash: Which examples were in which split; None where the run does not say.
        num_examples: Number of examples by split; empty where the run does not say.
    """

    run: str
    unit: Unit
    scores: Mapping[str, float | None]
    status: str
    split_hash: str | None
    num_examples: Mapping[str, int]

    @classmethod
    def of(cls, label: str, run: Run, config: Mapping[str, Any], scores: Mapping[str, float | None]) -> Repetition:
        """Return a run as a repetition, given the values of its config by their paths."""
        try:
            passport = run.passport() if run.data_file.exists() else {}
        except RunError:
            passport = {}
        unit, status = Unit(config.get("seed", 0), config.get(FOLD)), run.status_of(run.record)
        return cls(label, unit, scores, status, passport.get("split_hash"), passport.get("num_examples") or {})


@dataclass(frozen=True)
class Experiment:
    """The repetitions of one experiment.

    Attributes:
        name: What it is called.
        metric: Name of the metric that says how good a run is.
        higher_is_better: Which way.
        folds: Number of folds of its cross-validation, or None.
        shares: The share of the examples that the seed draws for a split, by split; 0 where the source has the split.
        repetitions: At least one.
    """

    name: str
    metric: str
    higher_is_better: bool
    folds: int | None
    shares: Mapping[str, float]
    repetitions: tuple[Repetition, ...]

    @classmethod
    def of(
        cls, name: str, record: Mapping[str, Any], config: Mapping[str, Any], runs: Iterable[Repetition]
    ) -> Experiment:
        """Return the experiment of some runs, given the run.json and the config of one of them."""
        repetitions = tuple(runs)
        hashes = {each.split_hash for each in repetitions}
        is_fixed = None not in hashes and len(hashes) == 1
        shares = {split: 0.0 if is_fixed else _share(config.get(f"data.{split}")) for split in SPLITS}
        folds = config.get("data.folds")
        return cls(name, primary(record), higher_is_better(record), folds, shares, repetitions)

    def key(self, split: str) -> str:
        """Return what the primary metric on a split is called among the results."""
        return SPLITS[split] + self.metric

    def without(self, split: str) -> list[str]:
        """Return the labels of the runs that have no value on a split."""
        return [each.run for each in self.repetitions if not _is_number(each.scores.get(self.key(split)))]

    def scores(self, split: str) -> dict[Unit, float]:
        """Return the value of the primary metric on a split by seed and fold; of runs that share both, the mean."""
        found: dict[Unit, list[float]] = {}
        for each in self.repetitions:
            value = each.scores.get(self.key(split))
            if _is_number(value):
                found.setdefault(each.unit, []).append(value)
        return {unit: fmean(values) for unit, values in found.items()}

    def overlap(self, split: str) -> float:
        """Return how many examples a split has for each that is trained on, where every seed draws others; else 0."""
        if not self.shares[split]:
            return 0.0
        numbers = [each.num_examples for each in self.repetitions]
        if all(number.get("train") and number.get(split) for number in numbers):
            return fmean(number[split] / number["train"] for number in numbers)
        return self.shares[split] / (1 - self.shares[split])

    def splits(self) -> dict[Unit, str | None]:
        """Return the hash of the splits by seed and fold."""
        return {each.unit: each.split_hash for each in self.repetitions}


def _share(value: Any) -> float:
    return float(value) if isinstance(value, float) and 0 < value < 1 else 0.0


def _is_number(value: float | None) -> TypeGuard[float]:
    """Say whether a value can be compared; NaN is not at most anything."""
    return value is not None and abs(value) <= MOST
