"""A segmentation from its training to its exports: scores of the written masks, a resumed run to the bit."""

from __future__ import annotations

import io
import json
import signal
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from cnncli.config.load import loads
from cnncli.runs.events import Silence, StepsDone
from cnncli.runs.run import Run

pytestmark = pytest.mark.engine

CONFIG = """
name: patches
task: segmentation
seed: 1
data:
  source: masks
  path: {path}
  classes: {{dark: 0, bright: 1, edge: 2}}
  ignore: 9
  image_size: [16, 20]
  channels: 1
  validation: 0.25
  augmentation:
    - RandomFlip: {{mode: horizontal}}
    - RandomScale: {{factor: [0.7, 1.5], size: [12, 16]}}
    - CutMix
model:
  layers:
    - Conv2D: {{filters: 8, kernel_size: 3, strides: 2, padding: same, use_bias: false}}
    - BatchNormalization
    - ReLU
    - Conv2D: {{filters: 3, kernel_size: 1}}
train:
  epochs: 3
  batch_size: 6
  ema: 0.9
  optimizer: {{AdamW: {{learning_rate: 0.02}}}}
  loss: {{class_weights: inverse_log, dice: 0.3}}
  precision: mixed_bfloat16
"""


def png(pixels: np.ndarray) -> bytes:
    """Return an image file."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Grey images of two sizes with masks of what is dark, bright and between, in a .zip; some pixels of no class."""
    path = tmp_path_factory.mktemp("data") / "patches.zip"
    generator = np.random.default_rng(0)
    with zipfile.ZipFile(path, "w") as packed:
        for split, number in (("train", 24), ("test", 7)):
            for row in range(number):
                size = (16, 20) if row % 3 else (21, 24)
                coarse = generator.integers(0, 256, (4, 5)).astype(np.uint8)
                image = np.asarray(Image.fromarray(coarse).resize(size[::-1], Image.Resampling.BILINEAR))
                mask = np.where(image < 90, 0, np.where(image > 160, 1, 2)).astype(np.uint8)
                mask[:2, :3] = 9
                packed.writestr(f"{split}/images/{row:02}.png", png(image))
                packed.writestr(f"{split}/masks/{row:02}.png", png(mask))
    return path


