"""Boxes from VOC's XML: edges counted from 0, splits by lists, from a folder or an archive."""

from __future__ import annotations

import shutil
from xml.etree import ElementTree
from zipfile import ZipFile

import numpy as np
import pytest
from PIL import Image

from cnncli.config.schema.schema import Data
from cnncli.datasets.boxes.voc import parse_xml
from cnncli.errors import DataError
from tests.conftest import SHARED
from tests.datasets.boxes.annotations import voc_xml

BCCD = SHARED / "bccd.zip"
SIDES = ("xmin", "ymin", "xmax", "ymax")
CELLS = [("wbc", 1, 1, 60, 40), ("rbc", 11, 5, 20, 9)]


@pytest.fixture
def cells(write, encode, pixels):
    """Write six images with two objects each, a and b for training, c for validation, d for the test, e and f spare."""
    files = {f"top/JPEGImages/{name}.png": encode(pixels()) for name in "abcdef"}
    files |= {f"top/Annotations/{name}.xml": voc_xml(CELLS, filename=f"{name}.png") for name in "abcdef"}
    lists = {"train": "a\nb\n", "val": "c\n", "trainval": "a\nb\nc\n", "test": "d"}
    files |= {f"top/ImageSets/Main/{name}.txt": text for name, text in lists.items()}
    return write(files)


def test_edges_classes_and_splits(cells, load_boxes):
    """The first pixel has the edge 0, the last one that of the image; the lists divide, and what is in none is out."""
    splits = load_boxes(cells)
    assert splits.classes == ("rbc", "wbc")
    assert [split.ids for split in splits.present()] == [
        [f"top/JPEGImages/{name}.png" for name in names] for names in ("ab", "d")
    ]
    own = splits.train.targets.read(0)
    assert own.corners.tolist() == [[0, 0, 60, 40], [10, 4, 20, 9]]
    assert own.labels.tolist() == [1, 0]
    assert own.areas.tolist() == [2400, 50]
    assert own.size == (40, 60)
    assert splits.train.targets.capacity == 2
    assert splits.passport["ignored_files"] == 4
    assert [len(split) for split in load_boxes(cells, validation=0.1).present()] == [2, 1, 1]


def test_an_archive_holds_the_same(cells, load_boxes, tmp_path):
    """Byte for byte."""
    packed = shutil.make_archive(str(tmp_path / "packed"), "zip", cells)
    first, second = load_boxes(cells), load_boxes(packed)
    assert first.passport["split_hash"] == second.passport["split_hash"]


def test_without_lists_all_images_are_for_training(cells, load_boxes):
    """The shares of the config divide them."""
    shutil.rmtree(cells / "top/ImageSets")
    assert len(load_boxes(cells).train) == 6
    assert [len(split) for split in load_boxes(cells, validation=0.2, test=0.2).present()] == [4, 1, 1]


def test_trainval_where_there_is_no_train(cells, load_boxes):
    """VOC 2007 has such lists, some with a flag behind each name."""
    (cells / "top/ImageSets/Main/train.txt").unlink()
    (cells / "top/ImageSets/Main/val.txt").unlink()
    (cells / "top/ImageSets/Main/trainval.txt").write_text("a  1\nb -1\n\nc  0\n")
    assert [len(split) for split in load_boxes(cells).present()] == [3, 1]


def test_a_list_of_missing_images(cells, load_boxes):
    """Names the line."""
    (cells / "top/ImageSets/Main/val.txt").write_text("c\nz\n")
    with pytest.raises(DataError, match=r"top/ImageSets/Main/val\.txt, line 2: there is no image JPEGImages/z\.\*"):
        load_boxes(cells)


def test_an_image_in_two_lists_is_told(cells, load_boxes):
    """As equal images of two splits are."""
    (cells / "top/ImageSets/Main/test.txt").write_text("a\nd\n")
    passport = load_boxes(cells).passport
    assert passport["duplicates"]["across"]["train/test"]["examples"] == [["top/JPEGImages/a.png"] * 2]


def test_classes_in_the_order_of_the_config(cells, load_boxes):
    """One that no object has is there too; an object of another one is bad."""
    splits = load_boxes(cells, classes=("wbc", "platelet", "rbc"))
    assert splits.train.targets.read(0).labels.tolist() == [0, 2]
    assert splits.passport["counts"]["train"] == {"wbc": 2, "platelet": 0, "rbc": 2}
    with pytest.raises(DataError, match=r'object 2 .* the class "rbc"'):
        load_boxes(cells, classes=("wbc",))
    assert load_boxes(cells, classes=("wbc",), on_bad_box="skip").train.targets.read(0).labels.tolist() == [0]


def test_difficult_fractions_and_no_objects(write, encode, pixels, load_boxes):
    """Numbers may have decimals; an image without objects is an example all the same."""
    difficult = "<difficult>1</difficult>", "<truncated>1</truncated>"
    files = {f"JPEGImages/{name}.png": encode(pixels()) for name in "ab"}
    files["Annotations/a.xml"] = voc_xml([("cell", "1.1", "2.25", "3.5", "4", *difficult), ("cell", 1, 1, 2, 2)])
    files["Annotations/b.xml"] = voc_xml([], size=None, filename="")
    targets = load_boxes(write(files)).train.targets
    assert targets.read(0).corners.tolist() == [[0.1, 1.25, 3.5, 4], [0, 0, 2, 2]]
    assert targets.read(0).difficult.tolist() == [True, False]
    assert targets.read(1).corners.shape == (0, 4)
    fitted = targets.fit(Data(source="digit_boxes", image_size=(20, 30)))
    assert fitted.shape == (2, 2, 6)
    assert (fitted[1, :, 4] == -1).all()


