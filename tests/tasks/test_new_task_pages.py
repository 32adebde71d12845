"""What is shown asks the task: one that is not classification has a page, a report, figures and a test of its own."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from cnncli.cli.app import app
from cnncli.config.load import load
from cnncli.errors import CnnError
from cnncli.report.html_page import report_page
from cnncli.runs.compare import compare
from cnncli.runs.events import Silence
from cnncli.runs.listing import rows
from cnncli.runs.run import Run
from cnncli.tasks.task import get_task

sys.path.insert(0, str(Path(__file__).parent))
from ink_pages import InkPages
from ink_task import CONFIG, InkTask, ink

sys.path.pop(0)

pytestmark = pytest.mark.engine

__all__ = ["ink"]


@pytest.fixture(scope="module")
def trained(ink: str, tmp_path_factory: pytest.TempPathFactory) -> list[Run]:
    """Return two runs of the task, of two seeds."""
    from cnncli.engine.training.train import train

    folder = tmp_path_factory.mktemp(ink)
    (folder / "ink.yaml").write_text(CONFIG, encoding="utf-8")
    quick = ("train.replay=true", "train.epochs=2", "train.batch_size=500")
    configs = [load(str(folder / "ink.yaml"), [*quick, f"seed={seed}"]) for seed in (0, 1)]
    return [Run.open(Path(train(config, folder, Silence()).run)) for config in configs]


@pytest.fixture
def cnn(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Return a function that runs a command in this process."""
    from cnncli.cli.console import err, out

    monkeypatch.setenv("COLUMNS", "100")

    def run(*arguments: str) -> Any:
        out.cache_clear()
        err.cache_clear()
        return CliRunner().invoke(app, list(arguments))

    return run


def test_eval_prints_the_page_of_the_task(trained: list[Run], cnn: Callable[..., Any]) -> None:
    """The number on it is the error of the predictions in the CSV file."""
    done = cnn("eval", str(trained[0].path), "--split", "validation")
    lines = trained[0].predictions_file("validation").read_text(encoding="utf-8").splitlines()[1:]
    numbers = np.array([[float(cell) for cell in line.split(",")[1:]] for line in lines])
    expected = np.abs(numbers[:, 0] - numbers[:, 1]).mean()
    assert done.output.strip() == f"mean absolute error {expected:.4f} on validation"


def test_invariance_of_no_classes_is_refused(trained: list[Run], cnn: Callable[..., Any]) -> None:
    """A profile is of classes."""
    done = cnn("eval", str(trained[0].path), "--split", "validation", "--invariance")
    assert "there is no invariance profile of ink" in str(done.exception)


def test_report_has_the_sections_and_curves_of_the_task(trained: list[Run]) -> None:
    """Its own section and tile, charts of its metrics, attribution of its score, the replay of its predictions."""
    from cnncli.engine.inspection.report import collect

    run = trained[0]
    material = collect(run)
    page = report_page(material, InkPages().sections())
    examples = run.passport()["num_examples"]["validation"]
    assert f"<p>{examples} images with ink</p>" in page
    assert f'{{"ink":{examples},"replay":' in page.replace(" ", "")
    assert "<dt>Mean absolute error</dt>" in page
    assert 'aria-label="Mean absolute error' in page
    assert 'aria-label="Accuracy' not in page
    assert "the more optimistic its mean absolute error" in page
    assert not [word for word in ("Confusion", "accuracy", "Calibration") if word in page]
    assert material.pictures.replay is not None
    last = material.pictures.replay.frames[-1].predictions
    assert len(last) == 10
    assert all(text.endswith(" ink") for text, _ in last)
    assert [heat.caption.split(", ")[1].split(" ")[0] for heat in material.pictures.heats] == ["predicted"] * 9


def test_show_draws_what_the_task_has_and_names_it(trained: list[Run], cnn: Callable[..., Any]) -> None:
    """A picture of another task is an error that lists this one's."""
    from cnncli.engine.inspection.figures import Choice, draw
    from cnncli.engine.inspection.network import InspectedNetwork

    network = InspectedNetwork(trained[0].config(), trained[0])
    for kind in ("scatter", "gradcam", "saliency", "activations"):
        assert draw(kind, network, Choice(split="validation")).axes
    done = cnn("show", str(trained[0].path), "confusion")
    assert isinstance(done.exception, CnnError)
    assert done.exception.message == 'there is no picture "confusion" of ink'
    kinds = "kernels, activations, gradcam, saliency, scatter, augmentation, schedule, receptive_field"
    assert done.exception.hint == f"There are: {kinds}."


