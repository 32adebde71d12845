"""Runs of one experiment: those whose configs differ in nothing but name, seed and fold."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import mean, stdev
from typing import Any

FOLD = "data.fold"
"""The key of a config that says which fold is its validation split."""

ASIDE = ("name", "seed", FOLD)
"""Keys of a config in which repetitions of one experiment may differ."""


@dataclass(frozen=True)
class Group:
    """Runs whose configs differ in nothing but name, seed and fold.

    Attributes:
        runs: Labels of the runs.
        metrics: Mean, sample standard deviation and number of values of each metric.
        over: In what they differ: "seeds", "folds", or "seeds and folds".
    """

    runs: tuple[str, ...]
    metrics: Mapping[str, tuple[float, float, int]]
    over: str = "seeds"

    @classmethod
    def of(
        cls,
        labels: Sequence[str],
        configs: Sequence[Mapping[str, Any]],
        metrics: Sequence[Mapping[str, float | int | None]],
    ) -> Group:
        """Return the group of some runs, with what they came to on average."""
        table = {}
        for key in dict.fromkeys(key for of_run in metrics for key in of_run):
            values = [value for of_run in metrics if (value := of_run.get(key)) is not None]
            if len(values) > 1:
                table[key] = (mean(values), stdev(values), len(values))
        return cls(tuple(labels), table, _over(configs))

    def to_json(self) -> dict[str, Any]:
        """Return plain data."""
        names = ("mean", "sd", "n")
        return {
            "runs": list(self.runs),
            "over": self.over,
            "metrics": {key: dict(zip(names, value, strict=True)) for key, value in self.metrics.items()},
        }


def experiments(configs: Sequence[Mapping[str, Any]]) -> list[list[int]]:
    """Return the places of the runs of each experiment, by the values of their configs; a single run is one too."""
    members: dict[str, list[int]] = {}
    for index, config in enumerate(configs):
        experiment = {key: value for key, value in config.items() if key not in ASIDE}
        members.setdefault(json.dumps(experiment, sort_keys=True), []).append(index)
    return list(members.values())


def _over(configs: Sequence[Mapping[str, Any]]) -> str:
    seeds, folds = (len({config.get(key) for config in configs}) for key in ("seed", FOLD))
    if folds == 1:
        return "seeds"
    return "folds" if seeds == 1 else "seeds and folds"