ORIENTED = {1: "ABCD", 2: "BADC", 3: "CDAB", 4: "DCBA", 5: "ADCB", 6: "DABC", 7: "CBAD", 8: "BCDA"}
"""Which stored corner stands where in the upright image, clockwise from the upper left, by EXIF's orientation."""


@pytest.mark.parametrize("orientation", ORIENTED)
def test_boxes_of_the_stored_image_turn_with_it(orientation, write, encode, load_boxes):
    """Where the annotations' size is that of the stored pixels: the painted rectangle is where the box is."""
    stored = np.zeros((40, 60, 3), np.uint8)
    stored[4:9, 10:20] = 255
    exif = Image.Exif()
    exif[0x0112] = orientation
    for size, boxed in (((60, 40), "stored"), ((40, 60), "upright")):
        rows, columns = np.nonzero(_upright(stored[..., 0], orientation))
        upright = (columns.min() + 1, rows.min() + 1, columns.max() + 1, rows.max() + 1)
        is_turned = orientation >= 5
        if boxed == "upright" and not is_turned:
            continue
        box = (11, 5, 20, 9) if boxed == "stored" and is_turned else upright
        files = {
            "JPEGImages/a.png": encode(Image.fromarray(stored), exif=exif),
            "Annotations/a.xml": voc_xml([("cell", *box)], size=size),
        }
        split = load_boxes(write(files)).train
        shown = split.images.decode(0)[..., 0]
        xmin, ymin, xmax, ymax = split.targets.read(0).corners[0].astype(int).tolist()
        assert (shown[ymin:ymax, xmin:xmax] == 255).all()
        assert shown.sum() == 255 * (ymax - ymin) * (xmax - xmin) == 255 * 50
        assert split.targets.read(0).size == shown.shape
        assert (split.targets.unclear is not None) == (1 < orientation < 5)


def _upright(pixels, orientation):
    """Turn pixels by the corners of the table above."""
    corners = np.array([["A", "B"], ["D", "C"]])
    for turns in range(4):
        for changed in ((corners, pixels), (np.fliplr(corners), np.fliplr(pixels))):
            found, turned = (np.rot90(plane, turns) for plane in changed)
            if found[0, 0] + found[0, 1] + found[1, 1] + found[1, 0] == ORIENTED[orientation]:
                return turned
    raise AssertionError(orientation)


BOMB = (
    '<?xml version="1.0"?><!DOCTYPE a [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;">]>'
    "<annotation><filename>&b;</filename></annotation>"
)
OTHERS_FILE = (
    '<!DOCTYPE a [<!ENTITY a SYSTEM "file:///etc/hostname">]><annotation><filename>&a;</filename></annotation>'
)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (BOMB, "document type"),
        (OTHERS_FILE, "document type"),
        ("<!DOCTYPE annotation>" + voc_xml([]), "document type"),
        ("<a>" * 40 + "</a>" * 40, "more than 32 deep"),
        ("<annotation>", "not readable as XML: no element found"),
        ("", "not readable as XML"),
        ('<?xml version="1.0" encoding="no-such"?><annotation/>', "not readable as XML"),
        ("<annotation>&unknown;</annotation>", "not readable as XML: undefined entity"),
        ("\0\1\2", "not readable as XML"),
    ],
)
def test_xml_that_is_refused(text, reason):
    """Entities, depth, and what is no XML."""
    with pytest.raises(DataError, match=reason):
        parse_xml(text.encode(), "a.xml")


def test_large_xml_is_refused():
    """Before it is parsed."""
    with pytest.raises(DataError, match="16,777,217 bytes; the limit for XML is 16,777,216"):
        parse_xml(b" " * (2**24 + 1), "a.xml")


@pytest.mark.skipif(not BCCD.exists(), reason="there is no local copy of BCCD beside the checkout")
def test_every_box_of_bccd(load_boxes):
    """All 4,886 of 4,888 equal those that another parser reads; the two clicks without a box are named."""
    with pytest.raises(DataError) as caught:
        load_boxes(BCCD)
    assert caught.value.code == "E402"
    assert [line.split(":")[0] for line in caught.value.message.splitlines()[1:]] == [
        "  BCCD/Annotations/BloodImage_00338.xml",
        "  BCCD/Annotations/BloodImage_00343.xml",
    ]
    splits = load_boxes(BCCD, on_bad_box="skip", validation=0.1)
    assert splits.classes == ("Platelets", "RBC", "WBC")
    assert [len(split) for split in splits.present()] == [205, 87, 72]
    number = 0
    with ZipFile(BCCD) as archive:
        for split in splits.present():
            for row, name in enumerate(split.ids):
                file = name.replace("JPEGImages", "Annotations").replace(".jpg", ".xml")
                expected = []
                for element in ElementTree.fromstring(archive.read(file)).iter("object"):
                    xmin, ymin, xmax, ymax = (int(element.findtext(f"bndbox/{side}")) for side in SIDES)
                    if xmin < xmax:
                        expected.append((element.findtext("name"), [xmin - 1, ymin - 1, xmax, ymax]))
                own = split.targets.read(row)
                found = [
                    (splits.classes[label], box) for label, box in zip(own.labels, own.corners.tolist(), strict=True)
                ]
                assert found == expected
                number += len(found)
    assert splits.passport["bad_boxes"]["num_dropped"] == 2
    assert number == 4886