def test_saliency_is_of_the_task_s_score(trained: list[Run]) -> None:
    """Here the gradient of the one output, by a tape around the network."""
    import tensorflow as tf

    from cnncli.engine.inspection.attribution import saliency
    from cnncli.engine.inspection.network import InspectedNetwork

    network = InspectedNetwork(trained[0].config(), trained[0])
    shown = network.examples("validation", 0, 1)
    model, preprocessing = network.trained.model, network.trained.preprocessing
    inputs = tf.Variable(preprocessing.to_float(tf.constant(shown.pixels)))
    with tf.GradientTape() as tape:
        number = model(inputs)[0, 0]
    expected = np.abs(np.asarray(tape.gradient(number, inputs)))[0, ..., 0]
    found = saliency(model, preprocessing, shown.pixels, network.score(shown).weights)[0]
    assert found == pytest.approx(expected / expected.max(), abs=1e-5)


def test_runs_are_compared_by_the_task(trained: list[Run], cnn: Callable[..., Any]) -> None:
    """The lowest error is the best, and the test is the task's own; its list is in the JSON beside McNemar's."""
    from cnncli.engine.evaluation.evaluate import EvaluationOptions, evaluate_run

    documents = [evaluate_run(run, EvaluationOptions("best", "test"))[1] for run in trained]
    found = compare(trained, get_task)
    lowest = [min(line["validation"]["mean_absolute_error"] for line in run.metrics()) for run in trained]
    assert list(found.metrics["best_validation_mean_absolute_error"]) == lowest
    assert list(found.metrics["test_mean_absolute_error"]) == [
        document["mean_absolute_error"] for document in documents
    ]
    assert "best_validation_accuracy" not in found.metrics
    first, second = (InkTask().read_rows(run.predictions_file("test")) for run in trained)
    assert first is not None
    assert second is not None
    nearer = {"first_nearer": int((first < second).sum()), "second_nearer": int((second < first).sum())}
    document = found.to_json()
    assert document["mcnemar"] == []
    assert document["sign_test"] == [{"first": trained[0].id, "second": trained[1].id, **nearer}]
    text = cnn("compare", *(str(run.path) for run in trained)).output
    assert "Sign test, test split  1st nearer  2nd nearer" in text
    assert "p is a coin's." in text


def test_runs_are_listed_by_their_own_metric(trained: list[Run], cnn: Callable[..., Any]) -> None:
    """The JSON has a key of its name; a table of runs of two tasks names each."""
    folder = trained[0].path.parent.parent
    row = rows(folder)[0]
    assert row.to_json()["best_validation_mean_absolute_error"] == min(
        line["validation"]["mean_absolute_error"] for line in Run.open(Path(row.run)).metrics()
    )
    assert "best val. mean_absolute_error" in cnn("runs", "--runs-dir", str(folder)).output
    other = Run.create(folder, "classes", "name: classes\n")
    other.append_metrics({"epoch": 1, "validation": {"accuracy": 0.5}})
    text = cnn("runs", "--runs-dir", str(folder)).output
    assert "accuracy 0.5000" in text
    assert f"mean_absolute_error {row.best:.4f}" in text


def test_training_ends_with_the_curves_of_the_task(trained: list[Run], cnn: Callable[..., Any], tmp_path: Path) -> None:
    """The terminal shows the task's metrics, and which epoch was best by the primary one."""
    path = tmp_path / "ink.yaml"
    path.write_text(CONFIG, encoding="utf-8")
    lines = cnn("train", str(path), "--runs-dir", str(tmp_path)).stdout.splitlines()
    assert [line.split()[0] for line in lines[:4:2]] == ["loss", "mean_absolute_error"]
    (run,) = (tmp_path / "ink").iterdir()
    record = json.loads((run / "run.json").read_text(encoding="utf-8"))
    best = f"best epoch {record['best']['epoch']}: validation mean absolute error {record['best']['value']:.4f}"
    assert best in lines
    assert [metric["name"] for metric in record["metrics"]] == ["loss", "mean_absolute_error"]
