"""By how much one experiment is better than another over all their runs: which test is taken, and what is told."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cnncli.report.effects import effect_paragraphs
from cnncli.runs.compare import Comparison, compare
from cnncli.runs.run import Run
from cnncli.tasks.task import get_task

stats = pytest.importorskip("scipy.stats")

LOSS = [{"name": "loss", "higher_is_better": False, "primary": True}]


def make(
    runs_dir: Path,
    name: str,
    seed: int,
    validation: float | None,
    test: float | None = None,
    data: str = "{validation: val}",
    passport: dict[str, Any] | None = None,
    metrics: list[dict[str, Any]] | None = None,
) -> Run:
    """Make a finished run; experiments differ in the units of their only layer, which follow from the name."""
    config = f"name: {name}\nseed: {seed}\ndata: {data}\nmodel: {{layers: [{{Dense: {{units: {ord(name[0])}}}}}]}}\n"
    run = Run.create(runs_dir, name, config, {} if metrics is None else {"metrics": metrics})
    metric = "accuracy" if metrics is None else "loss"
    run.append_metrics({"epoch": 1, "validation": {metric: validation}})
    if test is not None:
        run.write_json(run.evaluation_file("test"), {"accuracy": test, "loss": 0.5})
    if passport is not None:
        kept = {"classes": ["a"], "source": "digits", **passport}
        run.write_json(run.data_file, kept)
    run.update(status="done")
    return run


def compared(runs: Sequence[Run]) -> Comparison:
    """Compare runs with the tests of their tasks."""
    return compare(runs, get_task)


def only(comparison: Comparison) -> dict[str, Any]:
    """Return the one effect, as JSON."""
    (effect,) = comparison.to_json()["effects"]
    return dict(effect)


def text(comparison: Comparison, width: int = 1000) -> str:
    """Return what is told of the effects."""
    return "\n".join(effect_paragraphs(comparison.effects, width))


def drawn(seed: int, number: int) -> tuple[list[float], list[float]]:
    """Return scores of two experiments."""
    generator = np.random.default_rng(seed)
    first = generator.normal(0.9, 0.02, number)
    return first.tolist(), (first + generator.normal(0.01, 0.004, number)).tolist()


def test_the_same_seeds_are_paired(tmp_path: Path) -> None:
    """In whatever order the runs come, on test where all have it; SciPy's p and interval."""
    first, second = drawn(0, 5)
    runs = [make(tmp_path, "a", seed, 0.5, score) for seed, score in enumerate(first)]
    runs += [make(tmp_path, "b", seed, 0.5, score) for seed, score in reversed(list(enumerate(second)))]
    comparison = compared(runs)
    expected = stats.ttest_rel(second, first)
    interval = expected.confidence_interval(0.95)
    assert only(comparison) == {
        "first": "a",
        "second": "b",
        "metric": "test_accuracy",
        "higher_is_better": True,
        "difference": pytest.approx(np.mean(second) - np.mean(first)),
        "interval": [pytest.approx(interval.low), pytest.approx(interval.high)],
        "p": pytest.approx(expected.pvalue),
        "p_holm": pytest.approx(expected.pvalue),
        "test": "paired t-test",
        "n": [5, 5],
        "over": "seeds",
    }
    scope = (
        "The interval says what other seeds would show on the same test examples; other examples are not in it "
        "(cnn help comparing)."
    )
    assert comparison.effects.notes == (scope,)
    points = [100 * x for x in (expected.statistic and np.mean(second) - np.mean(first), interval.low, interval.high)]
    assert text(comparison) == (
        f"b is better than a by {points[0]:.2f} points of test accuracy, 95 % interval {points[1]:.2f} to "
        f"{points[2]:.2f}, over 5 seeds (p = {expected.pvalue:.2g}, paired t-test).\n\n{scope}\n"
    )
    json.dumps(comparison.to_json(), allow_nan=False)


def test_other_seeds_are_not_paired(tmp_path: Path) -> None:
    """Welch's test, also where a minority of the seeds is shared."""
    first, second = drawn(1, 6)
    runs = [make(tmp_path, "a", seed, 0.5, score) for seed, score in enumerate(first)]
    runs += [make(tmp_path, "b", 3 + seed, 0.5, score) for seed, score in enumerate(second)]
    found = only(compared(runs))
    assert (found["test"], found["n"]) == ("Welch's t-test", [6, 6])
    assert found["p"] == pytest.approx(stats.ttest_ind(second, first, equal_var=False).pvalue)


