"""Proposals: those of Optuna's samplers when they are driven by hand, whatever order the results came in."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from typing import Any

import pytest

from cnncli.errors import CnnError, RunError
from cnncli.sweeps.proposal import Outcome, Proposal
from cnncli.sweeps.spec import Sweep
from cnncli.sweeps.study import Study, seed_of

optuna = pytest.importorskip("optuna")
from scipy.stats import qmc  # noqa: E402

SPACE = """\
space:
  train.optimizer: [SGD, Adam]
  train.optimizer.Adam.learning_rate: {log: [1e-4, 1e-1]}
  train.batch_size: {int: [32, 512], log: true}
  "model.layers[0].Conv2D.filters": {int: [4, 16], step: 4}
"""
NUMBERS = """\
space:
  train.optimizer.Adam.learning_rate: {log: [1e-4, 1e-1]}
  train.ema: {float: [0.9, 0.99]}
  train.batch_size: {int: [32, 512], log: true}
"""


def score(params: dict[str, Any]) -> float:
    """Return a result that depends on every value."""
    rate = params.get("train.optimizer.Adam.learning_rate", 3e-4)
    return 1 / (1 + abs(math.log10(rate) + 2.5)) + math.sin(params.get("train.batch_size", 64)) / 10


def outcome(sweep: Sweep, proposal: Proposal) -> Outcome:
    """Return what comes of a trial: of every ninth nothing."""
    if proposal.number % 9 == 4:
        return Outcome(None)
    values = {"accuracy": score(dict(proposal.params)), **proposal.counts}
    return Outcome(tuple(float(values[name]) for name in sweep.objectives))


def proposals(sweep: Sweep, order: Callable[[list[int]], int], known: list[Proposal] | None = None) -> list[Proposal]:
    """Return all proposals of a sweep whose running trials end in a given order."""
    recalled = dict(enumerate(known or []))
    study, found, outcomes, running = Study(sweep, recalled.get), [], {}, []
    while True:
        while (step := study.next(outcomes)) is not None:
            found.append(step[0])
            if step[0].refused is None:
                running.append(step[0].number)
        if study.is_complete:
            return found
        ended = running.pop(order(running))
        outcomes[ended] = outcome(sweep, found[ended])


def by_hand(
    sweep: Sweep,
    make: Callable[[int], Any],
    parallel: int,
    limit: int | None = None,
    filters: int = 16,
    condition: Callable[[dict[str, Any]], float] = lambda params: 0.0,
) -> list[dict[str, Any]]:
    """Return the parameters that a sampler of Optuna's suggests, asked and told in the order of the trials."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(directions=[f"{way}imize" for way in sweep.objectives.values()])
    asked: list[Any] = []
    waiting: list[Any] = []
    trained = 0
    while trained < sweep.settings.trials:
        if len(waiting) == parallel:
            oldest = waiting.pop(0)
            found = outcome(sweep, Proposal(oldest.number, oldest.params, sweep_counts(sweep, oldest.params)))
            study.sampler = make(oldest.number)
            if found.values is None:
                study.tell(oldest, state=optuna.trial.TrialState.PRUNED)
            else:
                study.tell(oldest, list(found.values))
        study.sampler = make(len(asked))
        trial = study.ask()
        asked.append(trial)
        if "ema" in str(list(sweep.settings.space)):
            trial.suggest_float("train.optimizer.Adam.learning_rate", 1e-4, 1e-1, log=True)
            trial.suggest_float("train.ema", 0.9, 0.99)
            trial.suggest_int("train.batch_size", 32, 512, log=True)
        else:
            if trial.suggest_categorical("train.optimizer", ["SGD", "Adam"]) == "Adam":
                trial.suggest_float("train.optimizer.Adam.learning_rate", 1e-4, 1e-1, log=True)
            trial.suggest_int("train.batch_size", 32, 512, log=True)
            trial.suggest_int("model.layers[0].Conv2D.filters", 4, filters, step=4)
        counts = sweep_counts(sweep, trial.params)
        if limit is not None:
            trial.set_constraint("params", counts["params"] - limit)
        for text in sweep.settings.conditions:
            trial.set_constraint(text, condition(trial.params))
        if (limit is not None and counts["params"] > limit) or condition(trial.params) > 0:
            study.tell(trial, state=optuna.trial.TrialState.PRUNED)
        else:
            waiting.append(trial)
            trained += 1
    return [dict(trial.params) for trial in asked]


