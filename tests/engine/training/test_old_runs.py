"""A run that cnncli 0.1.0 wrote: it opens, is measured, goes on and is shown as it was then."""

from __future__ import annotations

import csv
import shutil
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cnncli.runs.find import find
from cnncli.runs.run import Run

pytestmark = pytest.mark.engine
PACKED = Path(__file__).with_name("run_of_0.1.0.zip")


@pytest.fixture
def old(tmp_path: Path) -> Run:
    """Return a copy of the run: two epochs of a convolution with batch normalization, running averages and a replay."""
    with zipfile.ZipFile(PACKED) as packed:
        packed.extractall(tmp_path / "runs")
    return find("old_version", tmp_path / "runs")


def rows(run: Run) -> list[tuple[str, ...]]:
    """Return example, true and predicted class of every line of the validation split's predictions."""
    with run.predictions_file("validation").open(encoding="utf-8", newline="") as file:
        return [(line["example"], line["true"], line["predicted"]) for line in csv.DictReader(file)]


def test_it_is_measured_as_it_was(old: Run) -> None:
    """Loss and accuracy are those of its metrics, and every prediction is the same."""
    from cnncli.engine.evaluation.evaluate import EvaluationOptions, evaluate_run

    recorded, before = old.metrics()[-1]["validation"], rows(old)
    _, document = evaluate_run(old, EvaluationOptions("last", "validation"))
    assert document["accuracy"] == recorded["accuracy"]
    assert document["loss"] == pytest.approx(recorded["loss"], abs=1e-5)
    assert rows(old) == before


def test_it_goes_on(old: Run) -> None:
    """A third epoch is added to the two, and nothing of these changes."""
    from cnncli.config.load import load
    from cnncli.engine.training.train import resume
    from cnncli.runs.events import Silence

    before, steps = old.metrics(), old.checkpoints.latest().step
    with old.lock():
        result = resume(old, load(old.config_file, ["train.epochs=3"]), Silence())
    assert (result.status, result.epochs) == ("done", 3)
    assert old.metrics()[:2] == before
    assert old.checkpoints.latest().step == steps * 3 // 2
    third = old.metrics()[2]
    assert set(third["train"]) == {"loss", "accuracy", "regularization_loss"}
    assert np.isfinite(list(third["train"].values())).all()


def test_its_checkpoint_holds_the_same_arrays_as_one_of_today(old: Run, tmp_path: Path) -> None:
    """Names, shapes and types of all arrays, trained anew from the run's own config."""
    from cnncli.config.load import load
    from cnncli.engine.training.train import train
    from cnncli.runs.events import Silence

    config = load(old.config_file, ["train.epochs=1"])
    new = Run.open(Path(train(config, tmp_path / "new", Silence()).run))

    def forms(run: Run) -> dict[str, Any]:
        arrays = run.checkpoints.latest().arrays
        return {name: (array.shape, array.dtype) for name, array in arrays.items()}

    assert forms(new) == forms(old)
    assert new.config_file.read_text() == old.config_file.read_text().replace("epochs: 2", "epochs: 1")


def test_its_replay_and_its_export_are_read(old: Run) -> None:
    """Frames of every epoch, and a Keras file that predicts what the run predicts."""
    from cnncli.cli.artifact import open_artifact
    from cnncli.engine.evaluation.evaluate import EvaluationOptions, evaluate
    from cnncli.engine.training.replay import read_frames
    from cnncli.serving.evaluate import evaluate_artifact

    assert [frame.epoch for frame in read_frames(old)] == [0, 1, 2]
    (exported,) = old.export_dir.glob("*.keras")
    found, _ = evaluate_artifact(open_artifact(exported), exported, "validation", None, old.path.parent.parent)
    plain = evaluate(old, EvaluationOptions("best", "validation")).result
    assert found.result.scalars() == pytest.approx(plain.scalars(), abs=1e-5)
    shutil.rmtree(old.export_dir)


def test_it_tells_unlike_images_once_it_is_measured(old: Run) -> None:
    """Its checkpoints have no thresholds for images unlike those of training; `cnn eval` takes them."""
    from cnncli.engine.evaluation.evaluate import EvaluationOptions, evaluate_run
    from cnncli.engine.evaluation.trained import load_trained

    assert load_trained(old, "last").detector is None
    _, document = evaluate_run(old, EvaluationOptions("last", "validation"))
    assert load_trained(old, "last").detector.to_json() == document["ood_detector"]
    assert document["ood_detector"]["num_examples"] == document["num_examples"]


@pytest.fixture
def run_of_many_outputs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Return a run as versions before the check of the outputs made it: 14 outputs for ten digits, hardly trained."""
    from cnncli.config.load import loads
    from cnncli.datasets.splits import Splits
    from cnncli.engine.training.train import train
    from cnncli.runs.events import Silence

    text = """
name: wide
data: {source: digits, image_size: [8, 8], validation: 0.2}
model: {layers: [Flatten, {Dense: {units: 14}}]}
train: {epochs: 1, batch_size: 500, optimizer: {SGD: {learning_rate: 1e-9}}}
"""
    with monkeypatch.context() as patched:
        patched.setattr(Splits, "require_output", lambda *_: None)
        return Run.open(Path(train(loads(text), tmp_path / "runs", Silence()).run))


def test_outputs_beyond_the_classes_are_wrong_answers(run_of_many_outputs: Run, tmp_path: Path) -> None:
    """What is predicted beyond the classes is named by its place and counts as wrong, in every number and file."""
    from cnncli.cli.app import app
    from cnncli.engine.evaluation.evaluate import EvaluationOptions, evaluate, save

    measured = evaluate(run_of_many_outputs, EvaluationOptions("last", "validation"))
    document = save(run_of_many_outputs, measured)
    found = rows(run_of_many_outputs)
    beyond = {predicted for _, _, predicted in found if predicted.startswith("output ")}
    assert beyond
    assert beyond <= {"output 10", "output 11", "output 12", "output 13"}
    assert document["accuracy"] == np.mean([true == predicted for _, true, predicted in found])
    assert document["accuracy"] == run_of_many_outputs.metrics()[-1]["validation"]["accuracy"]
    of_beyond = [row for row in document["per_class"] if row["class"].startswith("output ")]
    assert of_beyond
    assert all(row["support"] == row["recall"] == 0 for row in of_beyond)
    for command in (["eval", "--csv", "all.csv"], ["show", "confusion", "-o", "c.png"], ["report", "-o", "r.html"]):
        name, *rest = command
        kind = [rest.pop(0)] if name == "show" else []
        files = [str(tmp_path / one) if "." in one else one for one in rest]
        app([name, str(run_of_many_outputs.path), *kind, "--split", "validation", *files], standalone_mode=False)
    assert {path.name for path in tmp_path.iterdir() if path.is_file()} == {"all.csv", "c.png", "r.html"}
