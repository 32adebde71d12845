"""How often the tests of `cnn compare` find a difference where there is none: wanted is 5 % each.

    python tests/benchmarks/false_positives.py [--number 5000] [--seed 0] [--only folds]

Each experiment is simulated so that both networks are equally good by construction, and told whether p is below 5 %.

seeds     scores of seeds: the number of right answers among 10,000, each seed with an accuracy of its own (a beta
          distribution), a part of which both networks have in common
folds     a classifier (nearest centroid, nearest neighbour) that sees one half of an example's features, and one that
          sees the other half, which has the same distribution: trained and measured on real folds of 200 examples, or
          on random splits
mcnemar   right and wrong answers to the same examples, to one in ten of which only one network has the right answer
holm      any difference among three or six comparisons that share their groups

Rows without a star are the tests that `cnn compare` takes; those with a star show what it does not do, and why.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from functools import partial
from itertools import combinations
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import stats

from cnncli.report.grid import Column, Grid
from cnncli.statistics.differences import holm, paired_t, welch_t
from cnncli.statistics.distributions import t_two_sided
from cnncli.tasks.classification.mcnemar import exact_p_value
from cnncli.tasks.significance import wilson_interval

Floats = npt.NDArray[np.float64]
Rows = npt.NDArray[np.int64]
Experiment = Callable[[np.random.Generator], dict[str, float | None]]
"""Simulates one and returns p by the name of the test; None where there was nothing to test."""

LEVEL = 0.05
EXAMPLES, FEATURES, SEPARATION = 200, 8, 0.35
"""Of the examples that are divided into folds: their number, features that a network sees, distance of the classes."""

HELD_OUT, TEST_EXAMPLES = 20, 1000
"""Examples that a random split measures, and those of a test split."""


class Rate(NamedTuple):
    """How often a test found a difference.

    Attributes:
        test: Its name.
        found: Experiments with p below 5 %.
        number: Experiments in all.
    """

    test: str
    found: int
    number: int

    @property
    def share(self) -> float:
        """Return the false positive rate."""
        return self.found / self.number


def seed_scores(generator: np.random.Generator, number: int, concentration: float = 2000.0) -> Floats:
    """Return accuracies of a network over seeds: (number,)."""
    accuracies = generator.beta(0.95 * concentration, 0.05 * concentration, number)
    return generator.binomial(10_000, accuracies) / 10_000


def over_seeds(generator: np.random.Generator) -> dict[str, float | None]:
    """Five seeds of two networks, paired; other seeds, also of other numbers and spreads."""
    common = generator.normal(0, 0.003, 5)
    first, second = (seed_scores(generator, 5) + common for _ in range(2))
    few, wide = seed_scores(generator, 3), seed_scores(generator, 5, 300.0)
    return {
        "paired t-test, 5 seeds": paired_t(first.tolist(), second.tolist()).p_value,
        "Welch's t-test, 5 and 5 other seeds": welch_t(first.tolist(), seed_scores(generator, 5).tolist()).p_value,
        "Welch's t-test, 5 and 3 seeds": welch_t(first.tolist(), few.tolist()).p_value,
        "Welch's t-test, 5 and 5 seeds, variances 1 : 6": welch_t(first.tolist(), wide.tolist()).p_value,
    }


class Examples(NamedTuple):
    """Examples of two classes as two networks see them.

    Attributes:
        views: Features: (networks, examples, features).
        labels: Class of each example, 0 and 1 in turn.
        distances: Squared distances of the first `EXAMPLES` examples: (networks, EXAMPLES, EXAMPLES).
    """

    views: Floats
    labels: Rows
    distances: Floats

    @classmethod
    def drawn(cls, generator: np.random.Generator, number: int = EXAMPLES) -> Examples:
        """Draw examples; both views have the same distribution."""
        labels = np.arange(number) % 2
        views = generator.normal(0, 1, (2, number, FEATURES)) + SEPARATION * (2 * labels - 1)[:, None]
        pool = views[:, :EXAMPLES]
        squares = (pool**2).sum(axis=-1)
        distances = squares[:, :, None] + squares[:, None] - 2 * pool @ pool.transpose(0, 2, 1)
        return cls(views, labels, distances)


Learner = Callable[[Examples, Rows, Rows], Floats]
"""Trains both networks on some rows and returns their accuracies on others: (2,)."""


def nearest_centroid(examples: Examples, train: Rows, test: Rows) -> Floats:
    """A stable learner: some other training examples hardly change its predictions."""
    seen, labels = examples.views[:, train], examples.labels[train]
    first, second = (seen[:, labels == label].mean(axis=1)[:, None] for label in (0, 1))
    asked = examples.views[:, test]
    predicted = ((asked - second) ** 2).sum(axis=-1) < ((asked - first) ** 2).sum(axis=-1)
    return (predicted == examples.labels[test]).mean(axis=1)


def nearest_neighbour(examples: Examples, train: Rows, test: Rows) -> Floats:
    """An unstable one: each prediction follows from a single training example."""
    nearest = examples.distances[:, test][:, :, train].argmin(axis=-1)
    return (examples.labels[train][nearest] == examples.labels[test]).mean(axis=1)


def fold_scores(generator: np.random.Generator, examples: Examples, folds: int, learner: Learner) -> Floats:
    """Return the accuracies of a cross-validation with classes of equal shares: (folds, 2)."""
    numbers = dealt(generator, folds)
    each = [(np.flatnonzero(numbers != fold), np.flatnonzero(numbers == fold)) for fold in range(folds)]
    return np.array([learner(examples, train, test) for train, test in each])


def dealt(generator: np.random.Generator, folds: int) -> Rows:
    """Return the fold of each of the first `EXAMPLES` examples."""
    numbers = np.empty(EXAMPLES, np.int64)
    for label in (0, 1):
        numbers[label::2] = generator.permutation(EXAMPLES // 2) % folds
    return numbers


def over_folds(generator: np.random.Generator, learner: Learner) -> dict[str, float | None]:
    """Folds, repeated folds and random splits of the same examples."""
    examples = Examples.drawn(generator)
    p_values: dict[str, float | None] = {}
    for folds in (5, 10):
        first, second = fold_scores(generator, examples, folds, learner).T.tolist()
        p_values[f"corrected t-test, {folds} folds"] = paired_t(first, second, 1 / (folds - 1)).p_value
        p_values[f"* paired t-test, {folds} folds"] = paired_t(first, second).p_value
    first, second = np.concatenate([fold_scores(generator, examples, 5, learner) for _ in range(3)]).T.tolist()
    p_values["corrected t-test, 3 seeds × 5 folds"] = paired_t(first, second, 1 / 4).p_value
    p_values["* paired t-test, 3 seeds × 5 folds"] = paired_t(first, second).p_value
    orders = [generator.permutation(EXAMPLES) for _ in range(5)]
    splits = [learner(examples, order[HELD_OUT:], order[:HELD_OUT]) for order in orders]
    first, second = np.array(splits).T.tolist()
    share = HELD_OUT / (EXAMPLES - HELD_OUT)
    p_values["corrected t-test, 5 seeds that draw 10 %"] = paired_t(first, second, share).p_value
    p_values["* paired t-test, 5 seeds that draw 10 %"] = paired_t(first, second).p_value
    pairs = np.concatenate([fold_scores(generator, examples, 2, learner) for _ in range(5)])
    first, second = pairs.T.tolist()
    p_values["corrected t-test, 5 seeds × 2 folds"] = paired_t(first, second, 1.0).p_value
    p_values["* 5×2cv combined F test (Alpaydin)"] = _alpaydin(pairs[:, 1] - pairs[:, 0])
    p_values["* 5×2cv t-test (Dietterich)"] = _dietterich(pairs[:, 1] - pairs[:, 0])
    return {f"{test}, {learner.__name__.replace('_', ' ')}": p_value for test, p_value in p_values.items()}


def other_examples(generator: np.random.Generator) -> dict[str, float | None]:
    """Seeds and folds measured on one test split, asked about what other test examples would show."""
    examples = Examples.drawn(generator, EXAMPLES + TEST_EXAMPLES)
    test = np.arange(EXAMPLES, EXAMPLES + TEST_EXAMPLES)
    orders = [generator.permutation(EXAMPLES)[: EXAMPLES * 3 // 4] for _ in range(5)]
    seeds = np.array([nearest_centroid(examples, order, test) for order in orders]).T.tolist()
    numbers = dealt(generator, 5)
    folds = [nearest_centroid(examples, np.flatnonzero(numbers != fold), test) for fold in range(5)]
    return {
        "* paired t-test, 5 seeds, asked about other test examples": paired_t(*seeds).p_value,
        "* corrected t-test, 5 folds, asked about other test examples": paired_t(
            *np.array(folds).T.tolist(), 1 / 4
        ).p_value,
    }


def _alpaydin(differences: Floats) -> float | None:
    """Return p of Alpaydin's test: all ten differences by the spread within the five divisions."""
    spread = float(((differences[::2] - differences[1::2]) ** 2 / 2).sum())
    return float(stats.f.sf((differences**2).sum() / (2 * spread), 10, 5)) if spread else None


