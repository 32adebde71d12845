"""A task added from outside, in its four places: trained, resumed, evaluated and exported as classification is."""

from __future__ import annotations

import csv
import json
import signal
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from cnncli.cli.app import app
from cnncli.config.load import loads
from cnncli.errors import ExportError
from cnncli.runs.evaluations import KeptEvaluation
from cnncli.runs.events import Silence, StepsDone
from cnncli.runs.run import Run
from cnncli.tasks.task import get_task

sys.path.insert(0, str(Path(__file__).parent))
from ink_task import CONFIG, ink, registered

sys.path.pop(0)

pytestmark = [pytest.mark.engine, pytest.mark.filterwarnings("ignore")]

__all__ = ["ink"]


class StopAt(Silence):
    """Asks the run to stop once it has taken a number of steps."""

    def __init__(self, steps: int) -> None:
        self._left = steps

    def steps_done(self, event: StepsDone) -> None:
        """Send this process the signal that Ctrl-C sends."""
        self._left -= 1
        if self._left == 0:
            signal.raise_signal(signal.SIGINT)


def contents() -> tuple[dict[tuple[str, ...], int], dict[int, dict[Any, int]]]:
    """Return what every name in the package's modules and classes stands for, and what every dictionary holds."""
    names: dict[tuple[str, ...], int] = {}
    held: dict[int, dict[Any, int]] = {}
    for module in [module for name, module in sys.modules.items() if name.partition(".")[0] == "cnncli"]:
        for name, value in vars(module).items():
            names[module.__name__, name] = id(value)
            if isinstance(value, type) and value.__module__ == module.__name__:
                names |= {(module.__name__, name, key): id(member) for key, member in vars(value).items()}
            if isinstance(value, dict):
                held[id(value)] = {key: id(each) for key, each in value.items()}
    return names, held


def metrics_of(run: Path) -> list[dict[str, Any]]:
    """Return a run's metrics without what the clock decides."""
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    return [{key: line[key] for key in line if key not in ("seconds", "images_per_second")} for line in lines]


