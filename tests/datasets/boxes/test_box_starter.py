"""`cnn init --data` on images with boxes: each form is recognised, the config is clean and trains as it is."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from cnncli.analysis.check import check
from cnncli.cli.app import app
from cnncli.config.load import load, loads
from cnncli.datasets import inspect
from cnncli.datasets import load as load_splits
from cnncli.datasets.boxes.starter import boxes_size, level_of, starter_for_boxes
from cnncli.datasets.starter import write_for_data
from cnncli.datasets.survey import BoxSurvey, survey
from cnncli.errors import DataError
from tests.datasets.boxes.annotations import voc_xml

BOX = (5, 9, 24, 28)
"""xmin, ymin, xmax, ymax of the first object, counted from 0; the second is 8 pixels to the right."""


@pytest.fixture
def cells(write, encode, monkeypatch, tmp_path):
    """Return a function that writes images of 40×60 with two objects each, as a form has them."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    generator = np.random.default_rng(0)
    left, top, right, bottom = BOX

    def make(source, number=8, shift=0):
        files, coco = {}, []
        for n in range(number):
            name = f"{n}.png"
            content = encode(generator.integers(0, 256, (40, 60, 3), np.uint8))
            files[{"voc": f"JPEGImages/{name}"}.get(source, f"images/{name}")] = content
            boxes = [(left + 8 * k - shift, top, right + 8 * k - shift, bottom) for k in range(2)]
            named = [("rbc", a + 1, b + 1, c, d, "") for a, b, c, d in boxes]
            files |= {"voc": {f"Annotations/{n}.xml": voc_xml(named, size=(60, 40), filename=name)}}.get(source, {})
            lines = [f"0 {(a + c) / 120} {(b + d) / 80} {(c - a) / 60} {(d - b) / 40}\n" for a, b, c, d in boxes]
            files |= {"yolo": {f"labels/{n}.txt": "".join(lines)}}.get(source, {})
            coco += [(n, [a, b, c - a, d - b]) for a, b, c, d in boxes]
        if source == "yolo":
            files["data.yaml"] = "names: [rbc, wbc]"
        if source == "coco":
            document = {
                "images": [{"id": n, "file_name": f"{n}.png", "height": 40, "width": 60} for n in range(number)],
                "annotations": [{"image_id": n, "category_id": 1, "bbox": box} for n, box in coco],
                "categories": [{"id": 1, "name": "rbc"}],
            }
            files["annotations/instances_train.json"] = json.dumps(document)
        return write(files)

    return make


def written(data, file="mine.yaml"):
    """Write a config for data beside it, and read it."""
    write_for_data(data.parent / file, data)
    return load(data.parent / file)


def found(number=100, size=(480, 640), side=0.1, **more):
    """Return what is found where all images have one size, and all objects one side as a share of the image's."""
    standard = {
        "path": Path("cells"),
        "source": "voc",
        "counts": {"rbc": number, "wbc": number},
        "sizes": np.tile(np.int32(size), (number, 1)),
        "num_grey": 0,
        "splits": ("train",),
        "num_bad": 0,
        "objects": {"rbc": 10, "wbc": 2},
        "shares": np.full((12, 2), side),
        "num_bad_boxes": 0,
    }
    return BoxSurvey(**(standard | more))


@pytest.mark.parametrize("source", ["voc", "coco", "yolo"])
@pytest.mark.parametrize("is_archive", [False, True])
def test_each_form_is_recognised(source, is_archive, cells, tmp_path):
    """In a folder and in an archive, also of a folder: the objects are those that were written, nothing is to mend."""
    data = cells(source)
    if is_archive:
        with zipfile.ZipFile(tmp_path / "cells.zip", "w") as packed:
            for file in sorted(data.rglob("*.*")):
                packed.write(file, file.relative_to(tmp_path))
        data = tmp_path / "cells.zip"
    config = written(data)
    assert check(config) == ()
    assert (config.task, config.data.source, config.data.image_size) == ("detection", source, (48, 64))
    assert "8 images of" in (tmp_path / "mine.yaml").read_text(encoding="utf-8")
    splits = load_splits(config)
    assert (len(splits.train), len(splits.validation)) == (6, 2)
    for own in splits.train.targets.objects:
        np.testing.assert_allclose(own.corners, [BOX, np.add(BOX, (8, 0, 8, 0))], atol=1e-9)
    assert inspect(config).passport["targets"]["train"]["in_network"]["same_cell"] == 0


