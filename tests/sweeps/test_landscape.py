"""What a sweep's plots show, next to what Optuna plots of the same trials."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from cnncli.errors import CnnError
from cnncli.report.key_names import short_names
from cnncli.report.page import Page
from cnncli.report.sweep import front_parts, history_parts, importance_parts, results_lines
from cnncli.sweeps.export import study_of
from cnncli.sweeps.importance import Importance, importance
from cnncli.sweeps.landscape import Landscape
from cnncli.sweeps.methods import Method

optuna = pytest.importorskip("optuna")

CONDITIONAL = {
    "train.optimizer.Adam.learning_rate",
    "train.optimizer.SGD.learning_rate",
    "train.optimizer.SGD.momentum",
}


def study(landscape: Landscape) -> Any:
    """Return the trials as Optuna's; one that is pruned has no result there."""
    trials = tuple(
        replace(trial, state="failed", values=None) if trial.state == "pruned" else trial
        for trial in landscape.found.trials
    )
    return study_of(replace(landscape.found, trials=trials))


@pytest.fixture
def own_style() -> Iterator[None]:
    """Take back Matplotlib's settings, of which Optuna's plots change some for the whole process."""
    import matplotlib as mpl

    with mpl.rc_context():
        yield


def numbers_in(landscape: Landscape, optuna_trials: Any) -> list[int]:
    """Return the numbers of trials that Optuna has found."""
    return [trial.user_attrs["trial"] for trial in optuna_trials]


def test_front_is_that_of_optuna(landscape: Landscape) -> None:
    """Of both objectives, best accuracy first."""
    accuracy, macs = landscape.objectives
    front = landscape.front(accuracy, macs)
    assert sorted(front) == numbers_in(landscape, study(landscape).best_trials)
    assert len(front) > 2
    values = [(accuracy.values[number], macs.values[number]) for number in front]
    assert values == sorted(values, reverse=True)


@pytest.mark.usefixtures("own_style")
@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
@pytest.mark.parametrize("index", [0, 1])
def test_history_is_that_of_optuna(landscape: Landscape, index: int) -> None:
    """The values and the best so far that Optuna plots, when it judges by one objective."""
    one = optuna.create_study(direction=study(landscape).directions[index])
    for trial in study(landscape).get_trials(states=[optuna.trial.TrialState.COMPLETE]):
        one.add_trial(optuna.trial.create_trial(value=trial.values[index]))
    axes = optuna.visualization.matplotlib.plot_optimization_history(one)
    steps = list(landscape.history(landscape.objectives[index]))
    assert [step.number for step in steps] == list(landscape.done)
    assert np.array_equal(axes.collections[0].get_offsets()[:, 1], [step.value for step in steps])
    assert np.array_equal(axes.lines[0].get_ydata(), [step.best for step in steps])


@pytest.mark.usefixtures("own_style")
@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
def test_slices_are_those_of_optuna(landscape: Landscape) -> None:
    """For every key the values of the trials that are done and have it."""
    drawn = optuna.visualization.matplotlib.plot_slice(
        study(landscape), target=lambda trial: trial.values[0], target_name="accuracy"
    )
    theirs = {axes.get_xlabel(): axes.collections[0].get_offsets() for axes in drawn}
    accuracy, done = landscape.objectives[0], landscape.done
    for key in (key for key in landscape.keys if not key.choices):
        ours = [(key.values[number], accuracy.values[number]) for number in done if number in key.values]
        assert np.array_equal(theirs[key.name], ours)
    assert {key.name for key in landscape.keys if len(key.values) < len(landscape.found.trials)} == CONDITIONAL


def test_variables_of_keys(landscape: Landscape) -> None:
    """A choice counts in the file's order, null is a value, a range is as wide as the space."""
    keys = {key.name: key for key in landscape.keys}
    assert keys["train.ema"].choices == ("null", "0.99")
    assert set(keys["train.ema"].values.values()) == {"null", "0.99"}
    assert keys["train.batch_size"].bounds == (32, 512)
    assert keys["train.batch_size"].is_log
    assert keys["train.batch_size"].is_whole
    number = next(n for n, value in keys["train.ema"].values.items() if value == "0.99")
    assert keys["train.ema"].number(number) == 1


def test_counts_are_plotted_where_they_differ(landscape: Landscape) -> None:
    """Accuracy against macs, which are sought, and against parameters, which are not; not parameters that are equal."""
    pairs = [(first.name, other.name) for first, other in landscape.tradeoffs]
    assert pairs == [("accuracy", "macs"), ("accuracy", "params")]
    trials = tuple(
        replace(trial, proposal=replace(trial.proposal, counts={**trial.proposal.counts, "params": 7}))
        for trial in landscape.found.trials
    )
    from cnncli.sweeps.landscape import landscape as made

    assert made(replace(landscape.found, trials=trials)).counts == ()


