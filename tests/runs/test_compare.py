"""Runs side by side."""

from __future__ import annotations

import json
import random
import shutil
from pathlib import Path
from statistics import stdev

import pytest
from PIL import Image

from cnncli.config.load import load
from cnncli.config.schema.schema import Data
from cnncli.datasets import load as load_splits
from cnncli.errors import ConfigError, RunError
from cnncli.report.runs import comparison_lines
from cnncli.runs.compare import Comparison
from cnncli.runs.compare import compare as compare_runs
from cnncli.runs.run import Run
from cnncli.tasks.classification.mcnemar import exact_p_value, mcnemar, read_outcomes
from cnncli.tasks.task import get_task

CONFIG = """name: {name}
seed: {seed}
model:
  layers:
    - Conv2D: {{filters: {filters}, kernel_size: [3, 3]}}
    - Flatten
train: {{epochs: 2, optimizer: {{Adam: {{learning_rate: 1e-3}}}}}}
"""


def compare(runs: list[Run]) -> Comparison:
    """Compare runs with the tests of their tasks."""
    return compare_runs(runs, get_task)


def make(runs_dir: Path, seed: int, accuracy: float, filters: int = 8, name: str = "net") -> Run:
    """Make a run that was trained for two epochs and evaluated."""
    run = Run.create(
        runs_dir, name, CONFIG.format(name=name, seed=seed, filters=filters), {"total_params": 100 * filters}
    )
    for epoch in (1, 2):
        line = {"epoch": epoch, "seconds": 2.0, "train": {"loss": 1.0}, "validation": {"accuracy": accuracy / epoch}}
        run.append_metrics(line)
    run.write_json(run.evaluation_file("test"), {"accuracy": accuracy - 0.1, "loss": 0.5})
    return run


def answer(run: Run, right: list[bool], first: int = 0) -> None:
    """Write predictions of class 1 for examples whose class is 1 where the answer is right."""
    lines = [f"{first + i},{int(is_right)},1,0.9,0.5" for i, is_right in enumerate(right)]
    run.write_text(run.predictions_file("test"), "\n".join(["index,true,predicted,probability,margin", *lines]) + "\n")


def test_only_what_differs_in_the_configs_is_shown(tmp_path: Path) -> None:
    """With the path at which it stands."""
    comparison = compare([make(tmp_path, 0, 0.9), make(tmp_path, 1, 0.8, filters=16)])
    assert comparison.config == {"seed": (0, 1), "model.layers[0].Conv2D.filters": (8, 16)}


def test_results_stand_side_by_side(tmp_path: Path) -> None:
    """Best and last epoch, evaluation, size and time; null where a run has none."""
    first, second = make(tmp_path, 0, 0.9), make(tmp_path, 1, 0.8, filters=16)
    first.evaluation_file("test").unlink()
    document = compare([first, second]).to_json()
    rows = {row["key"]: row["values"] for row in document["rows"] if row["kind"] == "metric"}
    assert rows == {
        "epochs": [2, 2],
        "best_validation_accuracy": [0.9, 0.8],
        "final_train_loss": [1.0, 1.0],
        "final_validation_accuracy": [0.45, 0.4],
        "seconds": [4.0, 4.0],
        "total_params": [800, 1600],
        "test_accuracy": [None, 0.8 - 0.1],
        "test_loss": [None, 0.5],
    }
    assert document["runs"] == [first.id, second.id]
    assert json.loads(json.dumps(document, allow_nan=False)) == document


def test_repetitions_are_averaged_over_seeds(tmp_path: Path) -> None:
    """Runs that differ in seed and name alone; others are left out."""
    values = (0.9, 0.8, 0.85)
    runs = [make(tmp_path, seed, value) for seed, value in enumerate(values)]
    comparison = compare([*runs, make(tmp_path, 7, 0.1, filters=16)])
    (group,) = comparison.groups
    assert group.runs == tuple(run.id for run in runs)
    assert group.metrics["best_validation_accuracy"] == (pytest.approx(0.85), pytest.approx(stdev(values)), 3)


