"""By how much one experiment is better than another over all their runs, and whether that is chance."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any, NamedTuple

from cnncli.runs.repetitions import Experiment, Unit
from cnncli.statistics.differences import Difference, holm, paired_t, welch_t

SEEDS, FOLDS, BOTH = "seeds", "folds", "seeds and folds"


@dataclass(frozen=True)
class Effect:
    """The difference of two experiments in their primary metric.

    Attributes:
        first: Name of the one experiment.
        second: Name of the other.
        metric: What is compared, as among the results: test_accuracy.
        higher_is_better: Which way.
        is_share: Whether it is a share, told in percentage points.
        over: In what the repetitions differ: seeds, folds, or both.
        n: Number of values of the first experiment and of the second.
        found: The mean of the second less that of the first, its interval and its test.
        p_holm: The p-value, corrected for the number of effects; None where nothing could be tested.
    """

    first: str
    second: str
    metric: str
    higher_is_better: bool
    is_share: bool
    over: str
    n: tuple[int, int]
    found: Difference
    p_holm: float | None = None

    def to_json(self) -> dict[str, Any]:
        """Return plain data."""
        found = self.found
        return {
            "first": self.first,
            "second": self.second,
            "metric": self.metric,
            "higher_is_better": self.higher_is_better,
            "difference": found.value,
            "interval": None if found.interval is None else list(found.interval),
            "p": found.p_value,
            "p_holm": self.p_holm,
            "test": found.test,
            "n": list(self.n),
            "over": self.over,
        }


@dataclass(frozen=True)
class Effects:
    """The effects between experiments.

    Attributes:
        effects: One for each two experiments that can be compared.
        notes: What was left out or must be known, a sentence each.
    """

    effects: tuple[Effect, ...] = ()
    notes: tuple[str, ...] = ()


def effects(experiments: Sequence[Experiment]) -> Effects:
    """Compare each two experiments over all their runs.

    Args:
        experiments: In the order in which they are told; without a repeated one there is nothing to tell.
    """
    repeated = [each for each in experiments if len(each.repetitions) > 1]
    if not repeated or len(experiments) < 2:
        return Effects()
    notes = [*_single_notes(experiments), *(note for each in repeated for note in _notes_of(each))]
    found = []
    for first, second in combinations(repeated, 2):
        effect, told = _effect(first, second)
        found += [] if effect is None else [effect]
        notes += told
    return Effects(_corrected(found), tuple(dict.fromkeys(notes)))


def _corrected(found: Sequence[Effect]) -> tuple[Effect, ...]:
    """Return effects with p-values that are corrected for their number."""
    p_values = [effect.found.p_value for effect in found]
    corrected = iter(holm([p for p in p_values if p is not None]))
    return tuple(
        effect if p is None else replace(effect, p_holm=next(corrected))
        for effect, p in zip(found, p_values, strict=True)
    )


def _single_notes(experiments: Sequence[Experiment]) -> Iterator[str]:
    """Yield which experiments have too few runs."""
    names = [each.name for each in experiments if len(each.repetitions) == 1]
    if names:
        yield (
            f"Only 1 run, too few for a test over runs: {', '.join(names)}. Train with several seeds (--seeds 5) "
            "or folds (--folds 5)."
        )


def _notes_of(experiment: Experiment) -> Iterator[str]:
    """Yield what must be known of the runs of a repeated experiment."""
    runs = experiment.repetitions
    unfinished = [each.run for each in runs if each.status != "done"]
    if unfinished:
        yield f"Not trained to the end, but compared: {', '.join(unfinished)}."
    if len({each.unit for each in runs}) < len(runs):
        yield (
            f"{experiment.name} has several runs with the same seed and fold. They repeat one training, so that their "
            "mean counts as one value."
        )


def _effect(first: Experiment, second: Experiment) -> tuple[Effect | None, list[str]]:
    """Return the effect of two experiments, or None, and what must be known of it."""
    names = f"{first.name} and {second.name}"
    if first.metric != second.metric:
        return None, [f"{names} are not compared: one is judged by {first.metric}, the other by {second.metric}."]
    split = "validation" if first.without("test") or second.without("test") else "test"
    notes = list(_split_notes(first, second, split))
    tested = _tested(first, second, split)
    if isinstance(tested, str):
        return None, [*notes, f"{names} are not compared: {tested}"]
    values = (*first.scores(split).values(), *second.scores(split).values())
    is_share = first.higher_is_better and all(0 <= value <= 1 for value in values)
    effect = Effect(first.name, second.name, first.key(split), first.higher_is_better, is_share, *tested)
    return effect, [*notes, *_test_notes(effect), *_scope_notes(first, second, split, tested)]


def _split_notes(first: Experiment, second: Experiment, split: str) -> Iterator[str]:
    """Yield what must be known of the examples on which two experiments are compared."""
    if split == "validation":
        extreme = "highest" if first.higher_is_better else "lowest"
        yield (
            f"Not every run has a result on test, so the best {first.metric} on validation is compared. It is the "
            f"{extreme} of all epochs, and so optimistic; `cnn eval RUN --split test` measures each run on test."
        )
        missing = [*first.without(split), *second.without(split)]
        if missing:
            yield f"Left out, for they have no {first.key(split)}: {', '.join(missing)}."
    splits, others = first.splits(), second.splits()
    known = [unit for unit in splits.keys() & others.keys() if splits[unit] and others[unit]]
    if any(splits[unit] != others[unit] for unit in known):
        yield (
            f"{first.name} and {second.name} differ in their examples, or in how these are split: what is compared is "
            "not the networks alone."
        )


def _test_notes(effect: Effect) -> Iterator[str]:
    """Yield why an effect has no p-value."""
    names = f"{effect.first} and {effect.second}"
    if effect.found.p_value is None:
        yield f"{names}: the scores do not vary, so that nothing can be tested."


def _scope_notes(first: Experiment, second: Experiment, split: str, tested: _Tested) -> Iterator[str]:
    """Yield what an interval does not hold: other examples, where all runs were measured on the same ones."""
    if tested.found.interval is not None and not _are_drawn(first, second, split, tested.over):
        yield (
            f"The interval says what other {tested.over} would show on the same {split} examples; other examples are "
            "not in it (cnn help comparing)."
        )


def _are_drawn(first: Experiment, second: Experiment, split: str, over: str) -> bool:
    """Say whether the repetitions were measured on examples of their own."""
    if first.folds is not None and split == "validation":
        return True
    return over != FOLDS and max(first.overlap(split), second.overlap(split)) > 0


class _Tested(NamedTuple):
    """The fields of an effect that follow from the scores."""

    over: str
    n: tuple[int, int]
    found: Difference


def _tested(first: Experiment, second: Experiment, split: str) -> _Tested | str:
    """Return the test that fits the scores of two experiments, or why none does."""
    if first.folds != second.folds:
        return "they have not the same data.folds."
    values, others = first.scores(split), second.scores(split)
    few = [each.name for each, scores in ((first, values), (second, others)) if len(scores) < 2]
    if few:
        return f"{' and '.join(few)} has fewer than two values."
    shared = sorted(values.keys() & others.keys(), key=repr)
    paired = [values[unit] for unit in shared], [others[unit] for unit in shared]
    n = len(shared), len(shared)
    if first.folds is not None:
        if len(shared) < 2:
            return "they have fewer than two folds of one division in common. Train both with the same seeds and folds."
        return _Tested(_over(shared), n, paired_t(*paired, 1 / (first.folds - 1)))
    overlap = max(first.overlap(split), second.overlap(split))
    # Which seeds were used is known before any score; so this choice of a test cannot favour either result.
    if len(shared) > 1 and 2 * len(shared) > max(len(values), len(others)):
        return _Tested(SEEDS, n, paired_t(*paired, overlap))
    unpaired = list(values.values()), list(others.values())
    return _Tested(SEEDS, (len(values), len(others)), welch_t(*unpaired, overlap))


def _over(units: Sequence[Unit]) -> str:
    if len({unit.seed for unit in units}) == 1:
        return FOLDS
    return SEEDS if len({unit.fold for unit in units}) == 1 else BOTH
