"""The scores of `cnn eval` are those of the masks that `cnn predict` writes, counted by Keras and by NumPy."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from cnncli.cli.app import app
from cnncli.config.load import load
from cnncli.runs.events import Silence

pytestmark = pytest.mark.engine

CONFIG = """
name: tiny
task: segmentation
data:
  source: masks
  path: scenes
  classes: {sky: 0, road: 1, car: 2, never: 3}
  ignore: [9]
  image_size: [16, 24]
  resize: {fit: pad}
  channels: 3
  validation: 0.0
model:
  layers:
    - Conv2D: {filters: 6, kernel_size: 3, padding: same, strides: 2, activation: relu}
    - Conv2D: {filters: 4, kernel_size: 1}
train: {epochs: 8, batch_size: 4, optimizer: {Adam: {learning_rate: 0.05}}}
"""

SIZES = ((20, 31), (33, 18), (16, 24), (7, 50), (48, 72))
BENCHMARK = Path(__file__).parents[2] / "benchmarks" / "mask_scores.py"


def write_scenes(root: Path) -> None:
    """Write images whose colour tells the class, and masks in which a corner and some other pixels are ignored."""
    generator = np.random.default_rng(0)
    for split in ("train", "test"):
        for kind in ("images", "masks"):
            (root / split / kind).mkdir(parents=True)
        for number in range(10):
            height, width = SIZES[number % len(SIZES)]
            coarse = generator.integers(0, 3, (4, 4)).astype(np.uint8)
            mask = np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.NEAREST)).copy()
            noise = generator.integers(0, 120, (height, width, 3))
            image = (60 * mask[..., None] + noise).clip(0, 255).astype(np.uint8)
            mask[: height // 4, : width // 4] = 9
            mask[generator.random(mask.shape) < 0.05] = 9
            Image.fromarray(image).save(root / split / "images" / f"{number}.png")
            Image.fromarray(mask).save(root / split / "masks" / f"{number}.png")


def cnn(*arguments: object) -> Any:
    """Run a command in this process and return what it prints as JSON."""
    result = CliRunner().invoke(app, [*map(str, arguments), "--json"], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_scores_are_those_of_the_written_masks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Confusion, IoU, mean IoU and accuracy to the last bit, of images of many sizes, without what is ignored."""
    from cnncli.engine.training.train import train

    spec = importlib.util.spec_from_file_location("mask_scores", BENCHMARK)
    assert spec is not None
    assert spec.loader is not None
    benchmark = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(benchmark)
    monkeypatch.chdir(tmp_path)
    write_scenes(tmp_path / "scenes")
    Path("tiny.yaml").write_text(CONFIG, encoding="utf-8")
    run = train(load(Path("tiny.yaml")), tmp_path, Silence()).run

    document = cnn("eval", run)
    entries = cnn("predict", run, tmp_path / "scenes" / "test" / "images", "--masks", tmp_path / "written")
    truths = [tmp_path / "scenes" / "test" / "masks" / Path(entry["file"]).name for entry in entries]
    counted = benchmark.recounted(zip(truths, [Path(entry["mask"]) for entry in entries], strict=True), 4)
    assert len(entries) == document["num_examples"] == 10
    assert benchmark.differences(document, counted) == []
    kept = [np.asarray(Image.open(path)) for path in truths]
    assert document["num_pixels"] == sum(int((mask != 9).sum()) for mask in kept)
    assert 0.05 < document["mean_iou"] < 0.95
    assert document["per_class"][3]["iou"] is None or document["per_class"][3]["iou"] == 0