def _dietterich(differences: Floats) -> float | None:
    """Return p of Dietterich's test: the first of ten differences by the spread within the five divisions."""
    spread = ((differences[::2] - differences[1::2]) ** 2 / 2).mean()
    return t_two_sided(differences[0] / np.sqrt(spread), 5) if spread else None


def of_answers(generator: np.random.Generator) -> dict[str, float | None]:
    """McNemar's test of two single networks, exact; and the mid-p variant."""
    p_values: dict[str, float | None] = {}
    for number in (200, 1000, 10_000):
        differ = int(generator.binomial(number, 0.1))
        only_first = int(generator.binomial(differ, 0.5))
        exact = exact_p_value(only_first, differ - only_first)
        p_values[f"McNemar, exact, {number:,} examples"] = exact
        p_values[f"* McNemar, mid-p, {number:,} examples"] = _mid_p(only_first, differ, exact)
    return p_values


def _mid_p(heads: int, thrown: int, exact: float) -> float:
    """Return the exact p less half the chance of what was found, on both sides (Fagerland et al., 2013)."""
    from scipy.stats import binom

    at = float(binom.pmf(heads, thrown, 0.5))
    return 1 - at / 2 if 2 * heads == thrown else exact - at


def of_families(generator: np.random.Generator) -> dict[str, float | None]:
    """The least p of all comparisons of several equally good networks."""
    p_values: dict[str, float | None] = {}
    for groups in (3, 4):
        common = generator.normal(0, 0.003, 5)
        scores = [(seed_scores(generator, 5) + common).tolist() for _ in range(groups)]
        raw = [paired_t(a, b).p_value for a, b in combinations(scores, 2)]
        tested = [p for p in raw if p is not None]
        p_values[f"Holm, any of {len(raw)} comparisons"] = min(holm(tested), default=None)
        p_values[f"* not corrected, any of {len(raw)} comparisons"] = min(tested, default=None)
    return p_values


