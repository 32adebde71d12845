"""Runs side by side: what differs in their configs, what they came to, and whether that is chance."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path
from typing import Any, Protocol

from cnncli.errors import CnnError, RunError
from cnncli.runs.effects import Effects, effects
from cnncli.runs.evaluations import (
    KeptEvaluation,
    checkpoint_name,
    find_evaluation,
    measured_checkpoints,
    metrics_on_test,
)
from cnncli.runs.flat_config import differing, flat_config
from cnncli.runs.groups import ASIDE, Group, experiments
from cnncli.runs.metrics import best, primary
from cnncli.runs.repetitions import Experiment, Repetition
from cnncli.runs.run import Run

ALWAYS = ("mcnemar",)
"""Tests whose list is in the JSON even where no two runs could be tested."""

MOST_SETTINGS = 2
"""With which experiments of one name are told apart; where there are more, a run's start is added."""

DEFAULT_TASK = "classification"
"""Of a config that names none; its own module would import all of the schema."""


class PairedResult(Protocol):
    """A paired test of two runs on the same examples."""

    @property
    def name(self) -> str:
        """What `cnn compare --json` calls the test."""
        ...

    @property
    def title(self) -> str:
        """What a table calls it."""
        ...

    @property
    def remark(self) -> str:
        """What p is, in a clause: "p is exact and two-sided"."""
        ...

    def cells(self) -> Mapping[str, str]:
        """Return a row of a table, by column."""
        ...

    def to_json(self) -> dict[str, Any]:
        """Return plain data."""
        ...


class PairedTest(Protocol):
    """Tests whether two runs differ by more than chance: what a task knows how to do."""

    def read_rows(self, path: Path) -> Any | None:
        """Return the rows of a run's predictions-<split>.csv, or None where there are none."""
        ...

    def compare(self, first: Any, second: Any) -> PairedResult | None:
        """Return the test of two runs' rows, or None where they are not of the same examples."""
        ...


@dataclass(frozen=True)
class Pair:
    """A paired test of two runs.

    Attributes:
        first: Label of the one run.
        second: Label of the other.
        result: The test.
    """

    first: str
    second: str
    result: PairedResult


@dataclass(frozen=True)
class Comparison:
    """Runs side by side.

    Attributes:
        runs: Labels of the runs, "name/start", or the start alone where all have one name.
        config: Keys of the configs in which the runs differ, with each run's value; None where it has none.
        metrics: What the runs came to, with each run's value; None where it has none.
        groups: Repetitions of one experiment with other seeds or folds.
        pairs: A test of each two runs of one task that were evaluated on the same test examples.
        checkpoint: Whose evaluation was taken of each run: "best", "last", or a name.
        checkpoints: The checkpoint that each run's results on test are of; None where it has none, or does not say.
        notes: What was left out, and why, a sentence each.
        effects: The difference of each two experiments with several runs, and what must be known of it.
    """

    runs: tuple[str, ...]
    config: Mapping[str, tuple[Any, ...]]
    metrics: Mapping[str, tuple[float | int | None, ...]]
    groups: tuple[Group, ...]
    pairs: tuple[Pair, ...]
    checkpoint: str = "best"
    checkpoints: tuple[str | None, ...] = ()
    notes: tuple[str, ...] = ()
    effects: Effects = field(default_factory=Effects)

    def to_json(self) -> dict[str, Any]:
        """Return what `cnn compare --json` prints."""
        kinds = {"config": self.config, "metric": self.metrics}
        tests = dict.fromkeys((*ALWAYS, *(pair.result.name for pair in self.pairs)))
        return {
            "runs": list(self.runs),
            "checkpoint": self.checkpoint,
            "checkpoints": list(self.checkpoints),
            "notes": [*self.notes, *self.effects.notes],
            "rows": [
                {"kind": kind, "key": key, "values": list(values)}
                for kind, rows in kinds.items()
                for key, values in rows.items()
            ],
            "groups": [group.to_json() for group in self.groups],
            "effects": [effect.to_json() for effect in self.effects.effects],
            **{
                name: [
                    {"first": pair.first, "second": pair.second, **pair.result.to_json()}
                    for pair in self.pairs
                    if pair.result.name == name
                ]
                for name in tests
            },
        }