def test_a_seed_that_one_lacks_is_left_out_of_the_pairs(tmp_path: Path) -> None:
    """Most are shared, so that pairs tell more than unpaired values do."""
    first, second = drawn(2, 5)
    runs = [make(tmp_path, "a", seed, 0.5, score) for seed, score in enumerate(first)]
    runs += [make(tmp_path, "b", seed, 0.5, score) for seed, score in enumerate(second) if seed != 1]
    found = only(compared(runs))
    del first[1], second[1]
    assert (found["test"], found["n"]) == ("paired t-test", [4, 4])
    assert found["p"] == pytest.approx(stats.ttest_rel(second, first).pvalue)


def test_folds_are_one_experiment_whose_test_is_corrected(tmp_path: Path) -> None:
    """Nadeau and Bengio: the variance of k folds by 1/k + 1/(k−1); told as over folds, on validation."""
    first, second = drawn(3, 5)
    runs = [
        make(tmp_path, name, 0, score, data=f"{{folds: 5, fold: {fold}}}")
        for name, scores in (("a", first), ("b", second))
        for fold, score in enumerate(scores, start=1)
    ]
    comparison = compared(runs)
    assert [group.over for group in comparison.groups] == ["folds", "folds"]
    found = only(comparison)
    differences = np.subtract(second, first)
    t = differences.mean() / np.sqrt(differences.var(ddof=1) * (1 / 5 + 1 / 4))
    assert found["p"] == pytest.approx(2 * stats.t.sf(abs(t), 4))
    assert (found["test"], found["over"]) == ("corrected resampled t-test", "folds")
    assert found["metric"] == "best_validation_accuracy"
    assert "over 5 folds" in text(comparison)
    assert "and so optimistic" in text(comparison)
    assert "The interval says" not in text(comparison)  # Each fold measures other examples.


