"""Which runs an ensemble is made of, what it is measured on, and what is told of runs that do not fit."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cnncli.config.dump import dump
from cnncli.config.load import loads
from cnncli.datasets import load as load_splits
from cnncli.ensembles.members import Member, read_members
from cnncli.ensembles.run import common_splits, make_run
from cnncli.errors import CnnError
from cnncli.runs.run import Run

CONFIG = """
name: net
data: {source: digits, image_size: [8, 8], channels: 1, validation: 0.2}
model:
  layers: [Flatten, {Dense: {units: 10}}]
"""
DETECTOR = """
name: boxes
task: detection
data: {source: digit_boxes, image_size: [32, 32], channels: 3, validation: 0.15}
model:
  layers: [{Conv2D: {filters: 4, kernel_size: 3, strides: 4, padding: same}}]
  heads:
    heatmap: [{Conv2D: {filters: 10, kernel_size: 1}}]
    box: [{Conv2D: {filters: 4, kernel_size: 1, activation: softplus}}]
"""


UNKNOWN = {"classes": list("0123456789"), "looks": {"train": {"num_images": 0}}}
"""As of imported weights."""


def make(runs_dir: Path, *overrides: str, text: str = CONFIG, record: Any = None, change: Any = dict) -> Run:
    """Make a run that is done, of a network whose weights are all its seed; `change` makes its passport another one."""
    config = loads(text, overrides=overrides)
    run = Run.create(
        runs_dir, config.name, dump(config), {"metrics": config.task_spec.metrics_json(), **(record or {})}
    )
    arrays = {"kernel": np.full((64, 10), config.seed, np.float32), "bias": np.zeros(10, np.float32)}
    run.checkpoints.save(1, {f"model/dense/{name}": array for name, array in arrays.items()}, {}, best=True)
    run.write_sealed(run.data_file, change(load_splits(config).passport if text == CONFIG else UNKNOWN))
    run.update(status="done")
    return run


def members(runs_dir: Path, *references: object) -> list[Member]:
    """Return the members that references mean."""
    return read_members(list(map(str, references)), runs_dir)


def test_names_groups_and_trials_stand_for_all_their_runs(tmp_path: Path) -> None:
    """Each run counts once, however often it is named."""
    group = {"group": "20260101-120000"}
    first = make(tmp_path, record={**group, "seed": 0})
    second = make(tmp_path, "seed=1", record={**group, "seed": 1})
    third = make(tmp_path)
    make(tmp_path, "name=other", record={**group, "seed": 0})
    trial = [make(tmp_path / "search.sweep", "name=trial-0003", f"seed={seed}") for seed in (2, 3)]

    def found(*references: object) -> list[Path]:
        return [member.run.path for member in members(tmp_path, *references)]

    assert found("net") == [first.path, second.path, third.path]
    assert found("net/20260101-120000") == [first.path, second.path]
    assert len(found("20260101-120000")) == 3
    assert found(third.path, first.path, "net/20260101-120000") == [third.path, first.path, second.path]
    assert found(tmp_path / "search.sweep/trial-0003") == [run.path for run in trial]


def test_weights_of_the_best_checkpoints_and_what_is_known_of_the_data(tmp_path: Path) -> None:
    """Runs that are divided alike give all of it on."""
    for seed in (4, 5):
        run = make(tmp_path, "seed=4", f"name=net{seed}")
        run.checkpoints.save(2, {"model/dense/kernel": np.full((64, 10), -1.0, np.float32)}, {})
        run.write_text(run.proof_file, b"proof")
    both = members(tmp_path, "net4", "net5")
    made = make_run(both, None, tmp_path)
    assert (made.name, made.status, made.proof_file.read_bytes()) == ("ensemble", "done", b"proof")
    assert made.passport() == both[0].passport
    assert common_splits(both) == ("test", "validation")
    arrays = made.checkpoints.best().arrays
    assert sorted(arrays) == sorted(f"model/member{i}_dense/{name}" for i in (1, 2) for name in ("kernel", "bias"))
    assert (arrays["model/member2_dense/kernel"] == 4).all()
    assert (made.config().seed, made.config().data.validation) == (4, 0.2)


def test_what_one_was_trained_on_is_trained_on(tmp_path: Path) -> None:
    """Seeds and folds share only the source's own test split; drawn by the seed, not even that."""
    for seed in (0, 1):
        make(tmp_path, f"seed={seed}")
        make(tmp_path, "name=fold", "data.folds=3", f"data.fold={seed + 1}")
    for name in ("net", "fold"):
        found = members(tmp_path, name)
        made = make_run(found, None, tmp_path)
        assert common_splits(found) == ("test",)
        assert set(made.passport()["num_examples"]) == {"train", "test"}
        assert made.passport() == load_splits(made.config()).passport
        assert made.name == f"ensemble-{name}"


