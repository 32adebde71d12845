"""Images unlike those of training, told by a real run: how many, how often wrongly, and where the threshold is from."""

from __future__ import annotations

import io
import signal
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy import special
from sklearn import metrics

from cnncli.config.load import loads
from cnncli.datasets.pictures import Picture
from cnncli.runs.events import Silence, StepsDone
from cnncli.runs.run import Run
from cnncli.tasks.predictions import PredictedFile

pytestmark = pytest.mark.engine

NET = """
name: net
seed: 3
data: {source: digits, image_size: [8, 8], channels: 1, validation: 0.3}
model:
  layers:
    - Conv2D: {filters: 24, kernel_size: 3, padding: same, activation: relu}
    - Conv2D: {filters: 24, kernel_size: 3, activation: relu}
    - MaxPooling2D
    - Flatten
    - Dense: {units: 48, activation: relu}
    - Dense: {units: 10}
train: {epochs: 8, batch_size: 32, optimizer: {Adam: {learning_rate: 3.0e-3}}, schedule: CosineDecay}
"""


def trained(folder: Path, *overrides: str, listener: Silence | None = None) -> Run:
    """Train the network."""
    from cnncli.engine.training.train import train

    return Run.open(Path(train(loads(NET, overrides=overrides), folder, listener or Silence()).run))


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Return a run that classifies 98 % of the digits correctly."""
    return trained(tmp_path_factory.mktemp("runs"))


def photo(number: int, size: int = 48) -> np.ndarray:
    """Return grey values that change slowly, with some noise: a photograph's statistics."""
    generator = np.random.default_rng(number)
    coarse = Image.fromarray(generator.integers(0, 256, (6, 6), np.uint8)).resize((size, size))
    return (np.asarray(coarse).astype(np.int16) + generator.integers(-6, 7, (size, size))).clip(0, 255).astype(np.uint8)


def predicted(run: Run, images: Sequence[np.ndarray]) -> list[PredictedFile]:
    """Return what `cnn predict` has of images."""
    from cnncli.engine.evaluation.predict import RunNetwork
    from cnncli.engine.evaluation.trained import load_trained
    from cnncli.serving.predict import predict

    pictures = []
    for number, pixels in enumerate(images):
        content = io.BytesIO()
        Image.fromarray(pixels).save(content, "PNG")
        pictures.append(Picture(str(number), content.getvalue()))
    return list(predict(RunNetwork(load_trained(run)), pictures))


def test_unrelated_photos_are_told(run: Run) -> None:
    """Most photos get a warning, few test digits do, and the energy tells them apart better than the confidence."""
    from cnncli.datasets import load

    digits = predicted(run, load(run.config()).named("test").images[..., 0])
    photos = predicted(run, [photo(number) for number in range(300)])
    alarms, told = (np.mean([bool(file.doubts) for file in files]) for files in (digits, photos))
    assert alarms <= 0.03
    assert told >= 0.5
    truth = [0] * len(digits) + [1] * len(photos)
    by_energy = metrics.roc_auc_score(truth, [file.ood.value for file in digits + photos])
    by_confidence = metrics.roc_auc_score(truth, [-file.prediction.places[0].probability for file in digits + photos])
    print(f"false alarms {alarms:.3f}, told {told:.3f}, AUROC {by_energy:.3f}, of the confidence {by_confidence:.3f}")
    assert by_energy > max(0.95, by_confidence)


@pytest.mark.parametrize("name", ["best", "last"])
def test_the_threshold_is_the_checkpoint_s_own(run: Run, name: str) -> None:
    """Of 434 validation images, three have an energy above the threshold, and a fourth has just that."""
    from cnncli.datasets import load
    from cnncli.engine.evaluation.predictor import Predictor
    from cnncli.engine.evaluation.trained import load_trained

    network = load_trained(run, name)
    images = load(run.config()).named("validation").images
    logits = Predictor(network.model, network.preprocessing).logits(images)
    energies = np.sort(-special.logsumexp(logits.astype(np.float64), axis=1))
    about = network.detector.to_json()
    assert about["energy"] == pytest.approx(energies[-4], abs=1e-6)
    assert about["false_alarm_rate"] == 4 / 435
    assert (about["split"], about["num_examples"]) == ("validation", 434)


def test_a_blank_image_gets_a_warning(run: Run) -> None:
    """Whatever its brightness, and though the network is asked about it all the same."""
    for file in predicted(run, [np.full((20, 9), value, np.uint8) for value in (0, 120, 255)]):
        assert file.doubts[0] == "the image is blank: all its pixels have the same value"
        assert file.prediction is not None


def test_without_validation_an_evaluation_takes_the_thresholds(tmp_path: Path) -> None:
    """A run without a validation split has no detector until `cnn eval` has measured its test split."""
    from cnncli.engine.evaluation.evaluate import EvaluationOptions, evaluate_run

    run = trained(tmp_path, "data.validation=0", "train.epochs=1")
    (before,) = predicted(run, [photo(1)])
    assert (before.ood, before.doubts) == (None, ())
    _, document = evaluate_run(run, EvaluationOptions("best", "test"))
    assert document["ood_detector"]["split"] == "test"
    (after,) = predicted(run, [photo(1)])
    assert after.ood.threshold == document["ood_detector"]["energy"]


class StopAtOnce(Silence):
    """Interrupts training after its first steps, as Ctrl-C does."""

    def steps_done(self, event: StepsDone) -> None:
        """Send the signal."""
        signal.raise_signal(signal.SIGINT)


def test_within_an_epoch_there_is_no_detector(tmp_path: Path) -> None:
    """Weights that were never validated have no threshold; at the resumed epoch's end they have."""
    from cnncli.engine.training.train import resume

    run = trained(tmp_path, "train.epochs=1", listener=StopAtOnce())
    assert "ood_detector" not in run.checkpoints.latest().meta
    with run.lock():
        resume(run, run.config(), Silence())
    assert run.checkpoints.latest().meta["ood_detector"]["num_examples"] == 434
