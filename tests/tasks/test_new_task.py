"""A task added from outside, in its four places: a run of it is exported, proven and used as one of classification."""

from __future__ import annotations

import csv
import json
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
from cnncli.errors import ExportError

sys.path.insert(0, str(Path(__file__).parent))
from ink_task import CONFIG, ink

sys.path.pop(0)

pytestmark = [pytest.mark.engine, pytest.mark.filterwarnings("ignore")]

__all__ = ["ink"]


@pytest.fixture(scope="module")
def run(ink: str, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Return a trained run of the task."""
    from cnncli.config.load import loads
    from cnncli.engine.training.train import train
    from cnncli.runs.events import Silence
    from cnncli.runs.run import Run

    return Run.open(Path(train(loads(CONFIG), tmp_path_factory.mktemp("runs"), Silence()).run))


@pytest.fixture(scope="module")
def amounts(run: Any) -> Callable[[np.ndarray], np.ndarray]:
    """Return what Keras computes of the run's network, for images of its size."""
    from cnncli.engine.evaluation.trained import load_trained

    model = load_trained(run).model
    return lambda images: model.predict(images / np.float32(255), verbose=0)[:, 0]


@pytest.fixture(scope="module")
def exported(run: Any) -> dict[str, dict[str, Any]]:
    """Return what `cnn export` says of a SavedModel and of a `.keras` file."""
    formats = ("--format", "keras", "--format", "saved_model")
    done = CliRunner().invoke(app, ["export", str(run.path), *formats, "--json"], catch_exceptions=False)
    return {row["format"]: row for row in json.loads(done.stdout)["artifacts"]}


@pytest.mark.parametrize("kind", ["keras", "saved_model"])
def test_artifacts_compute_what_the_run_computes(
    kind: str, exported: dict[str, dict[str, Any]], run: Any, amounts: Callable[[np.ndarray], np.ndarray]
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


def test_broken_artifact_is_refused(run: Any, exported: dict[str, dict[str, Any]]) -> None:
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


def test_formats_for_classes_say_so(run: Any) -> None:
    """A page and a script show classes: asked for by name they are an error."""
    for kind, what in (("web", "the page draws a bar for each class"), ("python", "the script names classes")):
        with pytest.raises(ExportError, match=f"{what}; this network's task is ink"):
            CliRunner().invoke(app, ["export", str(run.path), "--format", kind], catch_exceptions=False)


def test_predict(
    run: Any, exported: dict[str, dict[str, Any]], amounts: Callable[[np.ndarray], np.ndarray], tmp_path: Path
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
