"""Evaluation of a real run: the same numbers from training, `cnn eval`, `cnn predict` and scikit-learn."""

from __future__ import annotations

import csv
import errno
import json
import os
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from scipy import special
from sklearn import metrics

from cnncli.config.load import loads
from cnncli.errors import DataError, WriteError
from cnncli.files import durable
from cnncli.runs.events import Silence
from cnncli.runs.run import Run

pytestmark = pytest.mark.engine

SMALL = """
name: small
seed: 3
data:
  source: digits
  image_size: [16, 16]
  channels: 1
  validation: 0.2
  augmentation: [{RandomTranslation: {height_factor: 0.1, width_factor: 0.1}}]
model:
  layers:
    - Conv2D: {filters: 4, kernel_size: 3, use_bias: false}
    - BatchNormalization
    - ReLU
    - MaxPooling2D: {pool_size: 2}
    - Flatten
    - Dropout: {rate: 0.2}
    - Dense: {units: 10, activation: softmax}
train: {epochs: 2, batch_size: 100, ema: 0.9}
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Train a small network with batch statistics, dropout and a running average of its weights."""
    from cnncli.engine.training.train import train

    return Run.open(Path(train(loads(SMALL), tmp_path_factory.mktemp("runs"), Silence()).run))


@pytest.fixture(scope="module")
def kept(run: Run) -> dict[str, Any]:
    """Evaluate the run's last checkpoint on the test split as `cnn eval` does."""
    from cnncli.engine.evaluation.evaluate import EvaluationOptions, evaluate, save

    return save(run, evaluate(run, EvaluationOptions("last", "test")))


def test_eval_equals_training(run: Run) -> None:
    """On the validation split, the last checkpoint has the last epoch's loss and accuracy, to the last bit."""
    from cnncli.engine.evaluation.evaluate import EvaluationOptions, evaluate

    last = run.metrics()[-1]["validation"]
    found = evaluate(run, EvaluationOptions("last", "validation")).result
    assert (found.loss, found.accuracy) == (last["loss"], last["accuracy"])


def test_predict_equals_eval(run: Run, tmp_path: Path) -> None:
    """The test images, written as PNG files, get the very probabilities that the evaluation has."""
    from cnncli.datasets import load
    from cnncli.datasets.pictures import pictures
    from cnncli.engine.evaluation.evaluate import EvaluationOptions, evaluate
    from cnncli.engine.evaluation.predict import RunNetwork
    from cnncli.engine.evaluation.trained import load_trained
    from cnncli.serving.predict import predict

    evaluation = evaluate(run, EvaluationOptions("last", "test")).result
    images = load(run.config()).named("test").images
    for number, pixels in enumerate(images):
        Image.fromarray(pixels[..., 0]).save(tmp_path / f"{number:04}.png")
    found = list(predict(RunNetwork(load_trained(run, "last")), pictures([str(tmp_path)]), top=10))
    assert len(found) == len(evaluation) == 355
    assert [file.prediction.places[0].probability for file in found] == evaluation.confidences.tolist()
    gaps = [file.prediction.places[0].probability - file.prediction.places[1].probability for file in found]
    assert gaps == evaluation.margins.tolist()
    assert [file.prediction.places[0].name for file in found] == [evaluation.classes[i] for i in evaluation.predicted]
    alone = list(predict(RunNetwork(load_trained(run, "last")), pictures([str(tmp_path / "0123.png")]), top=10))
    assert alone[0].prediction.places == found[123].prediction.places


def test_jpeg_files_get_the_same_prediction_either_way(run: Run, tmp_path: Path) -> None:
    """The quick way and the one that also draws predict the same of photos, damaged ones among them, in order."""
    from cnncli.datasets.pictures import pictures
    from cnncli.engine.evaluation.predict import TOGETHER, RunNetwork
    from cnncli.engine.evaluation.trained import load_trained
    from cnncli.serving.predict import predict

    number = TOGETHER + 9
    for index in range(number):
        pixels = np.random.default_rng(index).integers(0, 256, (9 + index % 3, 8, 3), np.uint8)
        file = tmp_path / f"{index:03}.jpg"
        Image.fromarray(pixels).save(file, quality=90)
        if index % 8 == 3:
            file.write_bytes(file.read_bytes()[: -(10 * index)])
    network = RunNetwork(load_trained(run, "last"))
    found = pictures([str(tmp_path)])
    quick, slow = (list(predict(network, found, thumbnails=drawn)) for drawn in (False, True))
    assert quick == slow
    assert [Path(file.file).stem for file in quick] == [f"{index:03}" for index in range(number)]
    assert [file.error is not None for file in quick] == [index % 8 == 3 for index in range(number)]


