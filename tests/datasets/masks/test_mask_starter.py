"""`cnn init --data` and `cnn data` on images with masks: layouts and values are recognised, the config is clean."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from cnncli.analysis.check import check
from cnncli.cli.app import app
from cnncli.config.load import load, loads
from cnncli.config.schema.schema import Config
from cnncli.datasets import load as load_splits
from cnncli.datasets.data_path import source_of
from cnncli.datasets.masks.starter import starter_for_masks
from cnncli.datasets.starter import write_for_data
from cnncli.datasets.survey import MaskSurvey


@pytest.fixture
def cells(tmp_path, encode, monkeypatch):
    """Return a function that writes grey images with masks of two values: folder of images, of masks, file names."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))

    def make(
        values: tuple[int, ...], folders: tuple[str, str] = ("images", "masks"), number: int = 6, size=(40, 50)
    ) -> Path:
        generator = np.random.default_rng(number)
        for row in range(number):
            image = generator.integers(0, 256, size).astype(np.uint8)
            mask = np.array(values, np.uint8)[image.astype(int) * len(values) // 256]
            for folder, pixels in zip(folders, (image, mask), strict=True):
                (tmp_path / "cells" / folder).mkdir(parents=True, exist_ok=True)
                (tmp_path / "cells" / folder / f"{row}.png").write_bytes(encode(pixels))
        return tmp_path / "cells"

    return make


def written(data: Path) -> Config:
    """Write a config for data beside it, and read it."""
    file = data.parent / "mine.yaml"
    write_for_data(file, data)
    return load(file)


def found(number: int = 100, size: tuple[int, int] = (64, 64), **more) -> MaskSurvey:
    """Return what is found where all images have one size."""
    standard = {
        "path": Path("cells"),
        "source": "masks",
        "counts": {"background": number, "cell": number},
        "sizes": np.tile(np.int32(size), (number, 1)),
        "num_grey": 0,
        "splits": ("train",),
        "num_bad": 0,
        "folders": ("images", "masks"),
        "values": {"background": 0, "cell": 255},
        "ignored": None,
        "pixels": {"background": 900, "cell": 100},
    }
    return MaskSurvey(**(standard | more))


def test_masks_of_0_and_255(cells) -> None:
    """Background and object, alike in number: no weights; the size is the images' own, the division random."""
    config = written(cells((0, 255), ("img_dir/train", "ann_dir/train")))
    assert check(config) == ()
    assert (config.task, config.data.source, config.data.channels) == ("segmentation", "masks", 1)
    assert config.data.classes == {"background": 0, "object": 255}
    assert (config.data.ignore, config.data.image_size) == (None, (48, 48))
    assert [change.type_name() for change in config.data.augmentation] == ["RandomFlip", "RandomScale"]
    assert config.train.loss.class_weights == "none"
    assert config.output_shape == (48, 48, 2)
    splits = load_splits(config)
    assert (len(splits.train), len(splits.validation), splits.test) == (5, 1, None)


def test_values_without_names(cells) -> None:
    """Each value is a class; 255 beside others is none."""
    config = written(cells((0, 3, 7, 255)))
    assert config.data.classes == {"class_0": 0, "class_1": 3, "class_2": 7}
    assert config.data.ignore == 255
    assert check(config) == ()


@pytest.mark.parametrize(("last", "values"), [("car\nvoid\n", (0, 1, 2)), ("car\n", (0, 1, 2)), ("car\n", (0, 1, 255))])
def test_names_of_a_file_in_an_archive(cells, last, values) -> None:
    """Below one folder, with splits of its own; a class called void is ignored, and a value without a name."""
    for split, number in (("train", 4), ("val", 2), ("test", 3)):
        folder = cells(values, (f"{split}/images", f"{split}/masks"), number)
    (folder / "classes.txt").write_text(f"road\n{last}")
    archive = folder.parent / "streets.zip"
    with zipfile.ZipFile(archive, "w") as packed:
        for file in folder.rglob("*.*"):
            packed.write(file, file.relative_to(folder.parent))
    config = written(archive)
    assert check(config) == ()
    assert (config.data.classes, config.data.ignore) == (None, values[-1])
    assert (config.data.validation, config.data.test) == ("validation", None)
    splits = load_splits(config)
    assert splits.classes == ("road", "car")
    assert [len(splits.named(name)) for name in ("train", "validation", "test")] == [4, 2, 3]


def test_class_folders_stay_class_folders(tmp_path, cells) -> None:
    """Only folders that are known by name hold masks; labels that are no images are none."""
    folder = cells((0, 1), ("cat", "dog"))
    assert source_of(folder) == "folder"
    folder = cells((0, 1), ("images", "images"))
    (folder / "labels").mkdir()
    (folder / "labels" / "0.txt").write_text("0 0.5 0.5 0.1 0.1")
    assert source_of(folder) == "folder"
    assert source_of(cells((0, 1), ("train/images", "train/labels"))) == "masks"


def test_data_shows_the_pixels_of_masks(cells) -> None:
    """The passport of a folder without a config; classes can be given, as to every config."""
    folder = cells((0, 255))
    result = CliRunner().invoke(app, ["data", str(folder)], catch_exceptions=False)
    assert (result.exit_code, "6 images of 2 classes from masks" in result.output) == (0, True)
    assert "object" in result.output
    renamed = ["data", str(folder), "--set", "data.classes={air: 0, cell: 255}"]
    assert "cell" in CliRunner().invoke(app, renamed, catch_exceptions=False).output


@pytest.mark.parametrize("number", [20, 3_000, 60_000])
@pytest.mark.parametrize("size", [(8, 8), (20, 400), (400, 20), (70, 70), (360, 480), (3000, 4000)])
def test_every_network_is_clean(number, size, tmp_path) -> None:
    """`cnn check` finds nothing: sides divide evenly, planes that are joined have one size, rare classes weigh more."""
    text = starter_for_masks(found(number, size), tmp_path / "x.yaml")
    config = loads(text)
    assert check(config) == ()
    assert config.output_shape == (*config.data.image_size, 2)
    assert config.train.loss.class_weights == "inverse_log"
    assert max(map(len, text.splitlines())) <= 120


def test_what_the_comments_and_keys_follow_from(tmp_path) -> None:
    """Bad files are skipped and told; colours are written as lists."""
    colours = {"background": (0, 0, 0), "cell": (255, 0, 9)}
    text = starter_for_masks(found(num_bad=2, values=colours, splits=("train", "test")), tmp_path / "x.yaml")
    config = loads(text)
    assert config.data.classes == colours
    assert (config.data.on_bad_image, config.data.test, config.data.validation) == ("skip", None, 0.2)
    assert "2 files cannot be used" in text
    assert "10.00 % of the pixels" in text


@pytest.mark.engine
def test_the_network_trains_at_once(cells, tmp_path) -> None:
    """One epoch on six images, as the file stands."""
    from cnncli.engine.training.train import train
    from cnncli.runs.events import Silence

    written(cells((0, 255), size=(32, 32)))
    outcome = train(load(tmp_path / "mine.yaml", ["train.epochs=1"]), tmp_path / "runs", Silence())
    assert outcome.status == "done"
