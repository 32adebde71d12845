"""A run for segmentation from the outside: evaluated, shown, reported, asked for masks and tiles."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from sklearn import metrics
from typer.testing import CliRunner

from cnncli.cli.app import app
from cnncli.config.load import load
from cnncli.runs.events import Silence
from cnncli.runs.run import Run

pytestmark = pytest.mark.engine

CONFIG = """
name: tiny
task: segmentation
data:
  source: digit_scenes
  image_size: [24, 24]
  channels: 3
  validation: 0.05
  augmentation: [{RandomFlip: {mode: horizontal}}]
model:
  layers:
    - Conv2D: {filters: 8, kernel_size: 3, padding: same, activation: relu, name: fine}
    - Conv2D: {filters: 8, kernel_size: 3, strides: 2, padding: same, activation: relu}
    - UpSampling2D: {size: 2, name: up}
    - Concatenate: {inputs: [fine, up]}
    - Conv2D: {filters: 11, kernel_size: 1}
train: {epochs: 1, batch_size: 32, optimizer: {Adam: {learning_rate: 0.02}}}
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Train a small network for an epoch; it reads scenes at half their size."""
    from cnncli.engine.training.train import train

    folder = tmp_path_factory.mktemp("segmentation")
    (folder / "tiny.yaml").write_text(CONFIG, encoding="utf-8")
    return Run.open(Path(train(load(folder / "tiny.yaml"), folder, Silence()).run))


@pytest.fixture
def cnn(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Return a function that runs a command in this process and returns what it prints."""
    from cnncli.cli.console import err, out

    monkeypatch.setenv("COLUMNS", "100")

    def call(*arguments: object) -> str:
        out.cache_clear()
        err.cache_clear()
        result = CliRunner().invoke(app, list(map(str, arguments)), catch_exceptions=False)
        assert result.exit_code == 0, result.output
        return result.stdout

    return call


def test_figures_show_what_the_network_predicts(run: Run, cnn: Callable[..., Any], tmp_path: Path) -> None:
    """The predictions of the galleries have the IoU that the evaluation wrote, in the scenes' own pixels."""
    from cnncli.engine.inspection.measured import EvaluatedRun
    from cnncli.engine.inspection.network import InspectedNetwork
    from cnncli.tasks.segmentation.examples import image_ious, segmented, worst

    for kind in ("worst", "uncertainty"):
        cnn("show", run.path, kind, "--count", 2, "-o", tmp_path / f"{kind}.png")
        with Image.open(tmp_path / f"{kind}.png") as opened:
            assert opened.width > 500
    evaluated = EvaluatedRun(InspectedNetwork(run.config(), run), "validation")
    ious = image_ious(evaluated)
    rows = [*worst(ious, 3), 0]
    for row, example in zip(rows, segmented(evaluated, rows, ious), strict=True):
        assert example.pixels.shape == (48, 48, 3)
        scores = metrics.jaccard_score(example.truth.ravel(), example.predicted.ravel(), average="macro")
        assert scores == pytest.approx(ious[row], abs=1e-9)
        assert (example.uncertainty >= 0).all()
        assert (example.uncertainty <= 10 / 11 + 1e-6).all()


