"""Boxes written in other forms: VOC → COCO → YOLO → VOC gives every edge back, and an oracle reads what was written."""

from __future__ import annotations

import json
import random
from decimal import Decimal
from xml.etree import ElementTree

import numpy as np
import pytest
from typer.testing import CliRunner

from cnncli.cli import console
from cnncli.cli.app import app
from cnncli.datasets.boxes.convert import convert
from cnncli.datasets.boxes.targets import Boxes, Objects
from cnncli.datasets.splits import Split, Splits
from cnncli.errors import DataError
from tests.datasets.boxes.annotations import voc_xml

CLASSES = ("a & b", "no", "wbc")


def written_boxes(seed, width=61, height=43):
    """Return boxes of whole pixels and of fractions as VOC writes them, each wider than a pixel."""
    draw = random.Random(seed)
    boxes = []
    for _ in range(12):
        digits = draw.choice((0, 1, 3, 6))
        edges = []
        for limit in (width, height):
            low, high = sorted(round(draw.uniform(0, limit), digits) for _ in range(2))
            edges.append((low, high) if high - low > 1.001 else (0, limit))
        (xmin, xmax), (ymin, ymax) = edges
        # The decimal places are those of the text: 1 + 0.1 is not 1.1 for every float.
        first = [str(Decimal(str(value)) + 1) for value in (xmin, ymin)]
        flag = f"<difficult>{draw.randint(0, 1)}</difficult>"
        boxes.append((draw.choice(("a &amp; b", "no", "wbc")), *first, str(xmax), str(ymax), flag))
    return boxes


@pytest.fixture
def source(write, encode, pixels):
    """Write eight images for training, one for validation and one for the test."""
    files = {f"JPEGImages/{n}.png": encode(pixels(43, 61)) for n in range(10)}
    files |= {
        f"Annotations/{n}.xml": voc_xml(written_boxes(n) if n else [], size=(61, 43), filename=f"{n}.png")
        for n in range(10)
    }
    lists = {"train": "01234567", "val": "8", "test": "9"}
    return write(files | {f"ImageSets/Main/{name}.txt": "\n".join(ns) for name, ns in lists.items()})


def edges(splits):
    """Return the boxes and class names of all images by split."""
    return {
        split.name: [
            (own.corners.tolist(), [splits.classes[label] for label in own.labels.tolist()])
            for own in split.targets.objects
        ]
        for split in splits.present()
    }


def test_round_trip(source, load_boxes, tmp_path):
    """Every edge is the same float at every station, every image the same file; difficult goes as far as COCO."""
    first = load_boxes(source, validation=0.1)
    assert first.classes == CLASSES
    assert sum(len(own.labels) for own in first.train.targets.objects) == 84
    before = first
    for form in ("coco", "yolo", "voc"):
        done = convert(before, form, tmp_path / form)
        after = load_boxes(tmp_path / form, source=form, validation=0.1)
        assert edges(after) == edges(first)
        assert (done.num_images, done.num_objects) == (10, 108)
        before = after
        if form == "coco":
            assert after.passport["split_hash"] == first.passport["split_hash"]
            assert done.lost == {}
        if form == "yolo":
            difficult = sum(int(own.difficult.sum()) for split in first.present() for own in split.targets.objects)
            assert done.lost == {"that they are difficult is not written": difficult}
    names = {path.name: path.read_bytes() for path in (source / "JPEGImages").iterdir()}
    assert {path.name: path.read_bytes() for path in (tmp_path / "voc/JPEGImages").iterdir()} == names


def test_what_others_read(source, load_boxes, tmp_path):
    """COCO's numbers against the definition, and VOC's against the XML that it came from."""
    splits = load_boxes(source, validation=0.1)
    convert(splits, "coco", tmp_path / "coco")
    document = json.loads((tmp_path / "coco/annotations/instances_test.json").read_text())
    written = written_boxes(9)
    for annotation, (name, *box, _) in zip(document["annotations"], written, strict=True):
        xmin, ymin, xmax, ymax = map(float, box[:4])
        assert annotation["bbox"] == pytest.approx([xmin - 1, ymin - 1, xmax - xmin + 1, ymax - ymin + 1], abs=1e-9)
        assert document["categories"][annotation["category_id"] - 1]["name"] == name.replace("&amp;", "&")
    convert(splits, "voc", tmp_path / "voc")
    found = ElementTree.parse(tmp_path / "voc/Annotations/9.xml").getroot()
    texts = [[float(side.text) for side in box] for box in found.iter("bndbox")]
    assert texts == [[float(value) for value in box[1:5]] for box in written]