def test_a_test_split_that_is_drawn_by_the_seed_is_trained_on(tmp_path: Path) -> None:
    """Each run has other test examples, and with one seed the same."""
    generator = np.random.default_rng(0)
    images = generator.integers(0, 256, (60, 8, 8), np.uint8)
    np.savez(tmp_path / "images.npz", x_train=images, y_train=np.arange(60) % 10)
    data = ("data.source=npz", f"data.path={tmp_path / 'images.npz'}", "data.test=0.2")
    for name, seeds in {"other": (0, 1), "same": (3, 3)}.items():
        for seed in seeds:
            make(tmp_path, *data, f"name={name}", f"seed={seed}")
    for name, splits in {"other": (), "same": ("test", "validation")}.items():
        found = members(tmp_path, name)
        assert common_splits(found) == splits
        made = make_run(found, None, tmp_path)
        assert made.passport() == load_splits(made.config()).passport
        assert set(made.passport()["num_examples"]) == {"train", *splits}


def test_without_held_out_examples_nothing_is_measured(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As of imported weights; the run is made all the same, unless a split is asked for."""
    from cnncli.cli.app import app

    for seed in (0, 1):
        make(tmp_path, f"seed={seed}", change=lambda _: UNKNOWN)
    arguments = ["ensemble", "net", "--name", "both", "--runs-dir", str(tmp_path)]
    with pytest.raises(CnnError, match='no split "test" in common'):
        app([*arguments, "--split", "test"], prog_name="cnn")
    assert not (tmp_path / "both").exists()
    with pytest.raises(SystemExit) as end:
        app([*arguments, "--json"], prog_name="cnn")
    assert not end.value.code
    printed = capsys.readouterr()
    document = json.loads(printed.out)
    assert Run(Path(document["run"])).passport() == UNKNOWN
    assert (document["split"], document["gain"]) == (None, None)
    assert [member["weight"] for member in document["members"]] == [0.5, 0.5]
    assert "not measured" in printed.err


@pytest.mark.parametrize("weights", ["1,x", "1,0", "1,-2", "inf,1", ""])
def test_weights_are_positive_numbers(weights: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Anything else is wrong usage."""
    from cnncli.cli.app import app

    with pytest.raises(SystemExit) as end:
        app(["ensemble", "net", "--weights", weights, "--runs-dir", str(tmp_path)], prog_name="cnn")
    assert end.value.code == 2
    assert "a positive number for each run" in " ".join(capsys.readouterr().err.replace("│", "").split())


@pytest.mark.parametrize(
    ("title", "overrides", "options"),
    [
        ("one_run", None, {}),
        ("other_classes", (), {"change": lambda _: {**UNKNOWN, "classes": ["cat", "dog"]}}),
        ("other_image_size", ("data.image_size=[9, 8]",), {}),
        ("other_resize", ("data.resize.fit=pad",), {}),
        ("other_data", (), {"change": lambda passport: {**passport, "content_hash": "0" * 64}}),
        ("other_task", (), {"text": DETECTOR}),
        ("interrupted", (), {"status": "interrupted"}),
        ("no_weight_for_one", (), {"weights": [1.0]}),
    ],
)
def test_runs_that_do_not_fit(
    title: str, overrides: Any, options: dict[str, Any], tmp_path: Path, golden: Callable[[str, str], None]
) -> None:
    """What was read, what was expected, what to do."""
    status, weights = options.pop("status", "done"), options.pop("weights", None)
    first = make(tmp_path)
    runs = [first] if overrides is None else [first, make(tmp_path, "name=other", *overrides, **options)]
    runs[-1].update(status=status)
    with pytest.raises(CnnError) as caught:
        read_members([str(run.path) for run in runs], tmp_path, weights)
    text = f"{caught.value.message}\n  {caught.value.hint}"
    for number, run in enumerate(runs, start=1):
        text = text.replace(str(run.path), f"RUN{number}").replace(f"{run.name}/{run.id}", f"RUN{number}")
    golden(title, text)


def test_boxes_are_not_averaged(tmp_path: Path, golden: Callable[[str, str], None]) -> None:
    """With the reason."""
    for seed in (0, 1):
        make(tmp_path, f"seed={seed}", text=DETECTOR)
    with pytest.raises(CnnError) as caught:
        members(tmp_path, "boxes")
    golden("detection", f"{caught.value.message}\n  {caught.value.hint}")
