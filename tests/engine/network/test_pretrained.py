"""Weights of Keras Applications: the same predictions as Keras, and fine-tuning that leaves alone what is frozen."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import replace
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
FIRST = """model.blocks.backbone.layers=[{Rescaling: {scale: 2.0, offset: -1.0}},
  {Conv2D: {filters: 32, kernel_size: 3, strides: 2, padding: same, use_bias: false}}, norm, {ReLU: {max_value: 6.0}},
  {filter: {filters: 16}}, {half: {wide: 96, filters: 24, called: every_2nd}},
  {later: {times: 1, wide: 144, filters: 24}}]"""
"""The first of MobileNetV2's layers, which do not take long to compile."""


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

    short = [*SMALL, "--set", FIRST]
    done = cnn("train", "my.yaml", *short, "--set", "train.start_from.weights=older.h5")
    assert "new weights for dense (not there)" in done.stderr
    first = done.stdout.splitlines()[-1]
    assert Run.open(Path(first)).record["started_from"]["file"] == "older.h5"
    arrays = arrays_of(first)
    new = {"model/dense/kernel", "model/dense/bias"}
    assert {name.removeprefix("model/") for name in arrays.keys() - new} < given.keys()
    assert len(arrays) == 47
    for name in arrays.keys() - new:
        np.testing.assert_array_equal(arrays[name], given[name.removeprefix("model/")], name)

    second = cnn("train", "my_finetune.yaml", *short).stdout.splitlines()[-1]
    learned = arrays_of(second)
    changed = {name for name in arrays if not np.array_equal(arrays[name], learned[name])}
    assert changed > {"model/conv2d/kernel", "model/dense/kernel"}
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


@pytest.mark.parametrize("network", ["mobilenet_v2", "densenet121"])
def test_a_page_in_place_of_the_file_is_not_kept(network: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A network's login page, say: with an MD5 and without, the next download is a whole one."""
    from cnncli.config.load import load
    from cnncli.engine.network.pretrained import source_of
    from cnncli.importing.keras import applications

    published = next(each for each in APPLICATIONS if each.network == network)
    (tmp_path / "published").mkdir()
    (tmp_path / "published" / published.whole.name).write_text("<html>Log in", encoding="utf-8")
    page = replace(published.whole, url=(tmp_path / "published" / published.whole.name).as_uri())
    monkeypatch.setattr(applications, "APPLICATIONS", (replace(published, whole=page),))
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    with pytest.raises(CnnError, match=r"is not a file of weights|is not the published"):
        source_of(load(network, ["train.start_from={weights: imagenet}"]), tmp_path)
    assert list((tmp_path / "keras" / "models").iterdir()) == []
