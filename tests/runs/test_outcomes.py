"""The mean over several runs and how certain it is, against NumPy and SciPy."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from cnncli.runs.group import Member, group_in, members
from cnncli.runs.outcomes import Outcome, Spread, bootstrap_interval, spreads
from cnncli.runs.run import Run


@pytest.mark.parametrize("number", [3, 5, 40])
def test_the_interval_is_scipys(number: int) -> None:
    """With the same resamples to the last digits but one, with others nearly."""
    values = np.random.default_rng(number).normal(0.9, 0.02, number)
    for seed, tolerance in ((0, 1e-12), (7, 0.05 * float(values.std()))):
        expected = stats.bootstrap(
            (values,),
            np.mean,
            n_resamples=10_000,
            method="percentile",
            vectorized=True,
            rng=np.random.default_rng(seed),
        ).confidence_interval
        assert bootstrap_interval(values.tolist()) == pytest.approx(tuple(expected), abs=tolerance)


def test_the_interval_is_always_the_same() -> None:
    """Its resamples are seeded."""
    assert bootstrap_interval([0.1, 0.5, 0.7]) == bootstrap_interval([0.1, 0.5, 0.7])


@pytest.mark.parametrize("values", [[0.5], [0.5, 0.75], [0.5, 0.75, 0.8]], ids=len)
def test_few_runs_have_no_interval(values: list[float]) -> None:
    """Nor has a single one a standard deviation."""
    spread = Spread.of(values)
    assert spread.mean == pytest.approx(np.mean(values))
    assert spread.n == len(values)
    assert spread.sd == (None if len(values) == 1 else pytest.approx(np.std(values, ddof=1)))
    assert (spread.interval is None) == (len(values) < 3)


def make(runs_dir: Path, seed: int, test: float | None) -> Run:
    """Make a run of three epochs of which the second was the best, evaluated on test where there is a value."""
    run = Run.create(runs_dir, "net", "name: net\n", {"seed": seed})
    for epoch, accuracy in enumerate((0.5, 0.75, 0.625), start=1):
        run.append_metrics({"epoch": epoch, "validation": {"loss": epoch / 4, "accuracy": accuracy}})
    run.update(status="done", best={"epoch": 2, "monitor": "validation_accuracy", "value": 0.75})
    if test is not None:
        run.write_sealed(run.evaluation_file("test"), {"split": "test", "loss": 1.0, "accuracy": test})
    return run


def test_the_best_epoch_counts(tmp_path: Path) -> None:
    """Not the last one; what was not measured, or did not run, is left out of the mean."""
    found = [Outcome.of(Member(seed), make(tmp_path, seed, test)) for seed, test in ((1, 0.5), (2, 0.25), (3, None))]
    missing = Outcome.of(Member(4), None)
    assert found[0].to_json() == {
        "run": str(tmp_path / "net" / found[0].run.id) if found[0].run else None,
        "seed": 1,
        "fold": None,
        "status": "done",
        "best_epoch": 2,
        "validation": {"accuracy": 0.75, "loss": 0.5},
        "test": {"accuracy": 0.5, "loss": 1.0},
    }
    assert found[2].to_json()["test"] is None
    assert (missing.status, missing.to_json()["run"]) == ("missing", None)
    table = spreads([*found, missing])
    assert {name: (spread.mean, spread.n) for name, spread in table.items()} == {
        "validation_accuracy": (0.75, 3),
        "validation_loss": (0.5, 3),
        "test_accuracy": (0.375, 2),
        "test_loss": (1.0, 2),
    }


def test_every_seed_has_every_fold() -> None:
    """In the order of the seeds."""
    found = members([7, 3], 2)
    assert [str(member) for member in found] == [
        "seed 7, fold 1 of 2",
        "seed 7, fold 2 of 2",
        "seed 3, fold 1 of 2",
        "seed 3, fold 2 of 2",
    ]
    assert found[1].overrides == ("seed=7", "data.folds=2", "data.fold=2")
    assert [str(member) for member in members([7, 3], None)] == ["seed 7", "seed 3"]


@pytest.mark.parametrize(
    ("value", "expected"),
    [("20260101-120000", "20260101-120000"), ("20260101-120000-2", "20260101-120000-2"), ("a/b", None), ("", None)],
)
def test_only_an_id_is_a_group(value: str, expected: str | None) -> None:
    """Whatever else stands in the environment belongs to something else."""
    assert group_in({"CNNCLI_GROUP": value}) == expected
    assert group_in({}) is None