@pytest.fixture(scope="module")
def forest(landscape: Landscape) -> Importance:
    """Return what fANOVA says."""
    return importance(landscape.found, Method.fanova)


def test_fanova_is_that_of_optuna(forest: Importance, landscape: Landscape) -> None:
    """A forest with a seed, on the keys that every trial has; what it cannot judge is told."""
    assert set(forest.left_out) == CONDITIONAL
    one = optuna.create_study()
    for trial in study(landscape).get_trials(states=[optuna.trial.TrialState.COMPLETE]):
        kept = {name: value for name, value in trial.params.items() if name not in CONDITIONAL}
        distributions = {name: trial.distributions[name] for name in kept}
        one.add_trial(optuna.trial.create_trial(value=trial.values[0], params=kept, distributions=distributions))
    evaluator = optuna.importance.FanovaImportanceEvaluator(seed=0)
    expected = optuna.importance.get_param_importances(one, evaluator=evaluator)
    assert forest.shares["accuracy"] == pytest.approx(expected)
    assert math.isclose(sum(forest.shares["macs"].values()), 1)
    assert next(iter(forest.shares["macs"])) == "model.layers[0].Conv2D.filters"


def test_ped_anova_judges_all_keys(landscape: Landscape) -> None:
    """Also those that exist in some trials only."""
    assert landscape.importance.shares["accuracy"].keys() == {key.name for key in landscape.keys}
    assert landscape.importance.left_out == ()


def test_nothing_is_said_of_an_objective_that_is_the_same_in_all(landscape: Landscape) -> None:
    """A forest would have nothing to divide by."""
    trials = tuple(
        trial if trial.values is None else replace(trial, values={**trial.values, "macs": 5})
        for trial in landscape.found.trials
    )
    for method in Method:
        assert importance(replace(landscape.found, trials=trials), method).shares.keys() == {"accuracy"}


def test_fanova_without_its_package(landscape: Landscape, monkeypatch: pytest.MonkeyPatch) -> None:
    """The line that installs it is told; PED-ANOVA needs no such package."""
    there = {"optuna": object(), "cmaes": object()}
    monkeypatch.setattr("cnncli.sweeps.packages.find_spec", there.get)
    with pytest.raises(CnnError, match="scikit-learn is not installed") as caught:
        importance(landscape.found, Method.fanova)
    assert caught.value.hint == "pip install 'cnncli[fanova]'"
    assert importance(landscape.found).shares


@pytest.mark.parametrize("width", [60, 80, 120])
def test_terminal(landscape: Landscape, forest: Importance, golden: Any, width: int) -> None:
    """Tables that fit, the least important columns left out first."""
    shown = (*front_parts(landscape), *history_parts(landscape, width), *importance_parts(forest))
    lines = Page((*results_lines(landscape.found), *shown)).text(width).split("\n")
    assert max(map(len, lines)) <= width
    golden(f"show_{width}", "\n".join(lines))


def test_one_objective_has_a_front_with_a_count(landscape: Landscape) -> None:
    """Where nothing else is sought, the network's size stands beside it; a front of one trial is not shown."""
    one = replace(landscape, objectives=landscape.objectives[:1], counts=landscape.objectives[1:])
    assert Page(tuple(front_parts(one))).text().splitlines()[1] == "Pareto front of accuracy and macs"
    assert list(front_parts(replace(one, counts=()))) == []


def test_short_names_differ() -> None:
    """They are longer where they have to be."""
    keys = ("train.batch_size", "train.optimizer.SGD.momentum", "train.optimizer.SGD.learning_rate")
    keys = (*keys, "train.optimizer.Adam.learning_rate", "model.layers[2].Conv2D.filters")
    found = ["batch_size", "momentum", "SGD.learning_rate", "Adam.learning_rate", "layers[2].filters"]
    assert list(short_names(keys).values()) == found
    nested = ("model.layers[0].layers[1].Conv2D.filters", "model.layers[1].Conv2D.filters")
    assert list(short_names(nested).values()) == [
        "layers[0].layers[1].Conv2D.filters",
        "model.layers[1].Conv2D.filters",
    ]


def test_choices_with_arguments_are_their_yaml(load: Any) -> None:
    """Without quotes around what is YAML already; a text that looks like a number keeps its own."""
    from cnncli.sweeps.landscape import landscape as made
    from cnncli.sweeps.results import Results

    sweep = load(
        "space: {train.schedule: [{CosineDecay: {warmup_epochs: 0}}, {CosineDecay: {warmup_epochs: 1}}]}\nsampler: grid"
    )
    choices = made(Results("runs/s.sweep", sweep, (), ())).keys[0].choices
    assert choices == ("{CosineDecay: {warmup_epochs: 0}}", "{CosineDecay: {warmup_epochs: 1}}")
