"""Runs chosen and sorted by their configs and results."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cnncli.errors import RunError
from cnncli.report.runs import runs_table
from cnncli.runs.condition import Condition
from cnncli.runs.listing import rows
from cnncli.runs.run import Run
from cnncli.runs.selection import Selected, Selection, select, with_names
from cnncli.runs.tags import add_tags

CONFIG = """name: {name}
seed: {seed}
data: {{image_size: [8, 8], path: null}}
model:
  layers:
    - Conv2D: {{filters: {filters}}}
    - Flatten
train:
  batch_size: {batch_size}
  optimizer: {{{optimizer}: {{learning_rate: {rate}}}}}
"""

MADE = [
    {"name": "a", "seed": 0, "filters": 8, "batch_size": 100, "optimizer": "Adam", "rate": "1e-3"},
    {"name": "a", "seed": 1, "filters": 16, "batch_size": 20, "optimizer": "SGD", "rate": 0.1},
    {"name": "b", "seed": 2, "filters": 4, "batch_size": 3, "optimizer": "Adam", "rate": "3e-4"},
    {"name": "c", "seed": 3, "filters": 32, "batch_size": 1000, "optimizer": "Adam", "rate": 0.01},
]
ACCURACIES = [0.75, 0.5, None, 0.875]


@pytest.fixture
def runs_dir(tmp_path: Path) -> Path:
    """Return a folder of four runs; the third has no epoch, the first and the last were evaluated on test."""
    for values, accuracy in zip(MADE, ACCURACIES, strict=True):
        run = Run.create(tmp_path, str(values["name"]), CONFIG.format(**values), {"total_params": 10})
        if accuracy is not None:
            run.append_metrics({"epoch": 1, "seconds": 1.5, "validation": {"loss": 1.0, "accuracy": accuracy}})
            run.update(status="done")
        if accuracy in (0.75, 0.875):
            document = {"split": "test", "loss": 0.5, "accuracy": accuracy - 0.25}
            run.write_sealed(run.evaluation_file("test"), document)
    return tmp_path


def chosen(runs_dir: Path, *where: str, sort: str | None = None, reverse: bool = False) -> Selected:
    """Return what is left of the runs."""
    return select(rows(runs_dir), Selection(tuple(map(Condition.of, where)), sort, reverse))


def seeds(selected: Selected, runs_dir: Path) -> list[int]:
    """Return which runs these are, by the seeds of their configs, read without a line of the code under test."""
    texts = [Path(row.run, "config.yaml").read_text(encoding="utf-8") for row in selected.rows]
    assert all(Path(row.run).is_relative_to(runs_dir) for row in selected.rows)
    return [int(text.split("seed: ")[1].split("\n")[0]) for text in texts]


@pytest.mark.parametrize("key", ["batch_size", "filters", "seed", "rate", "accuracy"])
@pytest.mark.parametrize("reverse", [False, True])
def test_sorting(runs_dir: Path, key: str, reverse: bool) -> None:
    """By numbers of the config or a result, as Python sorts them; a run without one is last in both directions."""
    paths = {
        "batch_size": "train.batch_size",
        "filters": "model.layers[0].Conv2D.filters",
        "rate": "train.optimizer.Adam.learning_rate",
    }
    numbers = [float(values[key]) for values in MADE] if key != "accuracy" else [0.75, 0.5, None, 0.875]
    if key == "rate":
        numbers[1] = None  # SGD's
    there = sorted((i for i in range(4) if numbers[i] is not None), key=lambda i: numbers[i], reverse=reverse)
    expected = there + [i for i in range(4) if numbers[i] is None]
    assert seeds(chosen(runs_dir, sort=paths.get(key, key), reverse=reverse), runs_dir) == expected


def test_equal_runs_stay_in_the_order_in_which_they_began(runs_dir: Path) -> None:
    """Also from the largest to the smallest; without a key, --reverse has the newest first."""
    assert seeds(chosen(runs_dir, sort="params"), runs_dir) == [0, 1, 2, 3]
    assert seeds(chosen(runs_dir, sort="params", reverse=True), runs_dir) == [0, 1, 2, 3]
    assert seeds(chosen(runs_dir, reverse=True), runs_dir) == [3, 2, 1, 0]
    assert seeds(chosen(runs_dir), runs_dir) == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        (["train.batch_size>=64"], [0, 3]),
        (["train.batch_size>=64", "accuracy>0.8"], [3]),
        (["train.optimizer=Adam"], [0, 2, 3]),
        (["train.optimizer!=Adam"], [1]),
        (["train.optimizer.Adam.learning_rate<=1e-3"], [0, 2]),
        (["train.optimizer.Adam.learning_rate!=1"], [0, 2, 3]),
        (["model.layers[1]=Flatten", "seed>1"], [2, 3]),
        (["data.image_size=[8, 8]", "data.path=null"], [0, 1, 2, 3]),
        (["name=a"], [0, 1]),
        (["status=interrupted"], [2]),
        (["epochs=1", "seconds<2", "params=10", "total_params=10"], [0, 1, 3]),
        (["best_validation_accuracy=0.5"], [1]),
        (["test_accuracy<0.6"], [0]),
        (["test_loss=0.5"], [0, 3]),
        (["started>=2020"], [0, 1, 2, 3]),
        (["name~B"], [2]),
        (["name=nobody"], []),
    ],
)
def test_choosing(runs_dir: Path, where: list[str], expected: list[int]) -> None:
    """All conditions must be met."""
    assert seeds(chosen(runs_dir, *where), runs_dir) == expected


def test_tags(runs_dir: Path) -> None:
    """One tag must be equal, or contain the text; with != none may be."""
    by_seed = {row.values["seed"]: Run(Path(row.run)) for row in chosen(runs_dir, sort="seed").rows}
    add_tags(by_seed[1], ["64", "baseline"])
    add_tags(by_seed[3], ["final"])
    for where, expected in (
        ("tag=baseline", [1]),
        ("tag=64", [1]),
        ("tag!=baseline", [0, 2, 3]),
        ("tags~AL", [3]),
    ):
        assert seeds(chosen(runs_dir, where), runs_dir) == expected
    assert seeds(chosen(runs_dir, sort="tag"), runs_dir) == [1, 3, 0, 2]
    assert seeds(chosen(runs_dir, sort="tag", reverse=True), runs_dir) == [3, 1, 0, 2]


@pytest.mark.parametrize(
    ("key", "hint"),
    [
        ("batch_size", 'Did you mean "train.batch_size"?'),
        ("train.bach_size", 'Did you mean "train.batch_size"?'),
        ("lr", 'Did you mean "train.optimizer.Adam.learning_rate" or "train.optimizer.SGD.learning_rate"?'),
        ("acuracy", 'Did you mean "accuracy"?'),
        ("test_acuracy", 'Did you mean "test_accuracy"?'),
        (
            "xyzzy",
            "Keys are paths of config.yaml, such as train.batch_size, and results, such as accuracy, epochs or tag.",
        ),
    ],
)
def test_a_key_that_no_run_has(runs_dir: Path, key: str, hint: str) -> None:
    """Near ones are named, to sort by as to choose by, also where no run is left."""
    for options in ({"sort": key}, {"where": (f"{key}>0",)}, {"where": ("name=nobody", f"{key}=1")}):
        with pytest.raises(RunError, match=f'no run has "{key}"') as caught:
            chosen(runs_dir, *options.get("where", ()), sort=options.get("sort"))  # type: ignore[arg-type]
        assert caught.value.hint == hint


def test_a_metric_that_was_not_measured(tmp_path: Path) -> None:
    """How to measure it is told."""
    Run.create(tmp_path, "net", "name: net\n")
    with pytest.raises(RunError, match='no run has "test_accuracy"') as caught:
        chosen(tmp_path, sort="test_accuracy")
    assert caught.value.hint == "No run was evaluated on the test split: cnn eval RUN --split test"


def test_without_any_run_no_key_is_wrong(tmp_path: Path) -> None:
    """There is nothing to tell."""
    assert chosen(tmp_path, "nothing=1", sort="nothing") == Selected((), ())


def test_a_config_that_cannot_be_read_is_told(runs_dir: Path) -> None:
    """Its run has none of the keys; results need no config."""
    row = chosen(runs_dir, "name=b").rows[0]
    Path(row.run, "config.yaml").write_text("a: [", encoding="utf-8")
    found = chosen(runs_dir, sort="train.batch_size")
    assert [r.name for r in found.rows] == ["a", "a", "c", "b"]
    (note,) = found.notes
    assert note.startswith(f"damaged: {Path(row.run, 'config.yaml')}:1")
    assert chosen(runs_dir, sort="epochs").notes == ()


def test_values_are_told(runs_dir: Path) -> None:
    """Each row says what it has under the keys, in the document and in the table."""
    found = chosen(runs_dir, "train.optimizer=Adam", sort="train.optimizer.Adam.learning_rate")
    key = "train.optimizer.Adam.learning_rate"
    assert [row.to_json()["values"] for row in found.rows] == [
        {key: 3e-4, "train.optimizer": "Adam"},
        {key: 1e-3, "train.optimizer": "Adam"},
        {key: 0.01, "train.optimizer": "Adam"},
    ]
    table = [line.split() for line in runs_table(found.rows, (key, "train.optimizer")).lines()]
    assert table[0][-2:] == ["learning_rate", "optimizer"]
    assert [line[-2:] for line in table[2:]] == [["0.0003", "Adam"], ["0.001", "Adam"], ["0.01", "Adam"]]
    assert "values" not in rows(runs_dir)[0].to_json()
    json.dumps([row.to_json() for row in chosen(runs_dir, sort="tag").rows])


def test_columns_of_like_names_have_longer_ones(runs_dir: Path) -> None:
    """Two learning rates are told apart; what has a column already gets no second one."""
    keys = ("train.optimizer.Adam.learning_rate", "train.optimizer.SGD.learning_rate")
    head = runs_table(rows(runs_dir), keys).lines()[0].split()
    assert head[-2:] == ["Adam.learning_rate", "SGD.learning_rate"]
    assert runs_table(rows(runs_dir), ("train.epochs",)).lines()[0].split()[-1] == "train.epochs"
    for key in ("accuracy", "best_validation_accuracy", "params", "name", "status", "seconds", "epochs"):
        assert len(runs_table(rows(runs_dir), (key,)).columns) == 6


def test_what_is_sorted_by_is_shown_in_a_narrow_terminal(runs_dir: Path) -> None:
    """Other columns make room for it."""
    head = runs_table(rows(runs_dir), ("seconds", "seed")).lines(60)[0].split()
    assert head == ["run", "best", "val.", "acc.", "seconds", "seed"]


def test_names_are_values() -> None:
    """Of an optimizer or a layer; not where the names differ, as those of classes do."""
    flat = {
        "train.optimizer.Adam": {},
        "model.layers[0].Residual.layers[0].Conv2D.filters": 8,
        "data.classes.Cat": 0,
        "data.classes.Dog": 1,
        "seed": 1,
    }
    assert {key: value for key, value in with_names(flat).items() if key not in flat} == {
        "train.optimizer": "Adam",
        "model.layers[0]": "Residual",
        "model.layers[0].Residual.layers[0]": "Conv2D",
    }