def test_pictures_are_read_a_batch_ahead(run: Run) -> None:
    """However many pictures come, no more than a batch and a part of one are waiting."""
    from cnncli.datasets.pictures import Picture
    from cnncli.engine.evaluation.predict import TOGETHER, RunNetwork
    from cnncli.engine.evaluation.trained import load_trained
    from cnncli.tasks.outputs import BATCH_SIZE

    taken: list[int] = []

    def endless() -> Iterator[Picture]:
        for number in count():
            taken.append(number)
            yield Picture(str(number), piped=b"no image")

    read = RunNetwork(load_trained(run, "last")).read(endless(), thumbnails=False)
    for number in range(2 * TOGETHER):
        file, image = next(read)
        assert (file.file, image) == (str(number), None)
        assert len(taken) - number <= BATCH_SIZE + TOGETHER
    read.close()


def test_another_folder_equals_the_split(run: Run, tmp_path: Path) -> None:
    """The test images in folders of their classes measure the same, whatever their order."""
    from cnncli.datasets import load
    from cnncli.engine.evaluation.evaluate import EvaluationOptions, evaluate

    split = load(run.config()).named("test")
    for number, (pixels, label) in enumerate(zip(split.images, split.targets.labels.tolist(), strict=True)):
        folder = tmp_path / "photos" / str(label)
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels[..., 0]).save(folder / f"{number:04}.png")
    plain = evaluate(run, EvaluationOptions("last", "test"))
    found = evaluate(run, EvaluationOptions("last", data=tmp_path / "photos"))
    assert found.result.split == "data-photos"
    assert found.result.accuracy == plain.result.accuracy
    assert found.result.loss == pytest.approx(plain.result.loss, abs=1e-12)
    assert (found.result.confusion_matrix() == plain.result.confusion_matrix()).all()
    assert found.doubts == ()


def test_numbers_equal_scikit_learn(run: Run, kept: dict[str, Any]) -> None:
    """Every number of evaluation-test.json follows from predictions-test.csv by scikit-learn, to 1e-6."""
    with run.predictions_file("test").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["example"] for row in rows] == [str(i) for i in range(355)]
    truth, said = [row["true"] for row in rows], [row["predicted"] for row in rows]
    names = kept["classes"]
    assert kept["accuracy"] == pytest.approx(metrics.accuracy_score(truth, said), abs=1e-6)
    assert kept["confusion_matrix"] == metrics.confusion_matrix(truth, said, labels=names).tolist()
    report = metrics.classification_report(truth, said, labels=names, output_dict=True, zero_division=0)
    for row in kept["per_class"]:
        expected = report[row["class"]]
        found = [row["precision"], row["recall"], row["f1"], row["support"]]
        assert found == pytest.approx([expected[k] for k in ("precision", "recall", "f1-score", "support")], abs=1e-6)
    for kind in ("macro", "weighted"):
        expected = report[f"{kind} avg"]
        found = list(kept["averages"][kind].values())
        assert found == pytest.approx([expected[k] for k in ("precision", "recall", "f1-score")], abs=1e-6)


def test_loss_equals_an_own_computation(run: Run, kept: dict[str, Any]) -> None:
    """Keras's own outputs, SciPy's log-softmax and a mean give the loss, margins and top-k shares."""
    from cnncli.datasets import load
    from cnncli.engine.evaluation.trained import load_trained

    trained = load_trained(run, "last")
    split = load(run.config()).named("test")
    inputs = trained.preprocessing(split.images)
    logits = np.asarray(trained.model.predict(inputs, batch_size=71, verbose=0), np.float64)
    exact = special.log_softmax(logits, axis=1)
    assert kept["loss"] == pytest.approx(-exact[np.arange(355), split.targets.labels].mean(), abs=1e-6)
    expected = metrics.top_k_accuracy_score(split.targets.labels, logits, k=5)
    assert kept["top_5_accuracy"] == pytest.approx(expected, abs=1e-6)
    ordered = np.sort(np.exp(exact), axis=1)
    with run.predictions_file("test").open(encoding="utf-8", newline="") as file:
        margins = [float(row["margin"]) for row in csv.DictReader(file)]
    assert margins == pytest.approx(ordered[:, -1] - ordered[:, -2], abs=1e-5)


