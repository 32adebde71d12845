"""Boxes from YOLO's text files: shares of the image, classes and splits by data.yaml."""

from __future__ import annotations

import shutil

import pytest

from cnncli.datasets.boxes.data_yaml import names_text, read_data_yaml
from cnncli.datasets.store import Folder
from cnncli.errors import DataError

LABELS = "0 0.5 0.5 1 1\n1 0.25 0.25 0.1 0.2\n"
NAMES = "names: [wbc, rbc]\nnc: 2\n"


@pytest.fixture
def make(write, encode, pixels):
    """Return a function that writes an image of 40 by 60 with its labels for each path, "images/train/a", and more."""

    def make(*paths, **more):
        files = {f"{path}.png": encode(pixels()) for path in paths}
        files |= {f"{path}.txt".replace("images/", "labels/", 1): LABELS for path in paths}
        return write({**files, **{name.replace("__", "/").replace("_dot_", "."): text for name, text in more.items()}})

    return make


def ids(splits):
    """Return the names of all examples by split."""
    return {split.name: ["/".join(name.split("/")[-2:]) for name in split.ids] for split in splits.present()}


def test_edges_in_pixels(make, load_boxes):
    """Centre and size in shares become edges in pixels, whole where whole pixels were meant."""
    splits = load_boxes(make("images/a", data_dot_yaml=NAMES), source="yolo")
    own = splits.train.targets.read(0)
    assert own.corners.tolist() == [[0, 0, 60, 40], [12, 6, 18, 14]]
    assert own.labels.tolist() == [0, 1]
    assert splits.classes == ("wbc", "rbc")
    assert splits.passport["ignored_files"] == 1


PLACES = {
    "folders of images": (("images/train/a", "images/val/b", "images/test/c"), "", 0.1, [1, 1, 1]),
    "folders of splits": (("train/images/a", "valid/images/b", "test/images/c"), "", 0.1, [1, 1, 1]),
    "named, one alone": (("images/train/a", "images/val/b"), "path: ../cells\ntrain: images/train # 1\n", 0.0, [1]),
    "named, all": (
        ("one/images/a", "two/images/b", "three/images/c"),
        "train: ../one/images\nval: two/images\ntest: [/home/me/cells/three/images]\n",
        0.1,
        [1, 1, 1],
    ),
    "named, one not there": (
        ("train/images/a", "valid/images/b"),
        "train: ../train/images\nval: ../valid/images\ntest: ../test/images\n",
        0.1,
        [1, 1],
    ),
    "named, none of them there": (("train/images/a", "test/images/b"), "train: photos\nval: photos\n", 0.0, [1, 1]),
}


@pytest.mark.parametrize("name", PLACES)
def test_splits_of_folders_and_of_data_yaml(name, make, load_boxes):
    """By the names of folders, or by the paths of data.yaml, which rarely begin where they did."""
    paths, document, validation, expected = PLACES[name]
    splits = load_boxes(make(*paths, data_dot_yaml=document + NAMES), source="yolo", validation=validation)
    assert [len(split) for split in splits.present()] == expected


def test_splits_of_lists(make, load_boxes):
    """COCO for YOLO names a file with a path a line."""
    more = {"train_dot_txt": "./images/b.png\n./images/a.png\n", "val_dot_txt": "./images/c.png\n"}
    folder = make(
        "images/a", "images/b", "images/c", data_dot_yaml=f"train: ./train.txt\nval: val.txt\n{NAMES}", **more
    )
    found = ids(load_boxes(folder, source="yolo", validation=0.1))
    assert found == {"train": ["images/a.png", "images/b.png"], "validation": ["images/c.png"]}


def test_labels_beside_images_and_an_archive(make, load_boxes, tmp_path):
    """Without folders of their own; zipped, it is the same."""
    folder = make("a", "b", data_dot_yaml=NAMES)
    packed = shutil.make_archive(str(tmp_path / "packed"), "zip", folder)
    first, second = (load_boxes(path, source="yolo") for path in (folder, packed))
    assert ids(first) == {"train": ["a.png", "b.png"]}
    assert first.passport["split_hash"] == second.passport["split_hash"]


def test_names_of_classes(make, load_boxes):
    """A mapping of numbers; a file of lines; the config: in that order."""
    folder = make("images/a", data_dot_yaml="names:\n  0: no\n  1: 1\n", classes_dot_txt="cat\ndog\n")
    assert load_boxes(folder, source="yolo").classes == ("no", "1")
    assert load_boxes(folder, source="yolo", classes=("1", "no")).train.targets.read(0).labels.tolist() == [1, 0]
    (folder / "data.yaml").unlink()
    assert load_boxes(folder, source="yolo").classes == ("cat", "dog")
    (folder / "classes.txt").unlink()
    assert load_boxes(folder, source="yolo", classes=("x", "y", "z")).classes == ("x", "y", "z")
    with pytest.raises(DataError, match="does not say the names of the classes"):
        load_boxes(folder, source="yolo")


def test_an_empty_file_says_that_there_is_nothing(make, load_boxes):
    """A missing one says nothing."""
    folder = make("images/a", "images/b", labels__b_dot_txt="\n", data_dot_yaml=NAMES)
    assert len(load_boxes(folder, source="yolo").train.targets.read(1).labels) == 0
    (folder / "labels/b.txt").unlink()
    with pytest.raises(DataError, match=r"images/b\.png: no labels of this image: expected labels/b\.txt, empty if"):
        load_boxes(folder, source="yolo")


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        ("names: [a, a]", "names the class a twice"),
        ("names: [a, b]\nnc: 3", "2 names of classes, but nc: 3"),
        ("names: {0: a, 2: b}", "have the numbers 0, 2, expected 0, 1, 2"),
        ("names: a", "names is not a list of names"),
        ("train: images", "names no classes"),
        ("names: &a [x, y]\nb: *a", r"aliases \(\*a\) are not read"),
        ("names: [" * 20, "nested too deeply"),
        ("names: [", "not readable as YAML"),
        ("names: [a, b]\n" + " " * 2**20, "the limit is 1,048,576"),
    ],
)
def test_bad_data_yaml(document, reason, make, load_boxes):
    """Each is told."""
    with pytest.raises(DataError, match=reason):
        load_boxes(make("images/a", data_dot_yaml=document), source="yolo")


def test_any_class_name_can_be_written(write):
    """Control characters, quotes, words that mean something to YAML, and characters beyond the first 65,536."""
    names = ("\u0130\x1b\U0001f642", "no", "1", 'a "b"\n\\', "\x85 \ufeff", "#: [", " ")
    store = Folder(write({"data.yaml": names_text(names)}))
    assert read_data_yaml(store, store.listing()).names == names
