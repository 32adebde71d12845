"""Learning-rate schedules: the curves in numbers, worked by hand or taken from Keras's own schedules."""

from __future__ import annotations

from itertools import pairwise
from math import cos, pi

import pytest

from cnncli.config.schema.schedules import SCHEDULES, OneCycle, Schedule

STEPS = 10
EPOCHS = 20


def rates(name: str, **arguments: object) -> list[float]:
    """Return the rates of all steps for a base rate of 0.5."""
    schedule = SCHEDULES[name].model_validate(arguments)
    return [schedule.rate(0.5, step, STEPS, EPOCHS) for step in range(STEPS * EPOCHS)]


def test_constant_is_the_base_rate() -> None:
    """Throughout, without a warm-up."""
    assert set(rates("Constant")) == {0.5}


def test_warm_up_rises_in_a_straight_line_to_the_first_rate() -> None:
    """Two epochs are twenty equal steps; the twentieth is at the base rate."""
    assert rates("Constant", warmup_epochs=2.0)[:20] == pytest.approx([0.5 * (k + 1) / 20 for k in range(20)])
    assert rates("CosineDecay", warmup_epochs=2.0)[19:21] == pytest.approx([0.5, 0.5])
    start = rates("OneCycle", warmup_epochs=1.0)
    assert start[9] == start[10] == pytest.approx(0.5 * 0.04)


def test_a_run_shorter_than_its_warm_up_only_warms_up() -> None:
    """One epoch of a warm-up of two ends half-way."""
    assert SCHEDULES["CosineDecay"](warmup_epochs=2.0).rate(1.0, 9, 10, 1) == pytest.approx(0.5)


def test_step_decay_multiplies_after_so_many_epochs() -> None:
    """At the first step of epochs 6, 12 and 18."""
    found = rates("StepDecay", every=6.0, factor=0.1)
    assert [found[i] for i in (0, 59, 60, 119, 120, 180)] == pytest.approx([0.5, 0.5, 0.05, 0.05, 0.005, 0.0005])


def test_piecewise_constant_takes_the_value_of_the_piece() -> None:
    """A boundary belongs to the piece after it."""
    found = rates("PiecewiseConstant", boundaries=(5.0, 7.5), values=(1.0, 0.1, 0.01))
    assert [found[i] for i in (0, 49, 50, 74, 75)] == pytest.approx([0.5, 0.5, 0.05, 0.05, 0.005])


def test_one_cycle_rises_and_falls() -> None:
    """From a twenty-fifth to the base rate in the first 30 %, then to nearly nothing."""
    found = rates("OneCycle")
    assert found[0] == pytest.approx(0.5 * 0.04)
    assert max(found) == found[60] == pytest.approx(0.5)
    assert all(a < b for a, b in pairwise(found[:61]))
    assert all(a > b for a, b in pairwise(found[60:]))
    assert OneCycle().rate(0.5, STEPS * EPOCHS, STEPS, EPOCHS) == pytest.approx(0.5 * 4e-6)


def test_decays_start_at_the_base_rate_and_end_at_alpha() -> None:
    """Linear, polynomial and cosine."""
    for name in ("LinearDecay", "PolynomialDecay", "CosineDecay"):
        schedule = SCHEDULES[name].model_validate({"alpha": 0.2})
        assert schedule.rate(0.5, 0, STEPS, EPOCHS) == pytest.approx(0.5)
        assert schedule.rate(0.5, STEPS * EPOCHS, STEPS, EPOCHS) == pytest.approx(0.1)
        assert schedule.rate(0.5, STEPS * EPOCHS * 2, STEPS, EPOCHS) == pytest.approx(0.1)
    assert rates("CosineDecay")[50] == pytest.approx(0.5 * (1 + cos(pi / 4)) / 2)
    assert rates("PolynomialDecay", power=2.0)[100] == pytest.approx(0.125)


