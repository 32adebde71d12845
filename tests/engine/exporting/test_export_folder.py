"""Exports of a run on a folder of photographs, each of its own size."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

pytestmark = [pytest.mark.engine, pytest.mark.filterwarnings("ignore"), pytest.mark.needs("onnx")]

CONFIG = """
name: photos
data: {source: folder, path: %s, image_size: [12, 16], channels: 3, resize: {fit: crop}, validation: 0.25}
model:
  layers: [{Conv2D: {filters: 4, kernel_size: 3}}, BatchNormalization, GlobalAveragePooling2D, {Dense: {units: 3}}]
train: {epochs: 1, batch_size: 8}
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Return a run on 60 images in three folders."""
    from cnncli.config.load import loads
    from cnncli.engine.training.train import train
    from cnncli.runs.events import Silence
    from cnncli.runs.run import Run

    folder = tmp_path_factory.mktemp("data")
    generator = np.random.default_rng(0)
    for split, number in (("train", 14), ("test", 6)):
        for place, name in enumerate(("größe", "b c", "a&b")):
            (folder / split / name).mkdir(parents=True)
            for i in range(number):
                height, width = generator.integers(9, 40, 2)
                pixels = generator.integers(0, 100, (height, width, 3)) + 50 * place
                Image.fromarray(pixels.astype(np.uint8)).save(folder / split / name / f"{i}.png")
    config = loads(CONFIG % folder)
    return Run.open(Path(train(config, tmp_path_factory.mktemp("runs"), Silence()).run))


@pytest.mark.parametrize("kind", ["saved_model", "onnx", "keras"])
def test_files_of_all_sizes(run: Any, kind: str) -> None:
    """Every file gets the run's answer from the artifact, by its own size where the format resizes."""
    from cnncli.engine.exporting.export import Wanted, export
    from cnncli.engine.exporting.open import open_artifact

    (kept,) = export(run, Wanted(kinds=(kind,)), print)
    sizes = [case["num_images"] for case in kept.parity.cases if case["case"] == "other sizes"]
    assert bool(sizes) == (kind != "keras")
    artifact = open_artifact(kept.path)
    assert set(artifact.classes) == {"größe", "b c", "a&b"}
    assert str(run.config().data.path) not in artifact.description.config


def test_artifact_is_measured_on_files(run: Any, tmp_path: Path) -> None:
    """`cnn eval` of the artifact equals the run's, on the run's own test files and on the same files as a folder."""
    from cnncli.engine.evaluation.evaluate import EvaluationOptions, evaluate
    from cnncli.engine.exporting.export import Wanted, export
    from cnncli.engine.exporting.open import open_artifact
    from cnncli.serving.evaluate import evaluate_artifact

    (kept,) = export(run, Wanted(kinds=("onnx",)), print)
    artifact, plain = open_artifact(kept.path), evaluate(run, EvaluationOptions("best", "test")).result
    elsewhere = Path(run.config().data.path) / "test"
    for data in (None, elsewhere):
        found, _ = evaluate_artifact(artifact, kept.path, "test", data, Path("nowhere"))
        assert found.result.accuracy == plain.accuracy
        assert found.result.loss == pytest.approx(plain.loss, abs=1e-5)
        assert found.doubts == ()
    everything = tmp_path / "everything"
    for file in Path(run.config().data.path).rglob("*.png"):
        (everything / file.parent.name).mkdir(parents=True, exist_ok=True)
        shutil.copy(file, everything / file.parent.name / f"{file.parent.parent.name}-{file.name}")
    found, document = evaluate_artifact(artifact, kept.path, "test", everything, Path("nowhere"))
    assert document["num_examples"] == 60
    assert "the examples that the network was trained with" in document["doubts"][0]
    next(everything.rglob("*.png")).unlink()
    assert evaluate_artifact(artifact, kept.path, "test", everything, Path("nowhere"))[0].doubts == ()