def test_heights_and_widths_of_the_objects(cells):
    """As shares of their images, which are 40 high and 60 wide."""
    found = survey(cells("voc", number=2))
    np.testing.assert_allclose(found.shares, [[19 / 40, 19 / 60]] * 4)
    assert found.objects == {"rbc": 4}
    assert found.sides((80, 120), 0.0, 0.5) == [pytest.approx(38)] * 2


def test_boxes_that_reach_outside(cells, tmp_path):
    """They are cut off, and the config says how many; what is wrong with nearly all is no data for a config."""
    data = cells("voc", shift=7)
    config = written(data)
    assert config.data.on_bad_box == "clip"
    text = (tmp_path / "mine.yaml").read_text(encoding="utf-8")
    assert "8 boxes cannot be used unchanged" in text
    assert load_splits(config).train.targets.read(0).corners[:, 0].tolist() == [0, 6]
    for file in (data / "Annotations").iterdir():
        # Width and height in place of the second corner, as some programs write them.
        file.write_text(file.read_text(encoding="utf-8").replace("<xmax>", "<xmax>-"), encoding="utf-8")
    with pytest.raises(DataError, match=r"most boxes of .* cannot be used, the first: .*object 1"):
        write_for_data(tmp_path / "other.yaml", data)
    assert not (tmp_path / "other.yaml").exists()


@pytest.mark.parametrize("number", [19, 60_000])
@pytest.mark.parametrize("size", [(8, 8), (20, 400), (400, 20), (70, 70), (480, 640), (3000, 4000)])
@pytest.mark.parametrize("side", [0.004, 0.05, 0.9])
def test_every_network_is_clean(number, size, side, tmp_path):
    """`cnn check` finds nothing: sides divide evenly, planes that are joined have one size, cells suit the objects."""
    looked_at = found(number, size, side)
    text = starter_for_boxes(looked_at, tmp_path / "x.yaml")
    config = loads(text)
    assert check(config) == ()
    rows, columns = (length >> level_of(looked_at, config.data.image_size) for length in config.data.image_size)
    assert config.output_shape == {"heatmap": (rows, columns, 2), "box": (rows, columns, 4)}
    assert max(map(len, text.splitlines())) <= 120


def test_sizes_follow_from_the_objects():
    """Small objects enlarge the network's input, up to half as much again; cells are larger where objects are."""
    sizes = [boxes_size(found(side=side)) for side in (0.01, 0.06, 0.2)]
    assert sizes == [(288, 384), (224, 304), (192, 256)]
    assert [level_of(found(side=side), (192, 256)) for side in (0.01, 0.03, 0.1, 0.2, 0.25)] == [1, 1, 2, 2, 3]
    assert boxes_size(found(size=(60, 80), side=0.01)) == (64, 80)
    assert boxes_size(found(60_000, side=0.2)) == (128, 160)


def test_what_the_comments_and_keys_follow_from(tmp_path):
    """Bad files are skipped, digits are not mirrored, and the data's own splits are used."""
    looked_at = found(
        num_bad=2,
        num_bad_boxes=1,
        counts={"1": 3, "7": 4},
        objects={"1": 5_000, "7": 7},
        splits=("train", "validation", "test"),
        sizes=np.tile(np.int32([[40, 90], [90, 40]]), (50, 1)),
    )
    text = starter_for_boxes(looked_at, tmp_path / "x.yaml")
    config = loads(text)
    assert check(config) == ()
    assert (config.data.on_bad_image, config.data.on_bad_box) == ("skip", "clip")
    assert (config.data.validation, config.data.test) == ("validation", None)
    assert config.data.augmentation[0].type_name() == "RandomScale"
    assert '12 objects: 5,000 "1", 7 "7"' in text
    assert "1 box cannot be used unchanged" in text
    assert "stretched by default; or pad\n" in text


def test_the_command_tells_what_it_found(cells, tmp_path):
    """The images, the objects, and how to go on."""
    data = cells("yolo")
    result = CliRunner().invoke(app, ["init", str(tmp_path / "new.yaml"), "--data", str(data)], catch_exceptions=False)
    assert result.exit_code == 0
    assert "8 images of 2 classes, in colour, usually 40×60." in result.output
    assert "16 objects with boxes." in result.output


@pytest.mark.engine
def test_the_network_trains_at_once(cells, tmp_path):
    """One epoch on eight images, as the file stands."""
    from cnncli.engine.training.train import train
    from cnncli.runs.events import Silence

    written(cells("coco"))
    outcome = train(load(tmp_path / "mine.yaml", ["train.epochs=1"]), tmp_path / "runs", Silence())
    assert outcome.status == "done"
