"""Masks that COCO's annotations draw: the pixels of its own tools, and what is wrong in such files."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from cnncli.config.schema.schema import Data
from cnncli.datasets.masks import annotations
from cnncli.datasets.masks.regions import packed_run_lengths, polygon, run_lengths
from cnncli.errors import DataError

POLYGONS = json.loads((Path(__file__).parent / "golden/polygons_of_pycocotools.json").read_text(encoding="utf-8"))
"""What pycocotools 2.0.8 makes of polygons, inside of images and across their borders."""


@pytest.mark.parametrize("row", POLYGONS[::6], ids=lambda row: f"{row['height']}x{row['width']}")
def test_polygons_cover_what_cocos_tools_find(row):
    """To the last pixel; and its packed run lengths are read as they are meant."""
    index = POLYGONS.index(row)
    for each in POLYGONS[index : index + 6]:
        size = each["height"], each["width"]
        covered = polygon(each["polygon"], *size)
        assert np.array_equal(covered, run_lengths(packed_run_lengths(each["counts"]), *size))
        assert covered.sum() == each["area"]


def test_a_rectangle_and_its_run_lengths():
    """Pixels 2 to 4 across and 1 to 2 down, by slicing."""
    expected = np.zeros((4, 6), bool)
    expected[1:3, 2:5] = True
    assert np.array_equal(polygon([2, 1, 5, 1, 5, 3, 2, 3], 4, 6), expected)
    assert np.array_equal(run_lengths([9, 2, 2, 2, 2, 2, 5], 4, 6), expected)


BOX, SQUARE = [[2, 1, 5, 1, 5, 3, 2, 3]], [[0, 0, 2, 0, 2, 2, 0, 2]]


def one(image, category, segmentation, number=7):
    """Return an annotation."""
    return {"id": number, "image_id": image, "category_id": category, "segmentation": segmentation}


def document(objects, images=("a.png", "b.png"), **changes):
    """Return a file of annotations of images with 4 × 6 pixels."""
    named = [{"id": number, "file_name": name, "height": 4, "width": 6} for number, name in enumerate(images, 1)]
    categories = [{"id": 40, "name": "dog"}, {"id": 3, "name": "cat"}]
    return {"images": named, "annotations": objects, "categories": categories, **changes}


@pytest.fixture
def load_annotated(tmp_path, encode, load_masks):
    """Return a function that writes two images and annotations, and loads them."""

    def load(content, files=("a.png", "b.png"), **data):
        (tmp_path / "set/images").mkdir(parents=True, exist_ok=True)
        generator = np.random.default_rng(0)
        for name in files:
            (tmp_path / "set/images" / name).write_bytes(encode(generator.integers(0, 256, (4, 6, 3), np.uint8)))
        text = content if isinstance(content, str) else json.dumps(content)
        (tmp_path / "set/objects.json").write_text(text, encoding="utf-8")
        options = {"images": "images", "masks": "objects.json", "classes": None, "image_size": (4, 6)}
        return load_masks(tmp_path / "set", **{**options, **data})

    return load


def test_objects_become_classes(load_annotated):
    """All categories and the background, in the order of their numbers; of two objects the later is on top."""
    runs = {"size": [4, 6], "counts": [0, 4, 20]}
    splits = load_annotated(document([one(1, 40, BOX), one(1, 3, SQUARE), one(1, 3, runs), one(2, 3, SQUARE + BOX)]))
    assert splits.classes == ("background", "cat", "dog")
    first, second = np.zeros((2, 4, 6), int)
    first[1:3, 2:5] = 2
    first[:2, :2] = second[:2, :2] = second[1:3, 2:5] = 1
    first[:, 0] = 1
    assert np.array_equal(splits.train.targets.read(0), first)
    assert np.array_equal(splits.train.targets.read(1), second)
    assert splits.train.targets.take(np.array([1])).pixels.tolist() == [[14, 10, 0, 0]]
    fitted = splits.train.targets.fit(Data(source="digits", image_size=(2, 3)))
    assert np.array_equal(fitted, [first[1::2, 1::2], second[1::2, 1::2]])


def test_some_categories_and_ignored_ones(load_annotated):
    """By their numbers in data.classes; those of data.ignore count nowhere."""
    content = document([one(1, 40, BOX), one(2, 3, SQUARE)])
    splits = load_annotated(content, classes={"nothing": 0, "dog": 40}, ignore=3)
    assert splits.classes == ("nothing", "dog")
    assert splits.train.targets.pixels.tolist() == [[18, 6, 0], [20, 0, 4]]
    assert load_annotated(content, ignore=3).classes == ("background", "dog")


def test_splits_by_file(load_annotated, tmp_path, encode):
    """One file of annotations a split, images in one folder or in one for each."""
    for split in ("train", "val"):
        (tmp_path / f"set/{split}2017").mkdir(parents=True)
        (tmp_path / f"set/instances_{split}.json").write_text(json.dumps(document([one(1, 3, BOX)], ["x.png"])))
        (tmp_path / f"set/{split}2017/x.png").write_bytes(encode(np.full((4, 6, 3), len(split), np.uint8)))
    splits = load_annotated(document([]), images="{split}2017", masks="instances_{split}.json", validation="validation")
    assert [list(split.ids) for split in splits.present()] == [["train2017/x.png"], ["val2017/x.png"]]


@pytest.mark.usefixtures("settled")
def test_the_second_time_nothing_is_drawn(load_annotated, monkeypatch):
    """The same annotations have the same masks; others are drawn."""
    content = document([one(1, 3, BOX)])
    before = load_annotated(content).train.targets.pixels
    drawn = []
    measure = annotations._measure
    monkeypatch.setattr(annotations, "_measure", lambda *given: (drawn.append(given[2]), measure(*given)))
    assert np.array_equal(load_annotated(content).train.targets.pixels, before)
    assert drawn == []
    assert load_annotated(document([one(1, 3, SQUARE)])).train.targets.pixels[0].tolist() == [20, 4, 0, 0]
    assert sorted(drawn) == [0, 1]


@pytest.mark.parametrize(
    ("content", "data", "words"),
    [
        ("{", {}, "objects.json is not JSON"),
        ("[1]", {}, "objects.json is not a file of annotations: it is "),
        ({"images": []}, {}, r"annotations is missing"),
        (document([one(1, 0, BOX)]), {}, r"annotations\[0\].category_id is 0, expected a whole number from 1"),
        (document([one(9, 3, BOX)]), {}, "an annotation of the image 9, which it does not name"),
        (document([], ["a.png", "a.png"]), {}, "the same file_name twice among its images"),
        (document([one(1, 5, BOX)]), {}, r"images/a.png: values without a class: 5 \(6 pixels, first at x 2, y 1\)"),
        (document([one(1, 3, [[1, 2, 3, 4]])]), {}, "a.png: annotation 7: a polygon of 4 numbers"),
        (document([one(1, 3, [])]), {}, "annotation 7: it has no segmentation"),
        (document([one(1, 3, [[1e9, 0, 5, 5, 0, 5]])]), {}, "annotation 7: a polygon with corners far outside"),
        (document([one(1, 3, [["a"] * 6])]), {}, "a.png: annotation 7: could not convert"),
        (document([one(1, 3, {"size": [4, 6], "counts": [5, 5]})]), {}, "run lengths of 10 pixels; the image has 24"),
        (document([one(1, 3, {"size": [6, 4], "counts": [24]})]), {}, r"run lengths of \[6, 4\] pixels"),
        (document([one(1, 3, {"size": [4, 6], "counts": "o"})]), {}, "run lengths that are cut off"),
        (document([one(1, 3, {"size": [4, 6], "counts": "é"})]), {}, "characters that mean nothing"),
        (document([], ["a.png", "c.png", "b.png"]), {}, "c.png: named in objects.json, but there is no such image"),
        (document([], ["a.png"]), {}, "images/b.png: objects.json does not name it"),
        (document([]), {"masks": "other.json"}, 'no file that matches "other.json"'),
        (document([]), {"classes": ("a", "b")}, "data.classes is a list"),
        (document([], images=()), {}, "contains no readable training images with masks"),
    ],
)
def test_what_is_wrong_is_named(load_annotated, content, data, words):
    """The file or the image, the annotation, and what was expected."""
    with pytest.raises(DataError, match=words):
        load_annotated(content, **data)


def test_annotations_of_another_size(load_annotated):
    """They are those of another image."""
    content = document([])
    content["images"][1].update(height=6, width=4)
    with pytest.raises(DataError, match=r"images/b.png: the mask has 6×4 pixels, its image 4×6"):
        load_annotated(content)
