"""What is wrong with boxes, each beside its golden text: the file, the object, the values, what to do.

`CNN_REGENERATE=1 pytest tests/datasets/boxes` writes the texts anew; read the difference before it is committed.
"""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
from PIL import Image

from cnncli.datasets.boxes.bad_boxes import FLIPPED, BadBox, BadBoxes
from cnncli.datasets.problems import findings
from cnncli.errors import DataError
from tests.datasets.boxes.annotations import voc_xml

GOOD = ("rbc", 11, 5, 20, 9)
OTHER, IMAGE = map(Image.fromarray, np.random.default_rng(2).integers(0, 256, (2, 40, 60, 3), np.uint8))


def voc(*objects, **options):
    """Return annotations of b with these objects besides a good one."""
    return {"Annotations/b.xml": voc_xml([GOOD, *objects], **{"filename": "b.png", **options})}


def turned(orientation, image=IMAGE):
    """Return the image as it is stored, which EXIF turns."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    return {"JPEGImages/b.png": (image, exif)}


BOMB = (
    "<!DOCTYPE a ["
    + "".join(f'<!ENTITY e{n + 1} "{f"&e{n};" * 10}">' for n in range(9))
    + "]><annotation>&e9;</annotation>"
)

VOC = {
    "a click": voc(("rbc", 7, 7, 7, 7)),
    "a line": voc(("rbc", 7, 7, 9, 7)),
    "flipped": voc(("rbc", 30, 7, 10, 9)),
    "two flipped": voc(("rbc", 30, 7, 10, 9), ("rbc", 10, 9, 20, 7)),
    "x, y, width, height": {
        f"Annotations/{name}.xml": voc_xml([("rbc", 40, 30, 12, 8), ("rbc", 41, 20, 15, 16)], filename=f"{name}.png")
        for name in "ab"
    },
    "outside": voc(("rbc", 50, 30, 64, 40)),
    "half a pixel outside": voc(("rbc", 0.5, 30, 60.5, 40)),
    "wholly outside": voc(("rbc", 70, 50, 80, 60)),
    "counted from 0": voc(("rbc", 0, 0, 59, 39)),
    "too large a number": voc(("rbc", 1, 1, "1e308", 3)),
    "not a number": voc(("rbc", "nan", 1, 2, 3), ("rbc", 1, "1e400", 2, 3)),
    "words": voc(("rbc", "left", 1, 2, 3)),
    "three numbers": voc(("rbc", 1, 2, 3)),
    "no box": {"Annotations/b.xml": "<annotation><object><name>rbc</name></object></annotation>"},
    "no name": voc(("", 1, 2, 3, 4)),
    "an unknown class": voc(("RBC", 1, 2, 3, 4)),
    "another size": voc(size=(80, 60)),
    "no size": voc(size=(0, 0)),
    "a size in words": voc(size=("wide", 40)),
    "another image": voc(filename="a.png"),
    "an image without suffix": voc(filename="photos/b"),
    "no file": {"Annotations/b.xml": None},
    "an empty file": {"Annotations/b.xml": ""},
    "no objects": {"Annotations/b.xml": voc_xml([], filename="b.png")},
    "not XML": {"Annotations/b.xml": "rbc 11 5 20 9"},
    "another document": {"Annotations/b.xml": "<svg/>"},
    "a bomb": {"Annotations/b.xml": BOMB},
    "no image": {"JPEGImages/b.png": None},
    "a damaged image": {"JPEGImages/b.png": b"no image"},
    "turned, boxes of the stored image": {**turned(6), **voc(size=(60, 40))},
    "turned, boxes of the upright image": {**turned(6), **voc(size=(40, 60))},
    "turned, boxes of neither": {**turned(6), **voc(size=(30, 20))},
    "turned, outside of the stored image": {**turned(6), **voc(("rbc", 1, 1, 40, 60), size=(60, 40))},
    "upside down": {**turned(3), **voc()},
    "turned, no size": {**turned(8), **voc(size=None)},
    "too close": voc(*[("rbc", 11, 5, 21, 9)] * 4),
}
"""By what is wrong: what replaces files of two images of 40 by 60; None for a file that is missing."""

YOLO = {
    "pixels": {"labels/b.txt": "0 15 7 10 5\n"},
    "commas": {"labels/b.txt": "0,0.5,0.5,0.1,0.1\n"},
    "an unknown class": {"labels/b.txt": "1 0.5 0.5 0.1 0.1\n-1 0.5 0.5 0.1 0.1\n0.5 0.5 0.5 0.1 0.1\n"},
    "a polygon": {"labels/b.txt": "0 0.1 0.1 0.2 0.1 0.2 0.2\n"},
    "a prediction": {"labels/b.txt": "0 0.5 0.5 0.1 0.1 0.98\n"},
    "words": {"labels/b.txt": "\nrbc 0.5 0.5 0.1 0.1\n"},
    "far too wide": {"labels/b.txt": "0 0.5 0.5 -1e308 0.1\n"},
    "nothing wide": {"labels/b.txt": "0 0.5 0.5 0 0.1\n"},
    "a negative width": {"labels/b.txt": "0 0.5 0.5 -0.1 0.1\n"},
    "outside": {"labels/b.txt": "0 0.9 0.5 0.4 0.1\n"},
    "not a number": {"labels/b.txt": "0 nan 0.5 0.4 0.1\n"},
    "not text": {"labels/b.txt": b"\xff\xfe\x00"},
    "no file": {"labels/b.txt": None},
    "an empty file": {"labels/b.txt": ""},
    "no image": {"images/b.png": None},
}


def coco(*changes, images=2, **top):
    """Return annotations of two images with an object each, and such changes of the second one's."""
    objects = [
        {"id": 1, "image_id": 1, "category_id": 1, "bbox": [10, 4, 10, 5]},
        *({"id": 2, "image_id": 2, "category_id": 1, "bbox": [10, 4, 10, 5], **change} for change in changes),
    ]
    named = [{"id": n, "file_name": f"{'ab'[n - 1]}.png", "width": 60, "height": 40} for n in range(1, images + 1)]
    document = {"images": named, "annotations": objects, "categories": [{"id": 1, "name": "rbc"}], **top}
    return {"train.json": json.dumps(document)}