def compare(runs: Sequence[Run], test_of: Callable[[str], PairedTest], checkpoint: str = "best") -> Comparison:
    """Compare runs.

    Args:
        runs: At least two.
        test_of: Returns the paired test of a task, given its name.
        checkpoint: Whose evaluation on the test split is taken: each run's "best", its "last", or one of that name.

    Raises:
        CnnError: If there are fewer than two that can be read.
    """
    if len(runs) < 2:
        raise RunError(f"{len(runs)} run to compare, expected at least two", "cnn compare RUN RUN …")
    read, notes = _read_each(runs, test_of, checkpoint)
    whole = [found.run for found in read]
    labels = _labels(whole)
    members = experiments([found.config for found in read])
    compared = effects(_experiments(labels, read, members)) if _are_repeated(members) else Effects()
    configs, metrics, kept = ([getattr(found, name) for found in read] for name in ("config", "metrics", "evaluation"))
    return Comparison(
        labels,
        differing(configs),
        {key: tuple(run.get(key) for run in metrics) for key in _keys(metrics)},
        tuple(_groups(labels, read, members)),
        tuple(_pairs(labels, read)),
        checkpoint,
        tuple(None if evaluation is None else evaluation.document.get("checkpoint") for evaluation in kept),
        (*notes, *_notes(labels, whole, kept, checkpoint)),
        compared,
    )


def _are_repeated(members: Sequence[Sequence[int]]) -> bool:
    """Say whether there are several experiments, one of them with several runs."""
    return 1 < len(members) < sum(map(len, members))


@dataclass(frozen=True)
class _Read:
    """What is known of a run.

    Attributes:
        run: The run.
        config: Values of its config by their paths.
        evaluation: The evaluation on test that is compared, or None.
        metrics: What it came to.
        test: The paired test of its task.
        rows: Its predictions as that test reads them, or None.
    """

    run: Run
    config: Mapping[str, Any]
    evaluation: KeptEvaluation | None
    metrics: Mapping[str, float | int | None]
    test: PairedTest
    rows: Any | None


def _read_each(
    runs: Sequence[Run], test_of: Callable[[str], PairedTest], checkpoint: str
) -> tuple[list[_Read], list[str]]:
    """Read all runs; of three and more, those that are damaged are left out, and a note says so of each.

    Raises:
        CnnError: If fewer than two are left.
    """
    tests: dict[str, PairedTest] = {}
    read, notes, errors = [], [], []
    for run in runs:
        try:
            read.append(_read(run, tests, test_of, checkpoint))
        except CnnError as error:
            errors.append(error)
            notes.append(f"{run.name}/{run.id} is left out, for it is damaged: {error.message}")
    if len(read) < 2:
        raise errors[0]
    return read, notes


def _read(run: Run, tests: dict[str, PairedTest], test_of: Callable[[str], PairedTest], checkpoint: str) -> _Read:
    config = flat_config(run)
    evaluation = find_evaluation(run, "test", checkpoint_name(run, checkpoint))
    metrics = _metrics(run, evaluation)
    task = str(config.get("task", DEFAULT_TASK))
    test = tests[task] if task in tests else tests.setdefault(task, test_of(task))
    file = _predictions(run, evaluation)
    return _Read(run, config, evaluation, metrics, test, None if file is None else test.read_rows(file))


def _labels(runs: Sequence[Run]) -> tuple[str, ...]:
    one_name = len({run.name for run in runs}) == 1
    return tuple(run.id if one_name else f"{run.name}/{run.id}" for run in runs)


def _keys(tables: Sequence[Mapping[str, Any]]) -> list[str]:
    return list(dict.fromkeys(key for table in tables for key in table))