def sweep_counts(sweep: Sweep, params: dict[str, Any]) -> dict[str, int]:
    """Return the parameters and operations of digits_lenet with another first layer, counted by hand."""
    filters = params.get("model.layers[0].Conv2D.filters", 6)
    params_of = 26 * filters + (25 * filters + 1) * 16 + 401 * 120 + 121 * 84 + 85 * 10
    macs = 28 * 28 * 25 * filters + 100 * 25 * filters * 16 + 400 * 120 + 120 * 84 + 840
    return {"params": params_of, "macs": macs}


SAMPLERS: dict[str, Callable[[int], Any]] = {
    "random": lambda number: optuna.samplers.RandomSampler(seed=seed_of(0, number)),
    "tpe": lambda number: optuna.samplers.TPESampler(seed=seed_of(0, number)),
    "nsga2": lambda number: optuna.samplers.NSGAIISampler(seed=seed_of(0, number), population_size=20),
}


@pytest.mark.parametrize("objectives", ["{accuracy: max}", "{accuracy: max, macs: min}"])
@pytest.mark.parametrize("name", SAMPLERS)
def test_proposals_are_those_of_optuna(load: Callable[..., Sweep], name: str, objectives: str) -> None:
    """With conditions, limits and failures, one objective and two."""
    section = f"trials: 50\nparallel: 4\nsampler: {name}\nobjectives: {objectives}\nlimits: {{params: 65000}}"
    sweep = load(SPACE + section)
    found = proposals(sweep, lambda running: 0)
    assert [dict(each.params) for each in found] == by_hand(sweep, SAMPLERS[name], 4, 65000)
    assert sum(each.refused is None for each in found) == 50
    assert any(each.refused for each in found)
    assert all(each.counts == sweep_counts(sweep, dict(each.params)) for each in found)


