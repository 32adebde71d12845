"""A sweep's file: what it means, and where it is wrong."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from cnncli.config.load import load as load_config
from cnncli.errors import ConfigError
from cnncli.sweeps.spec import Sweep, load_sweep

SPACE = """\
space:
  train.optimizer: [SGD, {Adam: {beta_1: 0.8}}]
  train.optimizer.Adam.learning_rate: {log: [1e-4, 1e-1]}
  train.optimizer.SGD.momentum: {float: [0, 0.9], step: 0.3}
  "model.layers[0].Conv2D.filters": [4, 8]
  train.batch_size: {int: [32, 512], log: true}
  train.ema: {float: [0.9, 0.99], when: {train.optimizer: SGD}}
"""


def test_config_of_a_trial_is_that_of_its_overrides(load: Callable[..., Sweep]) -> None:
    """`--set` with the same values on the same config gives the same document."""
    sweep = load(SPACE + "trials: 3")
    params = {
        "train.optimizer": "SGD",
        "train.optimizer.SGD.momentum": 0.3,
        "model.layers[0].Conv2D.filters": 8,
        "train.batch_size": 77,
        "train.ema": 0.95,
    }
    overrides = ["name=search", "train.epochs=2", *(f"{key}={value}" for key, value in params.items())]
    assert sweep.config(params).document == load_config("digits_lenet", overrides).document


def test_choice_with_arguments_goes_by_its_name(load: Callable[..., Sweep]) -> None:
    """The arguments stay next to those that vary."""
    sweep = load(SPACE + "trials: 3")
    written = sweep.config({"train.optimizer": "Adam", "train.optimizer.Adam.learning_rate": 0.01}).document
    assert written["train"]["optimizer"]["Adam"]["beta_1"] == 0.8
    assert written["train"]["optimizer"]["Adam"]["learning_rate"] == 0.01


def test_keys_below_a_choice_depend_on_it(load: Callable[..., Sweep]) -> None:
    """The grid has a point for each combination that exists, once."""
    section = "space:\n  train.optimizer: [SGD, Adam]\n  train.optimizer.SGD.momentum: [0.5, 0.9]\n"
    sweep = load(section + "  train.ema: {choice: [0.9, 0.99], when: {train.optimizer: Adam}}\nsampler: grid")
    assert sweep.space.grid() == [
        {"train.optimizer": "SGD", "train.optimizer.SGD.momentum": 0.5},
        {"train.optimizer": "SGD", "train.optimizer.SGD.momentum": 0.9},
        {"train.optimizer": "Adam", "train.ema": 0.9},
        {"train.optimizer": "Adam", "train.ema": 0.99},
    ]


def test_resolved_sweep_is_the_same_sweep(load: Callable[..., Sweep], tmp_path: Path) -> None:
    """What sweep.yaml holds loads as an equal sweep, with equal configs."""
    sweep = load(SPACE + "trials: 3\nlimits: {params: 60000}\nseeds: [0, 1]")
    (tmp_path / "sweep.yaml").write_text(sweep.dump())
    again = load_sweep(tmp_path / "sweep.yaml")
    assert again.document == sweep.document
    for params in sweep.space.samples():
        assert again.config(params).document == sweep.config(params).document


def test_overrides_reach_the_sweep_and_what_it_extends(sweep_file: Callable[..., Path]) -> None:
    """Both kinds of keys, one of them of the config that is extended."""
    sweep = load_sweep(sweep_file(SPACE + "trials: 3"), ["sweep.trials=7", "train.epochs=5", "data.validation=0.2"])
    assert sweep.settings.trials == 7
    assert (sweep.base.train.epochs, sweep.base.data.validation) == (5, 0.2)


def test_examples_are_found_from_the_trials_directory(
    sweep_file: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A path that is relative to the sweep's file is absolute in the configs of the trials."""
    (tmp_path / "data.npz").write_bytes(b"")
    path = sweep_file(
        "space: {train.batch_size: [8, 9]}\nsampler: grid",
        "extends: digits_lenet\ndata: {source: npz, path: data.npz}\n",
    )
    monkeypatch.chdir("/")
    assert load_sweep(path).config({"train.batch_size": 8}).data.path == str(tmp_path / "data.npz")


@pytest.mark.parametrize(
    ("section", "line", "said"),
    [
        (
            "space: {train.batch_sice: [1, 2]}\ntrials: 3",
            4,
            'train has no key "batch_sice". Did you mean "batch_size"?',
        ),
        ("space: {train.batch_size: [1, many]}\ntrials: 3", 4, "Expected an integer, at least 1"),
        ("space: {train.batch_size: {int: [0, 9]}}\ntrials: 3", 4, "Expected an integer, at least 1; got the number 0"),
        ("space: {train.batch_size: {int: [9, 1]}}\ntrials: 3", 4, "the smaller one first; got [9, 1]"),
        ("space: {train.batch_size: {int: [1, 9], step: 0.5}}\ntrials: 3", 4, "A step between whole numbers is whole"),
        ("space: {train.ema: {log: [0, 0.5]}}\ntrials: 3", 4, "must be greater than 0"),
        ("space: {train.ema: {flat: [0, 0.5]}}\ntrials: 3", 4, 'has no key "flat"'),
        ("space: {train.ema: 0.5}\ntrials: 3", 4, "Expected values, [a, b, …], or a range"),
        ("space: {train.ema: {float: [0.1, 0.5]}}\nsampler: grid", 4, "A grid needs values that can be counted"),
        ("space: {train.ema: {float: [0.1, 0.5], when: {train.precision: x}}}\ntrials: 1", 4, "no choice above it"),
        ("space: {train.batch_size: [1, 2]}\ntrials: 3\nobjectives: {acuracy: max}", 6, 'Did you mean "accuracy"?'),
        ("space: {train.batch_size: [1, 2]}\ntrials: 3\nsampler: tpa", 6, 'Did you mean "tpe"?'),
        ("space: {train.batch_size: [1, 2]}\ntrials: 3\nseeds: [1, 1]", 4, "not all different"),
        ("space: {train.batch_size: [1, 2]}", 4, "needs a number of trials"),
        ("spaces: {train.batch_size: [1, 2]}", 4, 'sweep has no key "spaces". Did you mean "space"?'),
    ],
)
def test_mistakes_are_told_at_their_place(load: Callable[..., Sweep], section: str, line: int, said: str) -> None:
    """The line in the sweep's own file, and what to write instead."""
    with pytest.raises(ConfigError) as caught:
        load(section)
    problem = caught.value.problems[0]
    assert said in problem.message
    assert Path(problem.file or "").name == "search.yaml"
    assert problem.line == line


def test_config_names_what_is_varied(load: Callable[..., Sweep]) -> None:
    """As `extends` does, and not together with it."""
    section = SPACE + "trials: 3"
    named = load(section, above="config: digits_lenet\ntrain: {epochs: 2}\n")
    assert named.document == load(section).document
    with pytest.raises(ConfigError, match="either config or extends, not both") as caught:
        load(section, above="extends: digits_lenet\nconfig: mnist_lenet5\n")
    assert caught.value.problems[0].line == 2
    with pytest.raises(ConfigError, match='named "digits_lenett"') as caught:
        load(section, above="config: digits_lenett\n")
    assert caught.value.problems[0].line == 1


def test_config_is_no_sweep(load: Callable[..., Sweep], tmp_path: Path) -> None:
    """A config without the section."""
    with pytest.raises(ConfigError, match="no section sweep"):
        load_sweep("digits_lenet")