COCO = {
    "an id twice": coco({"id": 1}),
    "no image_id": coco({"image_id": None}),
    "an unknown image": coco({"image_id": 7}),
    "an unknown category": coco({"category_id": 9}, {"id": 3, "category_id": None}),
    "three numbers": coco({"bbox": [1, 2, 3]}),
    "no box": coco({"bbox": None}),
    "corners for sizes": coco(
        *({"id": n, "bbox": [40, 20, 50 + n, 30]} for n in range(2, 5)),
    ),
    "a negative width": coco({"bbox": [10, 4, -10, 5]}),
    "nothing wide": coco({"bbox": [10, 4, 0, 5]}),
    "outside": coco({"bbox": [55, 4, 10, 5]}),
    "too large a number": coco({"bbox": [1, 1, 10**400, 5]}),
    "another size": coco({}, images=1)
    | {
        "train.json": coco({})["train.json"].replace('"height": 40', '"height": 41'),
    },
    "an image that is not named": coco(images=1),
    "no image": {**coco({}), "b.png": None},
    "one of two images": {**coco({}), "b.png": None, "x/b.png": IMAGE, "y/b.png": IMAGE},
}

SETS = {
    "voc": (
        {
            "JPEGImages/a.png": OTHER,
            "JPEGImages/b.png": IMAGE,
            "Annotations/a.xml": voc_xml([GOOD]),
            "Annotations/b.xml": voc_xml([GOOD], filename="b.png"),
        },
        VOC,
    ),
    "yolo": (
        {
            "images/a.png": OTHER,
            "images/b.png": IMAGE,
            "labels/a.txt": "0 0.25 0.15 0.1 0.1\n",
            "labels/b.txt": "0 0.25 0.15 0.1 0.1\n",
            "data.yaml": "names: [rbc]\n",
        },
        YOLO,
    ),
    "coco": ({"a.png": OTHER, "b.png": IMAGE, **coco({})}, COCO),
}
"""By source: two images with a good object each, and what is wrong with the second."""


@pytest.fixture
def scenes(write, encode, tmp_path):
    """Return a function that writes a set with other files in the place of some."""

    def make(files):
        shutil.rmtree(tmp_path / "cells", ignore_errors=True)
        written = {}
        for name, content in files.items():
            if isinstance(content, tuple):
                written[name] = encode(content[0], exif=content[1])
            elif content is not None:
                written[name] = encode(content) if isinstance(content, Image.Image) else content
        return write(written, "cells")

    return make


def told(error):
    """Return an error as it is printed."""
    return f"{error.code or ''} {error.message}" + (f"\n  hint: {error.hint}" if error.hint else "")


@pytest.mark.parametrize("source", SETS)
def test_each_bad_input_has_its_text(source, scenes, load_boxes, golden, make_config):
    """Training stops with it; with skip and clip, what is left is told, and every warning."""
    good, cases = SETS[source]
    lines = []
    for name, files in cases.items():
        folder = scenes({**good, **files})
        lines.append(f"== {name}")
        options = {"source": source, "on_bad_image": "skip", "image_size": (40, 60)}
        if source == "voc" and name in ("an unknown class", "no name"):
            options["classes"] = ("rbc",)
        try:
            load_boxes(folder, **{**options, "on_bad_image": "error"})
        except DataError as error:
            lines.append(told(error).replace(str(folder), "cells"))
        splits = None
        for choice in ("skip", "clip"):
            try:
                splits = load_boxes(folder, **{**options, "on_bad_box": choice})
            except DataError as error:
                lines.append(f"{choice}: {told(error)}".replace(str(folder), "cells"))
                continue
            boxes = [splits.train.targets.read(row).corners.tolist() for row in range(len(splits.train))]
            lines.append(f"{choice}: {' and '.join(map(str, boxes))}")
        if splits is not None:
            config = make_config(**{"path": "cells", **options, "on_bad_box": "clip"})
            lines += [f"{each.code} {each.message}\n    {each.hint}" for each in findings(config, splits.passport)]
    golden(f"bad_{source}", "\n".join(lines))


def test_what_most_boxes_have_in_common():
    """Advice about the form of all boxes comes where more than half of them have the same mistake."""
    bad = [BadBox("a.xml", "train", f"object {number}", "", FLIPPED) for number in range(5)]
    assert BadBoxes(bad, 10, "FORM").advice == ""
    assert "x, y, width and height? FORM" in BadBoxes(bad, 9, "FORM").advice


def test_many_bad_boxes_are_not_all_named(scenes, load_boxes):
    """The first twenty are; the passport counts them all."""
    good = SETS["voc"][0]
    folder = scenes({**good, **voc(*[("rbc", 7, 7, 7, 7)] * 30)})
    with pytest.raises(DataError) as caught:
        load_boxes(folder)
    assert caught.value.message.splitlines()[0] == "30 boxes cannot be used:"
    assert caught.value.message.splitlines()[-1] == "  … and 10 more"
    found = load_boxes(folder, inspect=True).passport["bad_boxes"]
    assert (found["num_dropped"], len(found["examples"])) == (30, 20)