def split_of(*objects, name="train", ids=None):
    """Return a split of images in memory."""
    images = np.zeros((len(objects), *objects[0].size, 1), np.uint8)
    return Split(name, images, Boxes.of(objects), ids or [str(row) for row in range(len(objects))])


def objects_of(*corners, crowd=False, area=None, size=(20, 30)):
    """Return objects of the first class."""
    number = len(corners)
    boxes = np.array(corners, np.float64).reshape(-1, 4)
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
    areas = areas if area is None else np.full(number, area, np.float64)
    none = np.zeros(number, np.bool_)
    return Objects(boxes, np.zeros(number, np.int64), none, none | crowd, areas, size)


def test_what_a_form_has_no_words_for(tmp_path, load_boxes):
    """Crowds and areas are told; COCO has both."""
    splits = Splits(
        ("cell",), split_of(objects_of((0, 0, 9, 9)), objects_of((1, 2, 9, 8), crowd=True, area=7)), None, None
    )
    assert convert(splits, "coco", tmp_path / "coco").lost == {}
    own = load_boxes(tmp_path / "coco", source="coco").train.targets.read(1)
    assert (own.crowd.tolist(), own.areas.tolist()) == ([True], [7.0])
    area = "their areas are not those of their boxes, and are not written"
    done = convert(splits, "voc", tmp_path / "voc")
    assert done.lost == {"a crowd, written as difficult": 1, area: 1}
    assert done.to_text().splitlines() == [
        "2 images, 2 objects",
        "1 object: a crowd, written as difficult",
        f"1 object: {area}",
    ]
    assert load_boxes(tmp_path / "voc").train.targets.read(1).difficult.tolist() == [True]
    assert convert(splits, "yolo", tmp_path / "yolo").lost == {"a crowd, left out": 1, area: 1}
    assert len(load_boxes(tmp_path / "yolo", source="yolo").train.targets.read(1).labels) == 0


def test_names_of_files(tmp_path, load_boxes):
    """Equal names of two splits get their split's before them; the images of a set in memory become PNG files."""
    one = objects_of((0, 0, 9, 9))
    splits = Splits(("cell",), split_of(one, one), None, split_of(one, name="test"))
    convert(splits, "yolo", tmp_path / "yolo")
    assert sorted(path.relative_to(tmp_path / "yolo").as_posix() for path in (tmp_path / "yolo").rglob("*.png")) == [
        "images/test/test_00000.png",
        "images/train/00001.png",
        "images/train/train_00000.png",
    ]
    assert len(load_boxes(tmp_path / "yolo", source="yolo").present()) == 2


@pytest.mark.parametrize(
    ("corners", "classes", "reason"),
    [
        (
            (1, 1, 2, 9),
            ("cell",),
            r"00000\.png: the box of a cell is 1 wide and 8 high; VOC names the first and the last",
        ),
        ((1, 1, 9, 9), ("c\x01",), r"the class 'c\\x01' cannot be written in XML"),
        ((1, 1, 9, 9), ("c ",), "the class 'c ' cannot be written in XML"),
    ],
)
def test_what_voc_cannot_hold(corners, classes, reason, tmp_path):
    """It is said, and no folder is left behind."""
    splits = Splits(classes, split_of(objects_of(corners)), None, None)
    with pytest.raises(DataError, match=reason):
        convert(splits, "voc", tmp_path / "out" / "voc")
    assert list((tmp_path / "out").iterdir()) == []


def test_nothing_is_written_over(tmp_path):
    """A folder that is there stays as it is."""
    splits = Splits(("cell",), split_of(objects_of((0, 0, 9, 9))), None, None)
    with pytest.raises(DataError, match="is there already"):
        convert(splits, "coco", tmp_path)