@pytest.fixture(scope="module")
def run(archive: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Three epochs."""
    from cnncli.engine.training.train import train

    folder = tmp_path_factory.mktemp("runs")
    train(loads(CONFIG.format(path=archive)), folder, Silence())
    (record,) = folder.rglob("run.json")
    return Run(record.parent)


class StopAt(Silence):
    """Asks the run to stop once it has taken a number of steps, three an epoch."""

    def __init__(self, steps: int) -> None:
        self._steps = steps

    def steps_done(self, event: StepsDone) -> None:
        """Send this process the signal that Ctrl-C sends."""
        if (event.epoch - 1) * 3 + event.batch == self._steps:
            signal.raise_signal(signal.SIGINT)


def arrays(run: Run) -> dict[str, np.ndarray]:
    """Return everything that the last checkpoint holds."""
    found = run.checkpoints.latest()
    assert found is not None
    return dict(found.arrays)


PARTS = """
name: parts
task: segmentation
data:
  source: masks
  path: nowhere
  image_size: [24, 32]
  augmentation:
    - RandomFlip
    - RandomScale: {factor: [0.8, 2.0], size: [10, 14], interpolation: nearest, fill_mode: reflect}
model: {layers: [Conv2D: {filters: 2, kernel_size: 1}]}
train: {batch_size: 4}
"""


def test_learning_from_parts_counts_their_pixels() -> None:
    """A network that knows the classes is right everywhere in the parts, whose masks are cut out at the same places."""
    from cnncli.engine.input_pipeline.feed import Chunk
    from cnncli.engine.training.setup import make_step_loop

    loop = make_step_loop(loads(PARTS))
    loop.model.set_weights([np.array([[[[-9.0, 9.0]]]], np.float32), np.array([4.5, -4.5], np.float32)])
    masks = np.random.default_rng(0).integers(0, 2, (4, 24, 32), np.uint8)
    images = (masks * 255)[..., None]
    loop.run(Chunk(images, masks, np.arange(4, dtype=np.int32)[None], 4), np.zeros((1, 1), np.float32), 0)
    assert loop.means().metrics == {"mean_iou": 1.0, "pixel_accuracy": 1.0}
    assert sum(int(value.sum()) for name, value in loop.state().items() if "confusion" in name) == 4 * 10 * 14
    assert loop.model.predict(images / np.float32(255), verbose=0).shape == (4, 24, 32, 2)


def test_evaluation_is_a_count_of_the_written_masks(run: Run, archive: Path) -> None:
    """The confusion matrix is that of masks that `predict` returns, in the pixels of the files' own masks."""
    from cnncli.datasets.pictures import Picture
    from cnncli.engine.evaluation.evaluate import EvaluationOptions, evaluate
    from cnncli.engine.evaluation.predict import RunNetwork
    from cnncli.engine.evaluation.trained import load_trained
    from cnncli.serving.predict import predict

    document = evaluate(run, EvaluationOptions()).to_json()
    network = RunNetwork(load_trained(run))
    expected = np.zeros((3, 3), int)
    with zipfile.ZipFile(archive) as packed:
        for row in range(7):
            content = packed.read(f"test/images/{row:02}.png")
            (found,) = predict(network, [Picture("-", piped=content)])
            mask = np.asarray(Image.open(io.BytesIO(packed.read(f"test/masks/{row:02}.png"))))
            assert found.prediction.mask.shape == mask.shape
            counted = mask != 9
            np.add.at(expected, (mask[counted], found.prediction.mask[counted]), 1)
    np.testing.assert_array_equal(document["confusion_matrix"], expected)
    ious = [expected[c, c] / (expected[c].sum() + expected[:, c].sum() - expected[c, c]) for c in range(3)]
    assert document["mean_iou"] == pytest.approx(np.mean(ious), abs=1e-12)
    assert np.count_nonzero(expected) > 3


@pytest.mark.parametrize("streamed", [False, True], ids=["in memory", "streamed"])
def test_a_run_that_was_stopped_ends_with_the_same_bits(
    run: Run, archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, streamed: bool
) -> None:
    """Stopped in its second epoch and resumed; also with images and masks read from the file each time."""
    from cnncli.engine.input_pipeline import feed
    from cnncli.engine.training import pace
    from cnncli.engine.training.train import resume, train

    if streamed:
        monkeypatch.setattr(feed, "MEMORY_LIMIT", 0)
    monkeypatch.setattr(pace.Pace, "measured", lambda self, batches, seconds: None)
    config = loads(CONFIG.format(path=archive))
    train(config, tmp_path, StopAt(5))
    (stopped,) = (Run(path.parent) for path in tmp_path.rglob("run.json"))
    assert len(stopped.metrics()) == 1
    resume(stopped, config, Silence())
    expected, found = arrays(run), arrays(stopped)
    assert expected.keys() == found.keys()
    for name, array in expected.items():
        assert array.tobytes() == found[name].tobytes(), name


def test_exports_agree_in_masks_and_probabilities(run: Run) -> None:
    """ONNX, LiteRT and SavedModel pass their gates with the run's own images."""
    from cnncli.engine.exporting.export import Wanted, export

    notes: list[str] = []
    kept = list(export(run, Wanted(kinds=("saved_model", "onnx", "litert")), notes.append))
    assert [each.format.kind for each in kept] == ["saved_model", "onnx", "litert"]
    assert all(each.parity.max_abs_diff < 1e-5 for each in kept)


def test_resumed_metrics_have_the_tasks_names(run: Run) -> None:
    """Every epoch has loss, mean IoU and pixel accuracy of both splits; the best is chosen by the mean IoU."""
    lines: list[dict[str, Any]] = [json.loads(line) for line in run.metrics_file.read_text().splitlines()]
    for line in lines:
        assert set(line["train"]) >= {"loss", "mean_iou", "pixel_accuracy"}
        assert set(line["validation"]) == {"loss", "mean_iou", "pixel_accuracy"}
    assert run.record["best"]["monitor"] == "validation_mean_iou"


def test_training_counts_masks_where_their_images_are() -> None:
    """A network that reads the class from the grey value is right everywhere, however its images are moved and cut."""
    import tensorflow as tf

    from cnncli.engine.input_pipeline.feed import Chunk
    from cnncli.engine.training.setup import make_step_loop

    text = CONFIG.format(path="nowhere").replace("mixed_bfloat16", "float32").replace("strides: 2, ", "")
    layers = "[{Conv2D: {filters: 3, kernel_size: 1, name: reader}}]"
    changes = (
        "[RandomFlip, {RandomTranslation: {height_factor: 0.4, width_factor: 0.4, interpolation: nearest}}, CutMix]"
    )
    config = loads(text, overrides=[f"model={{layers: {layers}}}", f"data.augmentation={changes}"])
    loop = make_step_loop(config)
    levels = np.array([0.0, 0.5, 1.0], np.float32)
    kernel, bias = 20 * 2 * levels, -20 * levels**2
    loop.model.get_layer("reader").set_weights([kernel.reshape(1, 1, 1, 3), bias])
    masks = np.random.default_rng(0).integers(0, 3, (12, 4, 5)).astype(np.uint8).repeat(4, axis=1).repeat(4, axis=2)
    images = np.rint(levels[masks][..., None] * 255).astype(np.uint8)
    loop.run(
        Chunk(tf.constant(images), tf.constant(masks), np.arange(12, dtype=np.int32).reshape(2, 6), 6),
        np.zeros((2, 1)),
        0,
    )
    assert loop.means().metrics["pixel_accuracy"] == 1.0
    assert loop.means().metrics["mean_iou"] == 1.0