def test_uses_of_the_test_split_are_counted(run: Run, kept: dict[str, Any]) -> None:
    """Each evaluation on test adds one in run.json; one on validation adds none."""
    from cnncli.engine.evaluation.evaluate import EvaluationOptions, evaluate, save

    before = run.record["test_uses"]
    assert save(run, evaluate(run, EvaluationOptions("best", "test")))["test_uses"] == before + 1
    save(run, evaluate(run, EvaluationOptions("best", "validation")))
    assert run.record["test_uses"] == before + 1
    assert json.loads(run.evaluation_file("test").read_text(encoding="utf-8"))["test_uses"] == before + 1


def test_measuring_another_checkpoint_leaves_the_best_ones_files(run: Run) -> None:
    """`cnn eval --checkpoint` of any but the best writes under names that end in the checkpoint's."""
    from cnncli.engine.evaluation.evaluate import EvaluationOptions, evaluate_run

    (other,) = set(run.checkpoints.names()) - {run.checkpoints.best().path.name}
    _, document = evaluate_run(run, EvaluationOptions("best", "validation"))
    files = run.evaluation_file("validation"), run.predictions_file("validation")
    before = [file.read_bytes() for file in files]
    evaluate_run(run, EvaluationOptions(other, "validation"))
    assert [file.read_bytes() for file in files] == before
    assert document["checkpoint"] != other
    assert json.loads((run.path / f"evaluation-validation-{other}.json").read_text())["checkpoint"] == other
    assert (run.path / f"predictions-validation-{other}.csv").exists()


def test_averaged_weights_are_evaluated(run: Run) -> None:
    """With a running average, it is what the evaluation loads, not the raw weights."""
    from cnncli.engine.evaluation.trained import load_trained
    from cnncli.runs.find import find_checkpoint

    arrays = find_checkpoint(run, "last").arrays
    kernel = np.asarray(load_trained(run, "last").model.get_layer("dense").kernel)
    averaged = next(array for name, array in arrays.items() if name == "average/dense/kernel")
    assert (kernel == averaged).all()
    assert not (kernel == arrays["model/dense/kernel"]).all()


def test_a_split_that_is_not_there(run: Run) -> None:
    """The error names the splits that there are."""
    from cnncli.engine.evaluation.evaluate import EvaluationOptions, evaluate

    with pytest.raises(DataError) as caught:
        evaluate(run, EvaluationOptions("best", "holdout"))
    assert "validation" in (caught.value.hint or "")


def test_views_are_averaged(run: Run) -> None:
    """Test-time augmentation is the mean of the logits of the images, and of them moved by a pixel to each corner."""
    from cnncli.datasets import load
    from cnncli.engine.evaluation.evaluate import EvaluationOptions, evaluate
    from cnncli.engine.evaluation.trained import load_trained

    found = evaluate(run, EvaluationOptions("last", "test", tta=True))
    assert found.views == 5
    assert found.result.split == "test-tta"
    trained = load_trained(run, "last")
    images = np.asarray(trained.preprocessing.resize_uint8(load(run.config()).named("test").images))
    padded = np.pad(images, [(0, 0), (1, 1), (1, 1), (0, 0)], mode="edge")
    near, far = slice(None, -2), slice(2, None)
    views = images, *(padded[:, rows, columns] for rows in (near, far) for columns in (near, far))
    logits = np.mean([np.asarray(trained.model(view / np.float32(255), training=False)) for view in views], axis=0)
    expected = special.softmax(logits, axis=1)
    assert (found.result.predicted == expected.argmax(axis=1)).all()
    assert found.result.confidences == pytest.approx(expected.max(axis=1), abs=1e-5)
    of_truth = expected[np.arange(len(expected)), found.result.labels]
    assert np.exp(-found.result.losses) == pytest.approx(of_truth, abs=1e-5)


def test_views_need_an_augmentation(run: Run) -> None:
    """A network whose training neither flipped nor shifted images is not averaged over such views."""
    from cnncli.engine.evaluation.tta import views_of
    from cnncli.errors import CnnError

    plain = SMALL.replace("  augmentation: [{RandomTranslation: {height_factor: 0.1, width_factor: 0.1}}]\n", "")
    with pytest.raises(CnnError, match="no test-time augmentation"):
        views_of(loads(plain))
    mirrored = SMALL.replace(
        "RandomTranslation: {height_factor: 0.1, width_factor: 0.1}", "RandomFlip: {mode: horizontal}"
    )
    (plain_view, mirror) = views_of(loads(mirrored))
    pixels = np.arange(12, dtype=np.uint8).reshape(1, 3, 4, 1)
    assert (np.asarray(plain_view(pixels)) == pixels).all()
    assert (np.asarray(mirror(pixels)) == pixels[:, :, ::-1]).all()
    (_, flipped) = views_of(loads(mirrored.replace("horizontal", "vertical")))
    assert (np.asarray(flipped(pixels)) == pixels[:, ::-1]).all()
    (_, *turned, both) = views_of(loads(mirrored.replace("{mode: horizontal}", "{}")))
    assert [view.mirrored for view in turned] == [(1,), (2,)]
    assert (np.asarray(both(pixels)) == pixels[:, ::-1, ::-1]).all()


