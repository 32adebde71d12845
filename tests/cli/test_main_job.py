"""The main job as a user runs it: train, evaluate, export, look, each in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "faults"))
import forked

pytestmark = pytest.mark.engine

ROOT = Path(__file__).parent.parent.parent


def cnn(
    *arguments: str, runs_dir: Path, expect: int = 0, shares_import: bool = True
) -> subprocess.CompletedProcess[str]:
    """Run `cnn` in a process of its own and check its exit code; the import of TensorFlow may be shared."""
    environment = {**os.environ, "CNN_RUNS_DIR": str(runs_dir), "NO_COLOR": "1", "COLUMNS": "100"}
    if shares_import:
        done = forked.run(forked.CNN, *arguments, cwd=ROOT, env=environment)
    else:
        command = [sys.executable, "-m", "cnncli", *arguments]
        done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=environment)
    assert done.returncode == expect, done.stderr
    assert "Traceback" not in done.stderr
    return done


@pytest.fixture(scope="module")
def runs_dir(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Train the default config once, as the README's first command does."""
    folder = tmp_path_factory.mktemp("runs")
    done = cnn("train", "digits_lenet", runs_dir=folder, shares_import=False)
    (folder / "stderr.txt").write_text(done.stderr, encoding="utf-8")
    run = Path(done.stdout.splitlines()[-1])
    assert run.is_dir()
    assert run.parent == folder / "digits_lenet"
    return folder


@pytest.fixture(scope="module")
def document(runs_dir: Path) -> dict[str, Any]:
    """Return what evaluating the run prints."""
    found: dict[str, Any] = json.loads(cnn("eval", "latest", "--json", runs_dir=runs_dir).stdout)
    return found


def test_digits_reach_97_percent(document: dict[str, Any]) -> None:
    """The default run classifies at least 97 % of the test digits rightly."""
    assert document["split"] == "test"
    assert document["num_examples"] == 355
    assert document["accuracy"] >= 0.97
    low, high = document["accuracy_interval"]
    assert low < document["accuracy"] < high


def test_stderr_has_one_line_an_epoch(runs_dir: Path) -> None:
    """Where there is no terminal, training writes one plain line an epoch and nothing else of TensorFlow's."""
    said = (runs_dir / "stderr.txt").read_text(encoding="utf-8")
    lines = said.splitlines()
    assert len([line for line in lines if line.startswith("epoch ")]) == 30
    # A machine that is busy says what takes so long, too: "preparing the network and the examples …".
    assert len([line for line in lines if not line.endswith(" …")]) == 31, said
    assert "\x1b" not in said


def test_run_directory_is_the_record(runs_dir: Path) -> None:
    """The run's files are there, and its metrics have a line for each epoch with every field."""
    run = next((runs_dir / "digits_lenet").iterdir())
    for name in ("config.yaml", "run.json", "metrics.jsonl", "summary.txt", "data.json", "best.json", "latest.json"):
        assert (run / name).stat().st_size > 0, name
    record = json.loads((run / "run.json").read_text())
    assert record["status"] == "done"
    assert record["seed"] == 0
    assert {"tensorflow", "keras", "numpy", "python"} <= record["versions"].keys()
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert [line["epoch"] for line in lines] == list(range(1, 31))
    for line in lines:
        assert line.keys() == {
            "epoch", "step", "learning_rate", "seconds", "images_per_second", "train", "validation",
        }  # fmt: skip
    assert "61,706" in (run / "summary.txt").read_text()


def test_eval_agrees_with_the_exported_model(runs_dir: Path, document: dict[str, Any]) -> None:
    """The best checkpoint's accuracy equals a NumPy count over the exported .keras model's predictions, exactly."""
    cnn("export", "digits_lenet", "--format", "keras", runs_dir=runs_dir)
    import keras

    model = keras.saving.load_model(next(runs_dir.glob("digits_lenet/*/export/*.keras")))
    with np.load(ROOT / "cnncli" / "datasets" / "digits.npz") as arrays:
        images, labels = arrays["x_test"], arrays["y_test"]
    predictions = model.predict(images.reshape(-1, 8, 8, 1), verbose=0)
    assert document["accuracy"] == np.mean(predictions.argmax(axis=1) == labels)


def test_json_stands_alone_on_stdout(runs_dir: Path) -> None:
    """`cnn train --json` prints one document with the contract's fields and nothing else."""
    done = cnn("train", "digits_lenet", "--set", "train.epochs=1", "--name", "j", "--json", runs_dir=runs_dir)
    document = json.loads(done.stdout)
    assert document.keys() == {"run", "status", "epochs", "best", "final"}
    assert document["status"] == "done"
    assert document["final"]["epoch"] == document["epochs"] == 1


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["train", "no_such.yaml"], "no_such.yaml"),
        (["train", "digits_lenet", "--set", "train.epoch=3"], 'Did you mean "epochs"'),
        (["train", "digits_lenet", "--set", "train.epochs=three"], "train.epochs"),
        (["train", "mnist_lenet5", "--set", "data.path=no_such.npz"], "no_such.npz"),
        (["eval", "no_such_run"], "no_such_run"),
    ],
    ids=["wrong path", "misspelt key", "text for a number", "missing data", "missing run"],
)
def test_mistakes_are_reported_in_a_few_lines(runs_dir: Path, arguments: list[str], expected: str) -> None:
    """A user's mistake gets a few lines that name it, exit code 1, and leaves no run behind."""
    before = sorted(runs_dir.rglob("run.json"))
    done = cnn(*arguments, runs_dir=runs_dir, expect=1, shares_import=False)
    assert expected in done.stderr
    assert 1 <= len(done.stderr.splitlines()) <= 12
    assert done.stdout == ""
    assert sorted(runs_dir.rglob("run.json")) == before


def test_wrong_usage_ends_with_2(runs_dir: Path) -> None:
    """An unknown option is wrong usage: exit code 2."""
    cnn("train", "digits_lenet", "--no-such-option", runs_dir=runs_dir, expect=2, shares_import=False)


def test_a_gpu_that_is_not_there_is_an_error(runs_dir: Path) -> None:
    """Who asks for a GPU is never given the CPU in silence."""
    import tensorflow as tf

    if tf.config.list_physical_devices("GPU"):
        pytest.skip("this machine has a GPU")
    done = cnn("train", "digits_lenet", "--device", "gpu", runs_dir=runs_dir, expect=1)
    assert "--device gpu" in done.stderr
    assert len(done.stderr.splitlines()) <= 3
