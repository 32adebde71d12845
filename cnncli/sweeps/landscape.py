"""What the plots of a sweep show: its keys, objectives and counts, each as one variable over all trials."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple

from cnncli.config.dump import flow
from cnncli.config.yaml.tree import Plain
from cnncli.sweeps.importance import Importance, importance
from cnncli.sweeps.methods import Method
from cnncli.sweeps.results import Results, non_dominated
from cnncli.sweeps.space import Dimension, Range
from cnncli.sweeps.spec import COUNTS

Direction = Literal["max", "min"]

DECADE = 10
"""Ratio of the largest to the smallest value from which on a measured variable is plotted logarithmically."""


@dataclass(frozen=True)
class Variable:
    """A quantity that trials have.

    Attributes:
        name: A key's path, an objective, or a count: "train.batch_size", "accuracy", "macs".
        values: Its value in each trial, by the trial's number; a choice as its YAML. A trial without it is left out.
        choices: All values of a key that is a choice, in the file's order; empty for numbers.
        bounds: Smallest and largest number: of a key its range, else of the values.
        is_whole: Whether its numbers are whole.
        is_log: Whether equal ratios are plotted as equal distances.
        direction: Whether more or less is better; None of a key.
    """

    name: str
    values: Mapping[int, float | str]
    choices: tuple[str, ...] = ()
    bounds: tuple[float, float] = (0.0, 1.0)
    is_whole: bool = False
    is_log: bool = False
    direction: Direction | None = None

    def number(self, trial: int) -> float:
        """Return the value in a trial that has it, of a choice its place among the choices."""
        value = self.values[trial]
        return float(self.choices.index(value)) if isinstance(value, str) else value

    def score(self, trial: int) -> float:
        """Return a number that is larger where the value is better."""
        return self.number(trial) if self.direction == "max" else -self.number(trial)


class Step(NamedTuple):
    """One trial in the history of an objective.

    Attributes:
        number: Its number.
        value: Its value.
        best: The best value of this trial and all before it.
    """

    number: int
    value: float
    best: float


@dataclass(frozen=True)
class Landscape:
    """A sweep as variables over its trials.

    Attributes:
        found: The sweep's results.
        keys: The keys that vary, in the file's order.
        objectives: What is sought.
        counts: Parameters and multiply-accumulate operations, where they are no objectives and differ between trials.
        importance: Which keys mattered.
    """

    found: Results
    keys: tuple[Variable, ...]
    objectives: tuple[Variable, ...]
    counts: tuple[Variable, ...]
    importance: Importance

    @property
    def done(self) -> tuple[int, ...]:
        """Numbers of the trials that were trained to their end."""
        return tuple(trial.proposal.number for trial in self.found.trials if trial.state == "done")

    def history(self, objective: Variable) -> Iterator[Step]:
        """Yield the trials that are done in the order of their numbers, with the best value so far."""
        best: int | None = None
        for number in self.done:
            if best is None or objective.score(number) > objective.score(best):
                best = number
            yield Step(number, objective.number(number), objective.number(best))

    @property
    def tradeoffs(self) -> tuple[tuple[Variable, Variable], ...]:
        """Pairs to plot against each other: the first objective that is measured, and each other one and each count."""
        first = next((each for each in self.objectives if each.name not in COUNTS), self.objectives[0])
        others = [each for each in self.objectives if each is not first]
        counts = self.counts if first.name not in COUNTS else ()
        return tuple((first, other) for other in (*others, *counts))

    def front(self, *objectives: Variable) -> list[int]:
        """Return the numbers of the done trials that no other beats in these objectives, the first's best first."""
        scores = {number: tuple(each.score(number) for each in objectives) for number in self.done}
        return sorted(non_dominated(scores), key=lambda number: scores[number], reverse=True)


def landscape(found: Results, method: Method = Method.ped_anova) -> Landscape:
    """Return the variables of a sweep, and which keys mattered by that method.

    Raises:
        CnnError: If a package is not installed that the method needs.
    """
    keys = tuple(_key(found, each) for each in found.sweep.space.dimensions)
    objectives = tuple(
        _measured(name, direction, {number: values[name] for number, values in _values(found)})
        for name, direction in found.sweep.objectives.items()
    )
    counted = {number: found.trials[number].proposal.counts for number, _ in _values(found)}
    counts = (
        _measured(name, "min", {number: each[name] for number, each in counted.items()})
        for name in COUNTS
        if name not in found.sweep.objectives
    )
    differing = tuple(each for each in counts if len(set(each.values.values())) > 1)
    return Landscape(found, keys, objectives, differing, importance(found, method))


def _values(found: Results) -> Iterator[tuple[int, Mapping[str, float]]]:
    """Yield the numbers and values of the trials that have a result."""
    for trial in found.trials:
        if trial.values is not None:
            yield trial.proposal.number, trial.values


def _key(found: Results, dimension: Dimension) -> Variable:
    name, among = dimension.key, dimension.among
    given = {
        trial.proposal.number: trial.proposal.params[name] for trial in found.trials if name in trial.proposal.params
    }
    if isinstance(among, Range):
        numbers = {number: value for number, value in given.items() if isinstance(value, int | float)}
        return Variable(name, numbers, bounds=(among.low, among.high), is_whole=among.is_whole, is_log=among.log)
    texts = {number: _text(value) for number, value in given.items()}
    return Variable(name, texts, choices=tuple(_text(choice.label) for choice in among))


def _text(label: Plain) -> str:
    """Return the YAML of a choice; the label of one with arguments is YAML already."""
    return label if isinstance(label, str) and label.startswith(("{", "[")) else flow(label)


def _measured(name: str, direction: Direction, values: Mapping[int, float]) -> Variable:
    low, high = min(values.values(), default=0.0), max(values.values(), default=1.0)
    is_log = low > 0 and high >= DECADE * low
    return Variable(name, values, (), (low, high), name in COUNTS, is_log, direction)