def test_sampler_learns_from_how_far_networks_are_from_the_limits(load: Callable[..., Sweep]) -> None:
    """Where hardly any network is small enough, the first that are come from those that were nearly so."""
    section = SPACE.replace("[4, 16]", "[4, 256]") + "trials: 12\nlimits: {params: 61000}\nsampler: "
    found = proposals(load(section + "tpe"), lambda running: 0)
    assert [dict(each.params) for each in found] == by_hand(load(section + "tpe"), SAMPLERS["tpe"], 1, 61000, 256)
    assert proposals(load(section + "tpe"), lambda running: 0, found[: len(found) // 2]) == found
    assert 2 * len(found) < len(proposals(load(section + "random"), lambda running: 0))


def test_sampler_learns_from_how_far_conditions_are_from_holding(load: Callable[..., Sweep]) -> None:
    """What breaks one is told as what exceeds a limit is; a sweep that goes on tells the same."""
    small = "train.batch_size * model.layers[0].Conv2D.filters <= 220"
    sweep = load(SPACE + f"trials: 20\nparallel: 3\nconditions: [{small!r}]")
    found = proposals(sweep, lambda running: 0)
    made = by_hand(
        sweep,
        SAMPLERS["tpe"],
        3,
        condition=lambda params: float(params["train.batch_size"] * params["model.layers[0].Conv2D.filters"] - 220),
    )
    assert [dict(each.params) for each in found] == made
    assert {each.refused for each in found} == {None, f"{small} does not hold"}
    stored = [Proposal.from_json(each.to_json()) for each in found]
    assert proposals(sweep, lambda running: 0, stored[: len(found) // 2]) == found
    assert len(found) < len(
        proposals(load(SPACE + f"trials: 20\nsampler: random\nconditions: [{small!r}]"), lambda _: 0)
    )


def test_proposals_of_cmaes_are_those_of_optuna(load: Callable[..., Sweep]) -> None:
    """Which keeps its state in the trials."""
    pytest.importorskip("cmaes")
    sweep = load(NUMBERS + "trials: 40\nparallel: 3\nsampler: cmaes")
    made = by_hand(sweep, lambda number: optuna.samplers.CmaEsSampler(seed=seed_of(0, number)), 3)
    found = proposals(sweep, lambda running: 0)
    assert [dict(each.params) for each in found] == made
    # After its first generations it has left the middle of the space.
    assert len({round(each.params["train.ema"], 3) for each in found}) > 10


def test_sobol_is_the_whole_sequence(load: Callable[..., Sweep]) -> None:
    """Every point of SciPy's sequence from the first, with the values by the quantile of each."""
    sweep = load(NUMBERS + "trials: 16\nparallel: 4\nsampler: sobol\nseed: 3")
    points = qmc.Sobol(3, scramble=True, seed=3).random(16)
    found = proposals(sweep, lambda running: -1)
    for point, proposal in zip(points, found, strict=True):
        assert proposal.params["train.ema"] == pytest.approx(0.9 + 0.09 * point[1])
        assert proposal.params["train.optimizer.Adam.learning_rate"] == pytest.approx(10 ** (-4 + 3 * point[0]))


@pytest.mark.parametrize("name", ["random", "sobol", "tpe", "cmaes", "nsga2"])
def test_order_of_results_and_new_starts_change_nothing(load: Callable[..., Sweep], name: str) -> None:
    """Trials that end first, last or anyhow; and a sweep that goes on from proposals that it finds."""
    sweep = load((SPACE if name != "cmaes" else NUMBERS) + f"trials: 24\nparallel: 4\nsampler: {name}")
    first = proposals(sweep, lambda running: 0)
    for begin in (0, 7, 20):
        draw = random.Random(begin)
        assert proposals(sweep, lambda running: draw.randrange(len(running)), first[:begin]) == first  # noqa: B023


def test_grid_is_complete(load: Callable[..., Sweep]) -> None:
    """Every combination once, as three loops make them; those beyond the limits are refused."""
    section = """\
space:
  train.batch_size: {int: [32, 96], step: 32}
  train.ema: {float: [0.90, 0.98], step: 0.04}
  "model.layers[0].Conv2D.filters": [4, 16]
sampler: grid
parallel: 2
limits: {params: 65000}
"""
    found = proposals(load(section), lambda running: 0)
    expected = [(size, ema, filters) for size in (32, 64, 96) for ema in (0.90, 0.94, 0.98) for filters in (4, 16)]
    assert [tuple(each.params.values()) for each in found] == expected
    assert [each.refused is None for each in found] == [filters == 4 for _, _, filters in expected]


def test_values_that_do_not_go_together_are_refused(load: Callable[..., Sweep]) -> None:
    """Each alone is possible, both leave nothing of the image."""
    section = """\
space:
  "model.layers[0].Conv2D.kernel_size": [5, 21]
  "model.layers[2].Conv2D.kernel_size": [3, 7]
sampler: grid
"""
    found = proposals(load(section), lambda running: 0)
    assert [each.refused is None for each in found] == [True, True, True, False]
    assert "model.layers[" in (found[3].refused or "")


def test_space_without_a_network_within_the_limits(load: Callable[..., Sweep]) -> None:
    """A sweep that could go on for ever says so."""
    with pytest.raises(CnnError, match="1,000 proposals in a row"):
        proposals(
            load("space: {train.batch_size: {int: [1, 9]}}\nsampler: random\ntrials: 3\nlimits: {params: 10}"),
            lambda _: 0,
        )


def test_proposals_of_another_optuna(load: Callable[..., Sweep]) -> None:
    """A sampler that keeps its state is not continued from values that it did not choose."""
    sweep = load(NUMBERS + "trials: 24\nparallel: 4\nsampler: nsga2")
    other = Proposal(0, {"train.optimizer.Adam.learning_rate": 0.1, "train.ema": 0.9, "train.batch_size": 32}, {})
    with pytest.raises(RunError, match="trial 0 has other values"):
        proposals(sweep, lambda running: 0, [other])