def test_the_report_has_its_sections(run: Run, cnn: Callable[..., Any], tmp_path: Path) -> None:
    """Classes, confusions, examples, attribution, calibration."""
    cnn("report", run.path, "-o", tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    for identity in ("classes", "confusion", "examples", "reasons", "calibration"):
        assert f'<section id="{identity}"' in page
    assert page.count('alt="Prediction for no. ') == 16


def test_views_are_evaluated(run: Run, cnn: Callable[..., Any]) -> None:
    """`--tta` averages over the mirror image, under a name of its own."""
    found = json.loads(cnn("eval", run.path, "--split", "validation", "--tta", "--json"))
    assert found["split"] == "validation-tta"
    assert found["num_pixels"] == found["num_examples"] * 48 * 48
    assert 0 < found["mean_iou"] < 1
    assert (found["views"], found["scales"]) == (2, [1.0])


def test_scales_are_evaluated(run: Run, cnn: Callable[..., Any]) -> None:
    """`--tta-scales` averages over them and, with `--tta`, over the mirror image of each, under a name of its own."""
    found = json.loads(cnn("eval", run.path, "--split", "validation", "--tta", "--tta-scales", "1,0.75", "--json"))
    assert found["split"] == "validation-tta-scales-0.75-1"
    assert (found["views"], found["scales"]) == (4, [0.75, 1.0])
    assert found["num_pixels"] == found["num_examples"] * 48 * 48
    kept = json.loads((run.path / "evaluation-validation-tta-scales-0.75-1.json").read_text(encoding="utf-8"))
    assert kept["mean_iou"] == found["mean_iou"]


@pytest.mark.parametrize("scales", ["", "1,", "a", "1,1.0", "0", "-1", "nan", "inf"])
def test_scales_that_are_none(run: Run, scales: str) -> None:
    """They are a mistake of usage, told before anything is loaded."""
    result = CliRunner().invoke(app, ["eval", str(run.path), "--tta-scales", scales])
    assert result.exit_code == 2
    assert "different numbers" in " ".join(result.output.replace("│", " ").split())


def test_tensorboard_shows_the_first_validation_images(run: Run) -> None:
    """Four rows at the validation's step: the image, its mask over it, and what the epoch's weights predict over it."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    from cnncli.datasets import load as load_splits
    from cnncli.engine.evaluation.trained import load_trained
    from cnncli.tasks.colours import overlaid

    events = EventAccumulator(str(run.tensorboard_dir / "validation"), size_guidance={"tensors": 0})
    events.Reload()
    (event,) = events.Tensors("first_images")
    assert event.step == run.metrics()[0]["step"]
    shown = np.asarray(Image.open(io.BytesIO(event.tensor_proto.string_val[2])))
    assert shown.shape == (4 * 24 + 3 * 2, 3 * 24 + 2 * 2, 3)
    trained = load_trained(run, "last")
    split = load_splits(run.config()).validation
    images = trained.preprocessing.resize_uint8(split.images[:4]).numpy()
    predicted = trained.model(images / np.float32(255), training=False).numpy().argmax(axis=-1)
    for row in range(4):
        part = shown[26 * row : 26 * row + 24]
        mask = np.asarray(Image.fromarray(split.targets.read(row)).resize((24, 24), Image.Resampling.NEAREST))
        np.testing.assert_array_equal(part[:, :24], images[row])
        np.testing.assert_array_equal(part[:, 26:50], overlaid(images[row], mask, 11))
        assert (part[:, 52:] == overlaid(images[row], predicted[row], 11)).mean() > 0.99  # Ties round either way.


def test_masks_are_predicted(run: Run, cnn: Callable[..., Any], tmp_path: Path) -> None:
    """Areas in JSON and CSV are those of the mask that is written; tiles have the image's own pixels too."""
    pixels = np.random.default_rng(0).integers(0, 256, (70, 110, 3)).astype(np.uint8)
    photo = tmp_path / "photo.png"
    Image.fromarray(pixels).save(photo)
    for options in ((), ("--tiles",)):
        masks, table = tmp_path / "masks", tmp_path / "areas.csv"
        (entry,) = json.loads(cnn("predict", run.path, photo, "--masks", masks, "--csv", table, "--json", *options))
        with Image.open(entry["mask"]) as opened:
            mask = np.asarray(opened)
            assert json.loads(opened.text["Classes"]) == ["background", *map(str, range(10))]
        assert mask.shape == (70, 110)
        counts = dict.fromkeys(("background", *map(str, range(10))), 0)
        for label, name in enumerate(counts):
            counts[name] = int((mask == label).sum())
        assert {one["class"]: one["pixels"] for one in entry["predictions"]} == {n: c for n, c in counts.items() if c}
        with table.open(encoding="utf-8", newline="") as file:
            rows = {row["class"]: int(row["pixels"]) for row in csv.DictReader(file)}
        assert rows == {n: c for n, c in counts.items() if c}