@pytest.fixture(scope="module")
def run(ink: str, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Return a trained run of the task."""
    from cnncli.engine.training.train import train

    return Run.open(Path(train(loads(CONFIG), tmp_path_factory.mktemp(ink), Silence()).run))


@pytest.fixture(scope="module")
def amounts(run: Run) -> Callable[[np.ndarray], np.ndarray]:
    """Return what Keras computes of the run's network, for images of its size."""
    from cnncli.engine.evaluation.trained import load_trained

    model = load_trained(run).model
    return lambda images: model.predict(images / np.float32(255), verbose=0)[:, 0]


@pytest.fixture(scope="module")
def exported(run: Run) -> dict[str, dict[str, Any]]:
    """Return what `cnn export` says of a SavedModel and of a `.keras` file."""
    formats = ("--format", "keras", "--format", "saved_model")
    done = CliRunner().invoke(app, ["export", str(run.path), *formats, "--json"], catch_exceptions=False)
    return {row["format"]: row for row in json.loads(done.stdout)["artifacts"]}


def test_a_task_is_added_in_four_places() -> None:
    """Each of its four registries has one more entry, and nothing else of the package is another object than before."""
    from cnncli.config.schema import tasks as specs
    from cnncli.datasets import targets
    from cnncli.engine.tasks import objective
    from cnncli.tasks import task

    names, before = contents()
    with registered() as ink:
        names_meanwhile, meanwhile = contents()
    assert names_meanwhile == names
    changed = [registry for registry in before if meanwhile[registry] != before[registry]]
    registries = (specs.TASKS, targets.TARGETS, task.TASKS, objective.OBJECTIVES)
    assert sorted(changed) == sorted(map(id, registries))
    assert all(meanwhile[each].keys() - before[each].keys() == {ink} for each in changed)
    assert contents() == (names, before)


def test_training_is_judged_by_the_task_s_metrics(run: Run, amounts: Callable[[np.ndarray], np.ndarray]) -> None:
    """Every epoch has the metrics of the spec; the best one has the lowest error, which Keras computes as well."""
    from cnncli.datasets import load

    lines = metrics_of(run.path)
    assert [list(line["validation"]) for line in lines] == [["loss", "mean_absolute_error"]] * 4
    assert all({"loss", "mean_absolute_error"} <= line["train"].keys() for line in lines)
    errors = [line["validation"]["mean_absolute_error"] for line in lines]
    best = run.record["best"]
    assert (best["monitor"], best["value"]) == ("validation_mean_absolute_error", min(errors))
    assert best["epoch"] == 1 + int(np.argmin(errors)) != 1 + int(np.argmax(errors))
    split = load(run.config()).named("validation")
    found = np.abs(amounts(split.images) - split.images.mean((1, 2, 3)) / 255).mean()
    assert found == pytest.approx(min(errors), abs=1e-6)


def test_early_stopping_waits_for_a_lower_error(ink: str, run: Run, tmp_path: Path) -> None:
    """It monitors the primary metric: no error falls by 0.3, so it stops; each that falls at all lets it go on."""
    from cnncli.engine.training.train import train

    rule = "train.early_stopping={patience: 1, min_delta: 0.3}"
    config = loads(CONFIG, overrides=[rule])
    assert config.train.early_stopping is not None
    assert config.train.early_stopping.monitor == "validation_mean_absolute_error"
    stopped = train(config, tmp_path, Silence())
    assert (stopped.status, stopped.epochs) == ("done", 2)
    assert metrics_of(Path(stopped.run)) == metrics_of(run.path)[:2]
    errors = [line["validation"]["mean_absolute_error"] for line in metrics_of(run.path)]
    assert errors[1] < errors[0]
    impatient = train(loads(CONFIG, overrides=["train.early_stopping={patience: 1}"]), tmp_path, Silence())
    risen = [epoch for epoch in range(2, 5) if errors[epoch - 1] >= min(errors[: epoch - 1])]
    assert impatient.epochs == min(risen, default=4)


def test_a_stopped_run_ends_bit_identical(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stopped in the second epoch and resumed, it has the metrics and the last checkpoint of the run that was not."""
    from cnncli.engine.training import pace
    from cnncli.engine.training.train import resume, train

    monkeypatch.setattr(pace.Pace, "measured", lambda self, batches, seconds: None)
    stopped = train(loads(CONFIG), tmp_path, StopAt(30))
    assert (stopped.status, stopped.epochs) == ("interrupted", 1)
    again = Run.open(Path(stopped.run))
    assert resume(again, again.config(), Silence()).status == "done"
    assert metrics_of(again.path) == metrics_of(run.path)
    newest = [max((each.path / "checkpoints").glob("step-*")) for each in (again, run)]
    assert newest[0].name == newest[1].name
    assert (newest[0] / "arrays.bin").read_bytes() == (newest[1] / "arrays.bin").read_bytes()
    assert again.record["best"] == run.record["best"]


def test_eval(run: Run, amounts: Callable[[np.ndarray], np.ndarray]) -> None:
    """`cnn eval` prints and keeps the task's scores, which are scikit-learn's, and writes each example's prediction."""
    from sklearn import metrics

    from cnncli.datasets import load

    done = CliRunner().invoke(app, ["eval", str(run.path), "--split", "test", "--json"], catch_exceptions=False)
    document = json.loads(done.stdout)
    split = load(run.config()).named("test")
    inks, found = split.images.mean((1, 2, 3)) / 255, amounts(split.images)
    assert document["loss"] == pytest.approx(metrics.mean_squared_error(inks, found), rel=1e-4)
    assert document["mean_absolute_error"] == pytest.approx(metrics.mean_absolute_error(inks, found), rel=1e-4)
    assert document["num_examples"] == len(split)
    kept = json.loads((run.path / "evaluation-test.json").read_text(encoding="utf-8"))
    assert kept["mean_absolute_error"] == document["mean_absolute_error"]
    with (run.path / "predictions-test.csv").open(encoding="utf-8", newline="") as file:
        lines = list(csv.DictReader(file))
    np.testing.assert_allclose([float(line["true"]) for line in lines], inks, rtol=1e-6)
    np.testing.assert_allclose([float(line["predicted"]) for line in lines], found, atol=1e-5)
    fold = KeptEvaluation(kept, run.path / "predictions-test.csv")
    joined = get_task("ink").out_of_fold([fold, fold])
    assert joined.scalars()["mean_absolute_error"] == pytest.approx(document["mean_absolute_error"])


@pytest.mark.parametrize("kind", ["keras", "saved_model"])
def test_artifacts_compute_what_the_run_computes(
    kind: str, exported: dict[str, dict[str, Any]], run: Run, amounts: Callable[[np.ndarray], np.ndarray]
) -> None:
    """They pass the gate, which measures the task's own score, and open as networks of the task."""
    from cnncli.datasets import load
    from cnncli.engine.exporting.open import open_artifact

    row = exported[kind]
    split = load(run.config()).named("test")
    error = np.abs(amounts(split.images) - split.images.mean((1, 2, 3)) / 255).mean()
    assert row["max_abs_diff"] <= 1e-5
    assert row["max_log_diff"] is None
    assert row["agreement"] == 1
    assert row["mean_absolute_error"] == pytest.approx(error, abs=1e-6)
    assert row["run_mean_absolute_error"] == pytest.approx(error, abs=1e-6)
    assert row["mean_absolute_error_drop"] == 0
    artifact = open_artifact(Path(row["path"]))
    assert artifact.description.task == "ink"
    assert artifact.outputs(split.images).keys() == {"ink"}
    np.testing.assert_allclose(artifact.outputs(split.images)["ink"], amounts(split.images), atol=1e-5)


def test_keras_alone_computes_the_same(
    exported: dict[str, dict[str, Any]], amounts: Callable[[np.ndarray], np.ndarray]
) -> None:
    """The `.keras` file holds Keras's own layers only, and returns the task's output."""
    import keras

    images = np.random.default_rng(0).integers(0, 256, (5, 8, 8, 1), dtype=np.uint8)
    model = keras.models.load_model(exported["keras"]["path"])
    np.testing.assert_allclose(np.asarray(model(images)), amounts(images), atol=1e-5)


def test_broken_artifact_is_refused(run: Run, exported: dict[str, dict[str, Any]]) -> None:
    """An artifact that is a thousandth off is refused in the task's words; so is one that costs too much."""
    from cnncli.datasets import load
    from cnncli.engine.evaluation.trained import load_trained
    from cnncli.engine.exporting import parity
    from cnncli.engine.exporting.open import open_artifact
    from cnncli.engine.exporting.proof import Proof
    from cnncli.engine.exporting.source import Source

    trained = load_trained(run)
    source = Source.of(run, trained, load(trained.config, trained.classes))
    artifact = open_artifact(Path(exported["keras"]["path"]))
    off = replace(artifact, runtime=lambda images: {"ink": artifact.runtime(images)["ink"] + np.float32(1e-3)})
    compared = parity.compare(off, Proof(source, 50), source.task.parity)
    with pytest.raises(ExportError, match=r"an amount of ink differs by 0\.001 .* the same amount of ink"):
        parity.check(compared, parity.EXACT, "x")
    worse = replace(compared, score=replace(compared.score, artifact=0.75, run=0.5, drop=0.25, interval=(0.1, 0.4)))
    told = r"mean absolute error 0\.75 instead of 0\.5 \(95 % interval of the difference 0\.1 to 0\.4\); allowed: 0\.2"
    with pytest.raises(ExportError, match=told) as caught:
        parity.check(worse, parity.Tolerance(None, None, 0.2), "x")
    assert "--max-drop sets the allowed drop in hundredths" in caught.value.hint


def test_formats_that_do_not_know_the_task_say_so(run: Run) -> None:
    """A page and a script show predictions of known tasks: asked for by name they are an error."""
    for kind in ("web", "python"):
        with pytest.raises(ExportError, match=f"{kind} is for classification.*; this network's task is ink"):
            CliRunner().invoke(app, ["export", str(run.path), "--format", kind], catch_exceptions=False)


def test_predict(
    run: Run, exported: dict[str, dict[str, Any]], amounts: Callable[[np.ndarray], np.ndarray], tmp_path: Path
) -> None:
    """`cnn predict` prints the task's predictions of a run and of its artifact, as JSON, as CSV and as a table."""
    images = np.random.default_rng(1).integers(0, 256, (3, 8, 8, 1), dtype=np.uint8)
    for number, pixels in enumerate(images):
        Image.fromarray(pixels[..., 0]).save(tmp_path / f"{number}.png")
    expected = amounts(images)
    for network in (str(run.path), exported["keras"]["path"]):
        command = ["predict", network, str(tmp_path), "--csv", str(tmp_path / "ink.csv")]
        document = json.loads(CliRunner().invoke(app, [*command, "--json"], catch_exceptions=False).stdout)
        found = [one["predictions"][0]["ink"] for one in document]
        assert found == pytest.approx(expected.tolist(), abs=1e-5)
        with (tmp_path / "ink.csv").open(encoding="utf-8", newline="") as file:
            lines = list(csv.DictReader(file))
        assert [float(line["ink"]) for line in lines] == found
        assert [Path(line["file"]).name for line in lines] == ["0.png", "1.png", "2.png"]
        table = CliRunner().invoke(app, command, catch_exceptions=False).stdout.splitlines()
        assert table[0].split() == ["File", "Ink"]
        assert table[2].split()[-1] == f"{expected[0]:.3f}"
