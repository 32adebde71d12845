"""Exports of Roboflow, in the files that it writes for VOC, COCO and YOLO: read as they are."""

from __future__ import annotations

import json
import zipfile

import numpy as np
import pytest

from cnncli.analysis.check import check
from cnncli.config.load import load
from cnncli.datasets.data_path import source_of
from cnncli.datasets.starter import write_for_data
from cnncli.errors import DataError
from tests.datasets.boxes.annotations import voc_xml

WIDTH, HEIGHT = 60, 40
NUMBERS = {"train": 4, "valid": 2, "test": 1}
BOXES = {"rbc": (5, 9, 24, 28), "wbc": (30, 0, 60, 40)}
"""xmin, ymin, xmax, ymax, counted from 0; the first is in every image, the second in the first of each split."""


def objects_of(number):
    """Return the objects of an image of a split: class and box of each."""
    return list(BOXES.items())[: 2 if number == 0 else 1]


@pytest.fixture
def export(write, encode, pixels):
    """Return a function that writes an export in a form, and returns its folder."""

    def make(form):
        files = {"README.dataset.txt": "cells", "README.roboflow.txt": "cells - v1"}
        for split, number in NUMBERS.items():
            names = [f"{split}_{n}_jpg.rf.0a1b2c{n}" for n in range(number)]
            folder = f"{split}/images" if form == "yolo" else split
            files |= {f"{folder}/{name}.jpg": encode(pixels(HEIGHT, WIDTH), "JPEG") for name in names}
            files |= globals()[f"{form}_files"](split, names)
        if form == "yolo":
            paths = "train: ../train/images\nval: ../valid/images\ntest: ../test/images\n"
            files["data.yaml"] = f"{paths}\nnc: 2\nnames: ['rbc', 'wbc']\n\nroboflow:\n  workspace: lab\n  version: 1\n"
        return write(files, root=form)

    return make


def voc_files(split, names):
    """Return an XML file beside each image."""
    found = {}
    for number, name in enumerate(names):
        objects = [(of, a + 1, b + 1, c, d, "<pose>Unspecified</pose>") for of, (a, b, c, d) in objects_of(number)]
        extra = f"<folder></folder><path>{name}.jpg</path><source><database>roboflow.com</database></source>"
        found[f"{split}/{name}.xml"] = voc_xml(objects, (WIDTH, HEIGHT), f"{name}.jpg", extra)
    return found


def coco_files(split, names):
    """Return the annotations of a split, whose category 0 is the name of the project."""
    annotations = [
        {"image_id": n, "category_id": list(BOXES).index(of) + 1, "bbox": [a, b, c - a, d - b], "iscrowd": 0}
        for n in range(len(names))
        for of, (a, b, c, d) in objects_of(n)
    ]
    document = {
        "info": {"year": "2026", "version": "1"},
        "categories": [
            {"id": 0, "name": "cells", "supercategory": "none"},
            *({"id": n, "name": of, "supercategory": "cells"} for n, of in enumerate(BOXES, 1)),
        ],
        "images": [
            {"id": n, "file_name": f"{name}.jpg", "height": HEIGHT, "width": WIDTH} for n, name in enumerate(names)
        ],
        "annotations": [{"id": n, **each} for n, each in enumerate(annotations)],
    }
    return {f"{split}/_annotations.coco.json": json.dumps(document)}


def yolo_files(split, names):
    """Return a file of labels for each image."""
    return {
        f"{split}/labels/{name}.txt": "\n".join(
            f"{list(BOXES).index(of)} {(a + c) / 2 / WIDTH} {(b + d) / 2 / HEIGHT} {(c - a) / WIDTH} {(d - b) / HEIGHT}"
            for of, (a, b, c, d) in objects_of(number)
        )
        for number, name in enumerate(names)
    }


@pytest.mark.parametrize("form", ["voc", "coco", "yolo"])
@pytest.mark.parametrize("is_archive", [False, True])
def test_an_export_is_read_as_it_is(form, is_archive, export, load_boxes, tmp_path, monkeypatch):
    """It is recognised; splits, classes and boxes are those of the project; nothing is unreadable; a config follows."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    data = export(form)
    if is_archive:
        with zipfile.ZipFile(tmp_path / "cells.zip", "w") as packed:
            for file in sorted(data.rglob("*.*")):
                packed.write(file, file.relative_to(data))
        data = tmp_path / "cells.zip"
    assert source_of(data) == form
    passport = load_boxes(data, inspect=True, source=form, validation="validation").passport
    assert passport["bad_files"] == []
    splits = load_boxes(data, source=form, validation="validation")
    assert splits.classes == ("rbc", "wbc")
    assert [len(split) for split in splits.present()] == list(NUMBERS.values())
    for split in splits.present():
        for number, own in enumerate(split.targets.objects):
            expected = objects_of(number)
            assert [splits.classes[label] for label in own.labels.tolist()] == [of for of, _ in expected]
            np.testing.assert_allclose(own.corners, [box for _, box in expected], atol=1e-9)
    write_for_data(tmp_path / "mine.yaml", data)
    config = load(tmp_path / "mine.yaml")
    assert (check(config), config.data.source, config.data.validation) == ((), form, "validation")


def test_annotations_beside_that_do_not_fit(export, load_boxes):
    """An image without XML, XML without an image, two images of one XML: each is told by its name."""
    data = export("voc")
    (data / "valid" / "valid_1_jpg.rf.0a1b2c1.xml").rename(data / "valid" / "other.xml")
    with pytest.raises(DataError) as caught:
        load_boxes(data, validation="validation")
    assert "expected valid/valid_1_jpg.rf.0a1b2c1.xml" in str(caught.value)
    found = load_boxes(data, inspect=True, validation="validation", on_bad_image="skip").passport["bad_files"]
    assert [(each["file"], each["split"], each["reason"]) for each in found] == [
        ("valid/other.xml", "validation", "no image for these annotations"),
        (
            "valid/valid_1_jpg.rf.0a1b2c1.jpg",
            "validation",
            "no annotations of this image: expected valid/valid_1_jpg.rf.0a1b2c1.xml",
        ),
    ]
    (data / "train" / "train_0_jpg.rf.0a1b2c0.png").write_bytes(b"another")
    with pytest.raises(DataError, match=r"train_0_jpg.rf.0a1b2c0\.(jpg|png) have the same annotations"):
        load_boxes(data)


def test_a_group_with_objects_of_its_own_is_a_class(export, load_boxes):
    """Only what has no object in any file is left out; a class that is its own group stays."""
    data = export("coco")
    file = data / "test" / "_annotations.coco.json"
    document = json.loads(file.read_text(encoding="utf-8"))
    document["annotations"][1]["category_id"] = 0
    file.write_text(json.dumps(document), encoding="utf-8")
    assert load_boxes(data, source="coco", validation="validation").classes == ("cells", "rbc", "wbc")
    for split in NUMBERS:
        file = data / split / "_annotations.coco.json"
        document = json.loads(file.read_text(encoding="utf-8"))
        document["categories"] = [
            {"id": 0, "name": "cells", "supercategory": "cells"},
            {"id": 1, "name": "rbc", "supercategory": ["cells"]},
            {"id": 2, "name": "wbc"},
        ]
        document["annotations"] = [each for each in document["annotations"] if each["category_id"] == 1]
        file.write_text(json.dumps(document), encoding="utf-8")
    assert load_boxes(data, source="coco", validation="validation").classes == ("cells", "rbc", "wbc")