def _metrics(run: Run, evaluation: KeptEvaluation | None) -> dict[str, float | int | None]:
    """Return what a run came to, as far as its files say."""
    lines, record = run.metrics(), run.record
    found: dict[str, float | int | None] = {
        "epochs": len(lines),
        f"best_validation_{primary(record)}": best(record, lines),
    }
    if lines:
        last = lines[-1]
        for split in ("train", "validation"):
            found |= {f"final_{split}_{name}": value for name, value in (last.get(split) or {}).items()}
        found["seconds"] = round(sum(line.get("seconds") or 0 for line in lines), 1)
    found["total_params"] = record.get("total_params")
    return found if evaluation is None else found | metrics_on_test(run, record, evaluation)


def _predictions(run: Run, evaluation: KeptEvaluation | None) -> Path | None:
    """Return the predictions of an evaluation; without one, those that no other checkpoint's evaluation owns."""
    if evaluation is not None:
        evaluation.check_predictions()
        return evaluation.predictions_file
    return None if run.evaluation_file("test").exists() else run.predictions_file("test")


def _notes(
    labels: Sequence[str], runs: Sequence[Run], kept: Sequence[KeptEvaluation | None], checkpoint: str
) -> Iterator[str]:
    """Yield which runs were evaluated on test, but with other checkpoints than the one that is compared."""
    for label, run, evaluation in zip(labels, runs, kept, strict=True):
        others = [] if evaluation is not None else measured_checkpoints(run, "test")
        if others:
            name = checkpoint_name(run, checkpoint)
            wanted = f"its {checkpoint} checkpoint, {name}" if checkpoint in ("best", "last") else name
            yield (
                f"{label}: test was measured with {', '.join(others)}, not with {wanted}: "
                f"cnn eval {shlex.quote(str(run.path))} --checkpoint {checkpoint}"
            )


def _groups(labels: Sequence[str], read: Sequence[_Read], members: Sequence[Sequence[int]]) -> Iterator[Group]:
    """Yield the repeated experiments, given the places of the runs of each, with what they came to on average."""
    for indices in members:
        if len(indices) > 1:
            of_group = [read[i] for i in indices]
            configs, metrics = [each.config for each in of_group], [each.metrics for each in of_group]
            yield Group.of([labels[i] for i in indices], configs, metrics)


def _experiments(labels: Sequence[str], read: Sequence[_Read], members: Sequence[Sequence[int]]) -> list[Experiment]:
    """Return the experiments of runs, given the places of the runs of each."""
    names = _names(read, members)
    return [
        Experiment.of(
            name,
            read[indices[0]].run.record,
            read[indices[0]].config,
            [Repetition.of(labels[i], read[i].run, read[i].config, read[i].metrics) for i in indices],
        )
        for name, indices in zip(names, members, strict=True)
    ]


def _names(read: Sequence[_Read], members: Sequence[Sequence[int]]) -> list[str]:
    """Return what the experiments are called: their runs' names; where these are the same, with what differs."""
    names = [" + ".join(dict.fromkeys(read[i].run.name for i in indices)) for indices in members]
    configs = [read[indices[0]].config for indices in members]
    told = []
    for name, indices, config in zip(names, members, configs, strict=True):
        same = [other for other, twin in zip(configs, names, strict=True) if twin == name]
        keys = [key for key in differing(same) if key not in ASIDE]
        settings = [f"{key}={json.dumps(config.get(key), ensure_ascii=False)}" for key in keys[:MOST_SETTINGS]]
        settings += [read[indices[0]].run.id] * (len(keys) > MOST_SETTINGS)
        told.append(f"{name} ({', '.join(settings)})" if settings else name)
    return told


def _pairs(labels: Sequence[str], read: Sequence[_Read]) -> Iterator[Pair]:
    """Yield the test of each two runs of one task whose predictions are there and of the same examples."""
    for (first, one), (second, other) in combinations(zip(labels, read, strict=True), 2):
        if one.test is not other.test or one.rows is None or other.rows is None:
            continue
        result = one.test.compare(one.rows, other.rows)
        if result is not None:
            yield Pair(first, second, result)
