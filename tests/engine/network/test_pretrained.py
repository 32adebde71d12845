"""Weights of Keras Applications: the same predictions as Keras, and fine-tuning that leaves alone what is frozen."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from cnncli.cli.app import app
from cnncli.errors import CnnError
from cnncli.importing.keras.applications import APPLICATIONS
from cnncli.runs.run import Run

pytestmark = pytest.mark.engine

SMALL = ["--set", "data.image_size=[32, 32]", "--set", "train.epochs=1", "--set", "train.threads=2"]


def test_the_published_files_are_those_of_keras(script: Callable[[str], ModuleType]) -> None:
    """Addresses and MD5 stand in the source of the Keras that is installed."""
    campaign = script("campaigns/backbones.py")
    for application in APPLICATIONS:
        module = campaign.module_of(application.name)
        source = inspect.getsource(inspect.getmodule(inspect.unwrap(module.preprocess_input)))  # type: ignore[arg-type]
        for file in (application.whole, application.without_top):
            assert f'"{file.url.removesuffix(file.name)}"' in source
            assert file.md5 is None or file.md5 in source
        assert ("file_hash" in source) == (application.whole.md5 is not None)


def test_predictions_are_those_of_keras(script: Callable[[str], ModuleType], tmp_path: Path) -> None:
    """Of bytes, by the short form of tests/campaigns/backbones.py."""
    found = script("campaigns/backbones.py").compare("mobilenet_v2", tmp_path, 2, ())
    assert found.ours == found.theirs == 3_538_984
    assert found.differences["run"] < 1e-5 < found.spread


@pytest.fixture(scope="module")
def folder(script: Callable[[str], ModuleType], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with photos of three classes, and files of MobileNetV2's weights in both layouts."""
    import keras

    folder, random = tmp_path_factory.mktemp("photos"), np.random.default_rng(0)
    for channel, name in enumerate("abc"):
        (folder / "photos" / name).mkdir(parents=True)
        for number in range(8):
            pixels = random.integers(0, 90, (40, 36, 3), np.uint8)
            pixels[..., channel] += 120
            Image.fromarray(pixels).save(folder / "photos" / name / f"{number}.png")
    keras.utils.set_random_seed(1)
    model = keras.applications.MobileNetV2(weights=None, include_top=False)
    for variable in model.weights:
        if variable.path.endswith(("mean", "beta")):
            variable.assign(random.normal(0, 0.1, variable.shape))
    script("campaigns/backbones.py").write_older(model, folder / "older.h5")
    model.save_weights(folder / "new.weights.h5")
    return folder


def cnn(*arguments: str) -> Result:
    """Run a command, which must succeed."""
    done = CliRunner().invoke(app, [*arguments])
    assert done.exit_code == 0, done.output
    return done


def arrays_of(run: str) -> dict[str, Any]:
    """Return the weights of a run's newest checkpoint."""
    checkpoint = Run.open(Path(run)).checkpoints.latest()
    assert checkpoint is not None
    return {name: array for name, array in checkpoint.arrays.items() if name.startswith("model/")}


def test_a_frozen_backbone_stays_as_it_is(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both layouts; in the first step bit by bit, with its statistics; in the second it learns, but for those."""
    from cnncli.config.load import load
    from cnncli.importing.keras.pretrained import backbone_of, read_pretrained

    monkeypatch.chdir(folder)
    cnn("init", "my.yaml", "--data", "photos", "--backbone", "mobilenet_v2")
    given = read_pretrained(Path("older.h5"), backbone_of(load("my.yaml"))).arrays
    newer = read_pretrained(Path("new.weights.h5"), backbone_of(load("my.yaml"))).arrays
    assert given.keys() == newer.keys()
    assert all(np.array_equal(given[name], newer[name]) for name in given)

    done = cnn("train", "my.yaml", *SMALL, "--set", "train.start_from.weights=older.h5")
    assert "new weights for dense (not there)" in done.stderr
    first = done.stdout.splitlines()[-1]
    assert Run.open(Path(first)).record["started_from"]["file"] == "older.h5"
    arrays = arrays_of(first)
    assert arrays.keys() == {f"model/{name}" for name in given} | {"model/dense/kernel", "model/dense/bias"}
    for name, array in given.items():
        np.testing.assert_array_equal(arrays[f"model/{name}"], array, name)

    second = cnn("train", "my_finetune.yaml", *SMALL).stdout.splitlines()[-1]
    learned = arrays_of(second)
    changed = {name for name in arrays if not np.array_equal(arrays[name], learned[name])}
    assert changed > {"model/conv2d_34/kernel", "model/dense/kernel"}
    assert not any("batch_normalization" in name for name in changed)


def test_no_network_is_one_error(monkeypatch: pytest.MonkeyPatch, folder: Path, tmp_path: Path) -> None:
    """It names the address, and says how to go on without one; no run is made."""
    from cnncli.engine.network import pretrained

    def unreachable(_: object) -> None:
        raise OSError("no route to host")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(pretrained, "open_published", unreachable)
    cnn("init", "my.yaml", "--data", str(folder / "photos"), "--backbone", "mobilenet_v2")
    done = CliRunner().invoke(app, ["train", "my.yaml", *SMALL])
    assert isinstance(done.exception, CnnError)
    assert done.exception.message == "the weights cannot be downloaded: no route to host"
    assert "{weights: PATH}" in str(done.exception.hint)
    assert not (tmp_path / "runs").exists()