def test_keys_in_another_order_are_the_same_experiment(tmp_path: Path) -> None:
    """A config says the same in whatever order its keys are written."""
    runs = [make(tmp_path, seed, 0.9) for seed in (0, 1)]
    runs[0].config_file.write_text("a: 1\nb: {c: 2, d: 3}\nseed: 0\n", encoding="utf-8")
    runs[1].config_file.write_text("seed: 1\nb: {d: 3, c: 2}\na: 1\n", encoding="utf-8")
    assert [group.runs for group in compare(runs).groups] == [tuple(run.id for run in runs)]


def test_another_name_is_the_same_experiment(tmp_path: Path) -> None:
    """Runs of one config under several names are averaged; a single run is no group."""
    first, second = make(tmp_path, 0, 0.9), make(tmp_path, 0, 0.7, name="again")
    other = make(tmp_path, 0, 0.1, filters=16)
    (group,) = compare([first, second, other]).groups
    assert group.runs == (f"net/{first.id}", f"again/{second.id}")
    assert group.to_json()["metrics"]["best_validation_accuracy"] == {
        "mean": pytest.approx(0.8),
        "sd": pytest.approx(stdev([0.9, 0.7])),
        "n": 2,
    }


def test_mcnemar_counts_where_two_runs_differ(tmp_path: Path) -> None:
    """On the same examples, in whatever order they were written."""
    first, second, other = (make(tmp_path, seed, 0.9) for seed in range(3))
    answer(first, [True, True, True, False, False, True])
    answer(second, [True, False, True, False, True, False])
    answer(other, [True] * 6, first=100)
    comparison = compare([first, second, other])
    assert comparison.pairs == ()  # The examples' true classes are not the same.
    lines = "index,predicted,true\n{}\n"
    first.write_text(first.predictions_file("test"), lines.format("a,1,1\nb,0,1\nc,1,1\nd,1,1"))
    second.write_text(second.predictions_file("test"), lines.format("d,0,1\nc,0,1\nb,1,1\na,1,1"))
    (pair,) = compare([first, second, other]).pairs
    assert (pair.result.only_first, pair.result.only_second, pair.result.p_value) == (2, 1, 1.0)


def test_a_zip_has_the_examples_of_its_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The archive of a folder holds that folder, so its names are longer: McNemar's test takes them for the same."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for number in range(12):
        file = tmp_path / "photos" / ("cat", "dog")[number % 2] / f"{number}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (4, 4), 20 * number).save(file)
    archive = shutil.make_archive(str(tmp_path / "packed"), "zip", tmp_path, "photos")
    outcomes, named = [], []
    for path in (str(tmp_path / "photos"), archive):
        data = Data(source="folder", path=path, image_size=(4, 4), test=0.4, validation=0)
        config = load("digits_lenet").model_copy(update={"data": data, "nodes": ()})
        test = load_splits(config).named("test")
        lines = [f"{name},{Path(name).parent.name},{('cat', 'dog')[len(outcomes)]}" for name in test.ids]
        (tmp_path / "predictions.csv").write_text("\n".join(["example,true,predicted", *lines]), encoding="utf-8")
        outcomes.append(read_outcomes(tmp_path / "predictions.csv"))
        named.append(test.ids)
    assert [f"photos/{name}" for name in named[0]] == list(named[1])
    first, second = outcomes
    assert first is not None
    assert second is not None
    result = mcnemar(first, second)
    assert result is not None
    assert result.only_first + result.only_second == len(named[0])  # one always says cat, the other dog


def test_predictions_without_the_columns_are_reported(tmp_path: Path) -> None:
    """With the file's name."""
    path = tmp_path / "predictions-test.csv"
    assert read_outcomes(path) is None
    for text in ("", "file,label\n1,2\n", "file,true,predicted\n1\n"):
        path.write_text(text, encoding="utf-8")
        with pytest.raises(RunError, match=r"predictions-test\.csv"):
            read_outcomes(path)