def test_edges_of_large_images(tmp_path):
    """The numbers of YOLO give back six decimals of a pixel in images ten thousand pixels wide."""
    generator = np.random.default_rng(0)
    low = generator.uniform(0, 9_000, (500, 2)).round(6)
    corners = np.hstack([low, low + generator.uniform(2, 900, (500, 2)).round(6)]).round(6)
    size = np.array([10_007, 9_973] * 2, np.float64)
    x, y, width, height = (
        np.hstack([(corners[:, :2] + corners[:, 2:]) / 2, corners[:, 2:] - corners[:, :2]]).T / size[:, None]
    )
    again = np.stack([x - width / 2, y - height / 2, x + width / 2, y + height / 2], axis=1) * size
    assert (np.round(again, 9) == corners).all()


@pytest.fixture
def data_command(source, detection, tmp_path, monkeypatch):
    """Return a function that runs `cnn data` on the source's config."""
    monkeypatch.chdir(tmp_path)
    text = (
        "name: cells\ntask: detection\ndata: {source: voc, path: boxes, image_size: [8, 8], validation: validation}\n"
    )
    layers = "layers: [Conv2D: {filters: 3, kernel_size: 1, name: c}, Conv2D: {filters: 4, kernel_size: 1, name: b}]"
    (tmp_path / "cells.yaml").write_text(f"{text}model: {{{layers}, outputs: {{heatmap: c, box: b}}}}\n")
    for made in (console.out, console.err):
        made.cache_clear()
    return lambda *arguments: CliRunner().invoke(app, ["data", "cells.yaml", *arguments])


def test_the_command(data_command, load_boxes, tmp_path):
    """`cnn data CONFIG --to FORM DIR` writes the folder and tells what it holds; the document has it as numbers."""
    result = data_command("--to", "coco", "out")
    assert result.exit_code == 0, result.output
    assert "coco: out, 10 images, 108 objects" in result.stderr
    assert len(load_boxes(tmp_path / "out", source="coco", validation=0.1).train) == 8
    found = json.loads(data_command("--to", "yolo", "again", "--json").stdout)
    assert (found["converted"]["num_images"], found["converted"]["num_objects"]) == (10, 108)
    assert "converted" not in json.loads(data_command("--json").stdout)
    assert "is there already" in str(data_command("--to", "yolo", "again").exception)
    assert data_command("--to", "darknet", "new").exit_code == 2


def test_nothing_is_written_of_bad_boxes(data_command, tmp_path):
    """Unless the config says what to do with them; the exit code is 1 as without --to."""
    file = tmp_path / "boxes/Annotations/1.xml"
    file.write_text(voc_xml([("no", 5, 5, 5, 5), *written_boxes(1)], size=(61, 43), filename="1.png"))
    assert data_command("--to", "voc", "out").exit_code == 1
    assert not (tmp_path / "out").exists()
    result = data_command("--to", "voc", "out", "--set", "data.on_bad_box=skip")
    assert result.exit_code == 0, result.output
    assert "10 images, 108 objects" in result.stderr


def test_pycocotools_reads_what_was_written(source, load_boxes, tmp_path):
    """The same boxes, areas and classes."""
    coco = pytest.importorskip("pycocotools.coco")
    splits = load_boxes(source, validation=0.1)
    convert(splits, "coco", tmp_path / "coco")
    read = coco.COCO(str(tmp_path / "coco/annotations/instances_train.json"))
    names = {image["file_name"]: image["id"] for image in read.dataset["images"]}
    for row, name in enumerate(splits.train.ids):
        found = read.loadAnns(read.getAnnIds(imgIds=[names[name.rsplit("/", 1)[-1]]]))
        own = splits.train.targets.read(row)
        boxes = np.array([annotation["bbox"] for annotation in found]).reshape(-1, 4)
        assert np.hstack([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]]) == pytest.approx(own.corners, abs=1e-9)
        assert [annotation["area"] for annotation in found] == own.areas.tolist()
        labels = [read.loadCats(annotation["category_id"])[0]["name"] for annotation in found]
        assert labels == [splits.classes[label] for label in own.labels.tolist()]
