"""Boxes from COCO's JSON: numbers that name each other, splits by the files' names."""

from __future__ import annotations

import json
import shutil

import pytest

from cnncli.errors import DataError

BOXES = ([0, 0, 60, 40], [10.5, 4, 9.25, 5])


def document(*names, categories=((7, "wbc"), (3, "rbc")), boxes=BOXES, **keys):
    """Return annotations of images of 40 by 60 pixels, each with the same boxes."""
    images = [{"id": number, "file_name": name, "height": 40, "width": 60} for number, name in enumerate(names, 5)]
    annotations = [
        {"image_id": image["id"], "category_id": 7 if place == 0 else 3, "bbox": box}
        for image in images
        for place, box in enumerate(boxes)
    ]
    for number, annotation in enumerate(annotations, 1):
        annotation["id"] = number
    found = {
        "images": images,
        "annotations": annotations,
        "categories": [{"id": number, "name": name} for number, name in categories],
    }
    return {**found, **keys}


@pytest.fixture
def make(write, encode, pixels):
    """Return a function that writes images by their paths, and documents by theirs."""

    def make(paths, documents):
        files = {path: encode(pixels()) for path in paths}
        return write({**files, **{path: json.dumps(content) for path, content in documents.items()}})

    return make


def test_edges_and_classes(make, load_boxes):
    """Corner and size become edges; classes are in the order of their numbers, which have gaps."""
    splits = load_boxes(make(["photos/a.png"], {"instances_train.json": document("a.png")}), source="coco")
    own = splits.train.targets.read(0)
    assert own.corners.tolist() == [[0, 0, 60, 40], [10.5, 4, 19.75, 9]]
    assert splits.classes == ("rbc", "wbc")
    assert own.labels.tolist() == [1, 0]
    assert own.areas.tolist() == [2400, 46.25]
    assert splits.passport["ignored_files"] == 0


LAYOUTS = {
    "as published": (
        ["train2017/a.png", "val2017/a.png", "test2017/c.png"],
        {
            "annotations/instances_train2017.json": document("a.png"),
            "annotations/instances_val2017.json": document("a.png"),
            "annotations/instances_test2017.json": document("c.png"),
            "annotations/captions_train2017.json": {},
        },
    ),
    "beside the images": (
        ["train/a.png", "valid/a.png", "test/a.png"],
        {f"{split}/_annotations.coco.json": document("a.png") for split in ("train", "valid", "test")},
    ),
    "paths in the file": (
        ["images/x/a.png", "images/y/a.png", "images/y/b.png"],
        {
            "train.json": document("x/a.png"),
            "val.json": document("images/y/a.png"),
            "test.json": document("./y\\b.png"),
        },
    ),
}


@pytest.mark.parametrize("name", LAYOUTS)
def test_layouts(name, make, load_boxes, tmp_path):
    """Images are found by their names and by the split; an archive holds the same."""
    folder = make(*LAYOUTS[name])
    splits = load_boxes(folder, source="coco", validation=0.1)
    assert [split.ids for split in splits.present()] == [[path] for path in LAYOUTS[name][0]]
    packed = load_boxes(shutil.make_archive(str(tmp_path / "packed"), "zip", folder), source="coco", validation=0.1)
    assert packed.passport["split_hash"] == splits.passport["split_hash"]


def test_crowds_and_areas(make, load_boxes):
    """Run lengths are not read; the area that the file names counts, and a crowd is not trained on."""
    content = document("a.png")
    content["annotations"][0] |= {"iscrowd": 1, "area": 12.5, "segmentation": {"counts": "no", "size": [1, 1]}}
    content["annotations"][1] |= {"iscrowd": 0, "area": "large", "segmentation": [[1, 2]]}
    split = load_boxes(make(["a.png"], {"train.json": content}), source="coco").train
    own = split.targets.read(0)
    assert own.crowd.tolist() == [True, False]
    assert own.areas.tolist() == [12.5, 46.25]


def test_images_without_objects(make, load_boxes):
    """They are examples; where no image has one, there is nothing to learn."""
    content = document("a.png", "b.png")
    content["annotations"] = content["annotations"][:2]
    splits = load_boxes(make(["a.png", "b.png"], {"train.json": content}), source="coco")
    assert [len(splits.train.targets.read(row).labels) for row in range(2)] == [2, 0]
    with pytest.raises(DataError, match="2 annotated images, and no object in any of them"):
        load_boxes(make([], {"train.json": {**content, "annotations": []}}), source="coco")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("[", "is not JSON"),
        (json.dumps({"images": []}), "is not a file of annotations"),
        (json.dumps(document("a.png", "a.png")), "has the same file_name twice among its images"),
        (json.dumps(document("a.png", categories=[(1, "a"), (1, "b")])), "has the same id twice among its categories"),
        (
            json.dumps(document("a.png", categories=[(1, "a"), (2, "a")])),
            "has the same name twice among its categories",
        ),
        (json.dumps(document("a.png", categories=[])), "categories is"),
        (json.dumps(document("a.png", images=[{"file_name": "a.png"}])), r"images\[0\]"),
    ],
)
def test_documents_of_another_form(content, reason, write, load_boxes):
    """Each is told."""
    with pytest.raises(DataError, match=reason):
        load_boxes(write({"train.json": content}), source="coco")


def test_two_files_of_a_split(make, load_boxes):
    """Neither is taken in silence."""
    folder = make(["a.png"], {"instances_train.json": document("a.png"), "instances_more.json": document("a.png")})
    with pytest.raises(DataError, match=r"instances_more\.json and instances_train\.json are both annotations of the"):
        load_boxes(folder, source="coco")