def test_one_run_is_too_few(tmp_path: Path) -> None:
    """Two are expected."""
    with pytest.raises(RunError, match="at least two"):
        compare([make(tmp_path, 0, 0.5)])


def test_files_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    """The config that is gone, the evaluation that is damaged; a config is reported with its place."""
    runs = [make(tmp_path, seed, 0.5) for seed in (0, 1)]
    assert compare(runs).to_json()["mcnemar"] == []
    for damage in ("{", "[]", '{"accuracy": 1.0}'):
        runs[0].evaluation_file("test").write_text(damage, encoding="utf-8")
        with pytest.raises(RunError, match=r"evaluation-test\.json cannot be read"):
            compare(runs)
    runs[0].evaluation_file("test").unlink()
    runs[1].config_file.write_text("name: [", encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        compare(runs)
    assert str(runs[1].config_file) in str(caught.value)
    runs[1].config_file.unlink()
    with pytest.raises(RunError, match=r"config\.yaml cannot be read: No such file"):
        compare(runs)


def test_two_runs_are_enough_and_lists_are_compared_item_by_item(tmp_path: Path) -> None:
    """A list of numbers is one value; mappings that are empty are values too; a key that is not there is None."""
    runs = [make(tmp_path, 0, 0.5) for _ in range(2)]
    texts = ("a: {}\nb: [1, 2]\nc: [{d: 1}, [2]]\ne: 5\n", "a: {f: 1}\nb: [1, 3]\nc: [{d: 1}, [3]]\n")
    for run, text in zip(runs, texts, strict=True):
        run.config_file.write_text(text, encoding="utf-8")
    assert compare(runs).config == {
        "a": ({}, None),
        "b": ([1, 2], [1, 3]),
        "c[1]": ([2], [3]),
        "e": (5, None),
        "a.f": (None, 1),
    }


def test_the_exact_p_value_is_scipys() -> None:
    """Over all small tables and some large ones."""
    stats = pytest.importorskip("scipy.stats")
    rng = random.Random(0)
    tables = [(b, c) for b in range(15) for c in range(15) if b + c]
    tables += [(rng.randrange(3000), rng.randrange(3000)) for _ in range(50)]
    for b, c in tables:
        expected = stats.binomtest(b, b + c, 0.5).pvalue
        assert exact_p_value(b, c) == pytest.approx(expected, rel=1e-9, abs=1e-300), (b, c)
    assert exact_p_value(0, 0) == 1


def test_the_test_is_symmetric() -> None:
    """Which run comes first does not matter."""
    assert exact_p_value(3, 17) == exact_p_value(17, 3)


def test_mcnemar_of_equal_predictions_says_nothing(tmp_path: Path) -> None:
    """P is 1."""
    run = make(tmp_path, 0, 0.9)
    answer(run, [True, False])
    outcomes = read_outcomes(run.predictions_file("test"))
    assert outcomes is not None
    result = mcnemar(outcomes, outcomes)
    assert result is not None
    assert (result.only_first, result.only_second, result.p_value) == (0, 0, 1.0)


def test_the_page_fits_60_columns(tmp_path: Path) -> None:
    """Also with long values and several runs."""
    runs = [make(tmp_path, 123_456_789 + i, 0.9, filters=8 + i) for i in range(9)]
    for run in runs[:2]:
        answer(run, [True] * 3)
    lines = []
    for part in comparison_lines(compare(runs), 60):
        lines += part.splitlines() if isinstance(part, str) else part.lines(60)
    assert max(map(len, lines)) <= 60
    text = "\n".join(lines)
    assert "best_validation_accuracy" in text
    assert "A vs B" in text
    assert text.count("123456789") == text.count("123456797") == 1