@pytest.mark.parametrize("name", SCHEDULES)
def test_a_rate_follows_from_the_step_alone(name: str) -> None:
    """A resumed run, which asks for later steps only, sees the same rates; a larger batch keeps the curve."""
    arguments = {"boundaries": (3.0,), "values": (1.0, 0.1)} if name == "PiecewiseConstant" else {}
    schedule: Schedule = SCHEDULES[name].model_validate({"warmup_epochs": 1.0, **arguments})
    found = [schedule.rate(0.5, step, STEPS, EPOCHS) for step in range(STEPS * EPOCHS)]
    assert [schedule.rate(0.5, step, STEPS, EPOCHS) for step in reversed(range(50, 60))] == found[50:60][::-1]
    assert schedule.rate(0.5, 120, STEPS, EPOCHS) == pytest.approx(schedule.rate(0.5, 12 * 7, 7, EPOCHS))
    assert all(0 <= rate <= 0.5 for rate in found)


@pytest.mark.engine
@pytest.mark.parametrize("step", [0, 1, 15, 57, 100, 199])
def test_curves_are_those_of_keras(step: int) -> None:
    """Keras's own schedules, given the same times in steps."""
    from keras.optimizers import schedules as keras_schedules

    total = STEPS * EPOCHS
    pairs = {
        "CosineDecay": ({"alpha": 0.1}, keras_schedules.CosineDecay(0.5, total, alpha=0.1)),
        "ExponentialDecay": (
            {"decay_rate": 0.8, "decay_epochs": 2.0},
            keras_schedules.ExponentialDecay(0.5, 2 * STEPS, 0.8),
        ),
        "PolynomialDecay": (
            {"power": 2.0, "alpha": 0.1},
            keras_schedules.PolynomialDecay(0.5, total, end_learning_rate=0.05, power=2.0),
        ),
    }
    for name, (arguments, theirs) in pairs.items():
        assert rates(name, **arguments)[step] == pytest.approx(float(theirs(step)), rel=1e-5)
    staircase = keras_schedules.ExponentialDecay(0.5, 2 * STEPS, 0.8, staircase=True)
    found = rates("ExponentialDecay", decay_rate=0.8, decay_epochs=2.0, staircase=True)
    assert found[step] == pytest.approx(float(staircase(step)), rel=1e-5)


@pytest.mark.engine
@pytest.mark.parametrize("step", [0, 7, 29, 30, 31, 57, 100, 199])
def test_curves_after_a_warm_up_are_those_of_keras(step: int) -> None:
    """A decay begins where the warm-up of three epochs ends, and takes the rest of the run."""
    from keras.optimizers import schedules as keras_schedules

    warmup, rest = 3 * STEPS, 17 * STEPS
    cosine = keras_schedules.CosineDecay(0.0, rest, 0.1, warmup_target=0.5, warmup_steps=warmup)
    # Keras's first rate is zero; here the first step counts already.
    expected = float(cosine(step + 1 if step < warmup else step))
    assert rates("CosineDecay", warmup_epochs=3.0, alpha=0.1)[step] == pytest.approx(expected, rel=1e-5)
    if step >= warmup:
        line = keras_schedules.PolynomialDecay(0.5, rest, 0.05)
        assert rates("LinearDecay", warmup_epochs=3.0, alpha=0.1)[step] == pytest.approx(float(line(step - warmup)))
        power = keras_schedules.ExponentialDecay(0.5, STEPS, 0.9)
        found = rates("ExponentialDecay", warmup_epochs=3.0, decay_rate=0.9)
        assert found[step] == pytest.approx(float(power(step - warmup)), rel=1e-5)


def test_one_cycle_is_two_halves_of_a_cosine() -> None:
    """From `start` to the base rate over `peak` of the run, then to `end`, a quarter of the way and half of it."""
    found = rates("OneCycle", peak=0.4, start=0.2, end=0.1)
    assert [found[i] for i in (0, 20, 40, 80)] == pytest.approx([0.1, 0.1 + 0.4 * (1 - cos(pi / 4)) / 2, 0.3, 0.5])
    assert [found[i] for i in (110, 140)] == pytest.approx([0.05 + 0.45 * (1 + cos(pi / 4)) / 2, 0.275])
    assert rates("OneCycle", peak=1.0)[-1] < 0.5
    assert OneCycle(peak=1.0).rate(0.5, STEPS * EPOCHS, STEPS, EPOCHS) == pytest.approx(0.5)
    assert OneCycle(peak=0.0).rate(0.5, 0, STEPS, EPOCHS) == pytest.approx(0.5)