KINDS: dict[str, tuple[Experiment, ...]] = {
    "seeds": (over_seeds,),
    "folds": (
        partial(over_folds, learner=nearest_centroid),
        partial(over_folds, learner=nearest_neighbour),
        other_examples,
    ),
    "mcnemar": (of_answers,),
    "holm": (of_families,),
}


def rates(kind: str, number: int, seed: int = 0) -> Iterator[Rate]:
    """Yield the false positive rate of each test of a kind, over so many experiments."""
    for place, experiment in enumerate(KINDS[kind]):
        generator = np.random.default_rng([seed, place])
        found: dict[str, int] = {}
        for _ in range(number):
            for test, p_value in experiment(generator).items():
                found[test] = found.get(test, 0) + (p_value is not None and p_value < LEVEL)
        yield from (Rate(test, times, number) for test, times in found.items())


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--number", type=int, default=5000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", choices=KINDS)
    options = parser.parse_args()
    rows = []
    for kind in KINDS if options.only is None else (options.only,):
        for rate in rates(kind, options.number, options.seed):
            low, high = wilson_interval(rate.found, rate.number)
            rows.append((rate.test, f"{100 * rate.share:.1f} %", f"{100 * low:.1f} to {100 * high:.1f}"))
    print(
        "\n".join(Grid((Column("test", left=True), Column("false positives"), Column("95 % interval")), rows).lines())
    )


if __name__ == "__main__":
    main()