@pytest.mark.parametrize("kind", ["keras", "saved_model"])
def test_an_exported_network_measures_the_same(run: Run, kind: str) -> None:
    """The artifact, asked in its own runtime, has the run's accuracy, its loss to 1e-5, and counts as a use of test."""
    from cnncli.cli.artifact import open_artifact
    from cnncli.engine.evaluation.evaluate import EvaluationOptions, evaluate
    from cnncli.engine.exporting.export import Wanted, export
    from cnncli.serving.evaluate import evaluate_artifact

    (kept,) = export(run, Wanted(kinds=(kind,), quantize=None, checkpoint="last", max_drop=None), lambda _: None)
    before = run.record.get("test_uses", 0)
    path = Path(kept.to_json()["path"])
    found, document = evaluate_artifact(open_artifact(path), path, "test", None, Path("nowhere"))
    plain = evaluate(run, EvaluationOptions("last", "test")).result
    assert (found.result.predicted == plain.predicted).all()
    assert found.result.loss == pytest.approx(plain.loss, abs=1e-5)
    assert document["test_uses"] == run.record["test_uses"] == before + 1


@pytest.fixture
def read_only(run: Run, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Return the run on a disk that takes nothing; other folders can be written."""
    create = durable.create

    def refuse(path: Path) -> Any:
        if path.is_relative_to(run.path):
            raise OSError(errno.EROFS, os.strerror(errno.EROFS))
        return create(path)

    monkeypatch.setattr(durable, "create", refuse)
    return run


def files_of(run: Run) -> dict[Path, bytes]:
    """Return what is in a run; locks are empty files."""
    return {
        path: path.read_bytes() for path in run.path.rglob("*") if path.is_file() and not path.name.endswith("lock")
    }


def test_a_run_that_cannot_be_written_is_measured_all_the_same(read_only: Run, kept: dict[str, Any]) -> None:
    """The result is printed with exit code 0; that it is not kept, and why, stands on stderr."""
    from typer.testing import CliRunner

    from cnncli.cli.app import app

    before = files_of(read_only)
    done = CliRunner().invoke(app, ["eval", str(read_only.path), "--checkpoint", kept["checkpoint"], "--json"])
    assert done.exit_code == 0
    document = json.loads(done.stdout)
    assert {name: document[name] for name in ("accuracy", "loss")} == {
        name: kept[name] for name in ("accuracy", "loss")
    }
    assert document["test_uses"] == read_only.record["test_uses"] + 1
    warnings = [line for line in done.stderr.splitlines() if "is not kept" in line]
    assert [line.partition(" is not kept: ")[0] for line in warnings] == [
        "warning: this use of the test split",
        "warning: the evaluation",
    ]
    assert all(line.endswith("cannot be written: Read-only file system") for line in warnings)
    assert files_of(read_only) == before


def test_pictures_of_a_run_that_cannot_be_written(read_only: Run, tmp_path: Path) -> None:
    """What they need is measured, and goes with the process; a report can be written elsewhere, as its error says."""
    from typer.testing import CliRunner

    from cnncli.cli.app import app

    for file in (*read_only.path.glob("evaluation-train*"), *read_only.path.glob("predictions-train*")):
        file.unlink()
    before = files_of(read_only)
    report = ["report", str(read_only.path), "--split", "train"]
    for command in (
        [*report, "-o", str(tmp_path / "report.html")],
        ["show", str(read_only.path), "mistakes", "--split", "train", "-o", str(tmp_path / "mistakes.png")],
    ):
        done = CliRunner().invoke(app, command)
        assert (done.exit_code, done.exception) == (0, None)
    refused = CliRunner().invoke(app, report)
    assert isinstance(refused.exception, WriteError)
    assert "-o FILE" in str(refused.exception.hint)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mistakes.png", "report.html"]
    assert files_of(read_only) == before