def test_five_times_two_folds(tmp_path: Path) -> None:
    """The corrected test over all ten, or over nine with one fold missing."""
    first, second = drawn(4, 10)
    runs = [
        make(tmp_path, name, 7 + number // 2, score, data=f"{{folds: 2, fold: {1 + number % 2}}}")
        for name, scores in (("a", first), ("b", second))
        for number, score in enumerate(scores)
    ]
    for number in (10, 9):
        found = only(compared(runs[: 10 + number]))
        d = np.subtract(second, first)[:number]
        t = d.mean() / np.sqrt(d.var(ddof=1) * (1 / number + 1))
        assert found["p"] == pytest.approx(2 * stats.t.sf(abs(t), number - 1))
        assert (found["test"], found["over"]) == ("corrected resampled t-test", "seeds and folds")
        assert found["n"] == [number, number]


def test_two_of_five_folds_are_not_five_times_two(tmp_path: Path) -> None:
    """Five seeds and the folds 1 and 2, but of five: the corrected test."""
    first, second = drawn(9, 10)
    runs = [
        make(tmp_path, name, number // 2, score, data=f"{{folds: 5, fold: {1 + number % 2}}}")
        for name, scores in (("a", first), ("b", second))
        for number, score in enumerate(scores)
    ]
    d = np.subtract(second, first)
    t = d.mean() / np.sqrt(d.var(ddof=1) * (1 / 10 + 1 / 4))
    found = only(compared(runs))
    assert (found["test"], found["over"]) == ("corrected resampled t-test", "seeds and folds")
    assert found["p"] == pytest.approx(2 * stats.t.sf(abs(t), 9))


def test_folds_of_other_divisions_are_not_compared(tmp_path: Path) -> None:
    """Neither of other seeds nor of another number of folds: a note says so."""
    a, b, c = (
        [make(tmp_path, name, seed, 0.5 + 0.1 * fold, data=f"{{folds: {folds}, fold: {fold}}}") for fold in (1, 2, 3)]
        for name, seed, folds in (("a", 0, 5), ("b", 1, 5), ("c", 0, 4))
    )
    for others, why in ((b, "fewer than two folds of one division"), (c, "not the same data.folds")):
        comparison = compared([*a, *others])
        assert comparison.to_json()["effects"] == []
        assert why in text(comparison)


@pytest.mark.parametrize("has_passports", [True, False])
def test_splits_that_each_seed_draws_are_corrected(tmp_path: Path, has_passports: bool) -> None:
    """Validation examples that change with the seed overlap in training: by the passport, else by the config."""
    first, second = drawn(5, 4)
    numbers = {"train": 80, "validation": 20} if has_passports else {}
    runs = [
        make(
            tmp_path,
            name,
            seed,
            score,
            data="{validation: 0.25}",
            passport=passport(numbers, str(seed)) if has_passports else None,
        )
        for name, scores in (("a", first), ("b", second))
        for seed, score in enumerate(scores)
    ]
    found = only(compared(runs))
    d = np.subtract(second, first)
    t = d.mean() / np.sqrt(d.var(ddof=1) * (1 / 4 + (1 / 4 if has_passports else 1 / 3)))
    assert found["p"] == pytest.approx(2 * stats.t.sf(abs(t), 3))
    assert found["test"] == "corrected resampled t-test"
    assert "The interval says" not in text(compared(runs))


def passport(numbers: dict[str, int], digit: str) -> dict[str, Any]:
    """Return what data.json holds of such splits."""
    return {
        "path": None,
        "num_examples": numbers,
        "counts": {split: {"a": number} for split, number in numbers.items()},
        "sizes": {"num_distinct": 1, "smallest": [8, 8], "largest": [8, 8], "most_common": []},
        "modes": {},
        "formats": {},
        "mean": [0.5],
        "deviation": [0.5],
        "duplicates": {"within": {}, "across": {}},
        "near_duplicates": {},
        "contradictions": {"num_images": 0},
        "constant": {"num_images": 0},
        "bad_files": [],
        "ignored_files": 0,
        "looks": {"train": {}},
        "channels": 1,
        "content_hash": "0" * 64,
        "split_hash": digit * 64,
    }


def test_a_split_that_is_the_same_for_all_seeds_is_not_corrected(tmp_path: Path) -> None:
    """A source with a validation split of its own ignores the share."""
    first, second = drawn(6, 4)
    numbers = {"train": 90, "validation": 30}
    runs = [
        make(tmp_path, name, seed, score, data="{validation: 0.25}", passport=passport(numbers, digit))
        for name, scores, digit in (("a", first, "1"), ("b", second, "2"))
        for seed, score in enumerate(scores)
    ]
    comparison = compared(runs)
    assert only(comparison)["p"] == pytest.approx(stats.ttest_rel(second, first).pvalue)
    assert "differ in their examples" in text(comparison)


def test_several_effects_are_corrected_by_holm(tmp_path: Path) -> None:
    """The least p by their number, the next by one less, never below one before."""
    generator = np.random.default_rng(7)
    runs = [
        make(tmp_path, name, seed, 0.5, base + generator.normal(0, 0.01))
        for name, base in (("a", 0.8), ("b", 0.82), ("c", 0.9))
        for seed in range(4)
    ]
    comparison = compared(runs)
    found = comparison.to_json()["effects"]
    assert [(each["first"], each["second"]) for each in found] == [("a", "b"), ("a", "c"), ("b", "c")]
    ordered = sorted(found, key=lambda each: each["p"])
    highest = 0.0
    for factor, each in zip((3, 2, 1), ordered, strict=True):
        highest = max(highest, min(1.0, factor * each["p"]))
        assert each["p_holm"] == pytest.approx(highest)
    assert "p is corrected for 3 comparisons by Holm's method" in text(comparison)


def test_a_loss_that_falls_is_better_in_its_own_unit(tmp_path: Path) -> None:
    """No points; the interval is by how much the better one is better."""
    first, second = [0.50, 0.52, 0.55], [0.40, 0.41, 0.46]
    runs = [
        make(tmp_path, name, seed, score, metrics=LOSS)
        for name, scores in (("a", first), ("b", second))
        for seed, score in enumerate(scores)
    ]
    comparison = compared(runs)
    found = only(comparison)
    assert found["difference"] == pytest.approx(-0.1)
    assert found["higher_is_better"] is False
    interval = stats.ttest_rel(first, second).confidence_interval(0.95)
    assert f"b is better than a by 0.1 of best validation loss, 95 % interval {interval.low:.4g}" in text(comparison)
    assert "the lowest of all epochs" in text(comparison)


def test_a_difference_that_chance_explains_is_called_so(tmp_path: Path) -> None:
    """Not "better"; the sign of the interval's lower end is a minus."""
    scores = {"a": (0.80, 0.82, 0.81), "b": (0.82, 0.80, 0.82)}
    comparison = compared(
        [make(tmp_path, n, seed, 0.5, x) for n, values in scores.items() for seed, x in enumerate(values)]
    )
    assert re.match(
        r"No difference is shown: b is ahead of a by 0\.33 points .* interval −4\.\d\d to ", text(comparison)
    )


def test_a_single_run_is_too_few(tmp_path: Path) -> None:
    """A note names it; without any repeated experiment nothing is said at all."""
    runs = [make(tmp_path, "a", 0, 0.5), make(tmp_path, "a", 1, 0.6), make(tmp_path, "b", 0, 0.7)]
    comparison = compared(runs)
    assert comparison.to_json()["effects"] == []
    assert "Only 1 run, too few for a test over runs: b." in text(comparison)
    assert comparison.to_json()["notes"] == list(comparison.effects.notes)
    assert text(compared(runs[1:])) == text(compared(runs[:2])) == ""


def test_scores_that_are_missing_or_equal_are_told(tmp_path: Path) -> None:
    """No value at all, one value, no variance; a run that is not done; runs of one seed."""
    a = [make(tmp_path, "a", seed, 0.5) for seed in range(3)]
    b = [make(tmp_path, "b", seed, 0.75 if seed else None) for seed in range(3)]
    comparison = compared([*a, *b])
    found = only(comparison)
    assert (found["difference"], found["p"], found["interval"], found["n"]) == (0.25, None, None, [2, 2])
    assert f"Left out, for they have no best_validation_accuracy: b/{b[0].id}." in text(comparison)
    assert "b is ahead of a by 25.00 points" in text(comparison)
    assert "so that nothing can be tested" in text(comparison)
    assert "b has fewer than two values" in text(compared([*a, *b[:2]]))
    same = [make(tmp_path, "c", 0, 0.5), make(tmp_path, "c", 0, 0.7), make(tmp_path, "c", 1, 0.6)]
    same[2].update(status="interrupted")
    comparison = compared([*a, *same])
    assert only(comparison)["n"] == [2, 2]
    assert only(comparison)["difference"] == pytest.approx(0.1)
    assert "c has several runs with the same seed and fold" in text(comparison)
    assert f"Not trained to the end, but compared: c/{same[2].id}." in text(comparison)
    huge = [make(tmp_path, "e", seed, 0.6 + seed / 10, 1e300 if seed else -1e300) for seed in range(3)]
    tested = [make(tmp_path, "f", seed, 0.5, 0.5) for seed in range(3)]
    assert only(compared([*tested, *huge]))["metric"] == "best_validation_accuracy"
    equal = [make(tmp_path, "d", seed, 0.5) for seed in range(2)]
    assert "a and d are equal in best validation accuracy, on average over 2 seeds." in text(compared([*a, *equal]))


def test_other_metrics_are_not_compared(tmp_path: Path) -> None:
    """A loss and an accuracy."""
    runs = [make(tmp_path, "a", seed, 0.5) for seed in (0, 1)]
    runs += [make(tmp_path, "b", seed, 0.5, metrics=LOSS) for seed in (0, 1)]
    assert "one is judged by accuracy, the other by loss" in text(compared(runs))


def test_experiments_of_one_name_are_told_apart(tmp_path: Path) -> None:
    """By what differs in their configs; of many settings the first two, and the start of a run."""
    runs = []
    for units in (8, 16):
        for seed in (0, 1):
            run = make(tmp_path, "net", seed, 0.5 + units / 100 + seed / 10 + seed * units / 1000)
            run.config_file.write_text(
                f"name: net\nseed: {seed}\nx: {{units: {units}, b: {units}}}\n", encoding="utf-8"
            )
            runs.append(run)
    found = only(compared(runs))
    assert (found["first"], found["second"]) == ("net (x.units=8, x.b=8)", "net (x.units=16, x.b=16)")
    for run, units in zip(runs, (8, 8, 16, 16), strict=True):
        file = run.config_file
        file.write_text(file.read_text(encoding="utf-8") + f"y: {units}\n", encoding="utf-8")
    assert only(compared(runs))["first"] == f"net (x.units=8, x.b=8, {runs[0].id})"


def test_the_lines_fit_and_keep_numbers_whole(tmp_path: Path) -> None:
    """At every width no line is too long, and none ends within "p = 0.01"."""
    generator = np.random.default_rng(8)
    comparison = compared([make(tmp_path, n, s, 0.5, generator.uniform(0.8, 0.9)) for n in "abc" for s in range(3)])
    for width in range(40, 130, 7):
        lines = text(comparison, width).splitlines()
        assert max(map(len, lines)) <= width
        assert not [line for line in lines if line.endswith((" =", "(p", "95", "95 %", " over"))]
