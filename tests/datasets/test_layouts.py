"""Folders and tables: which split and class a file belongs to."""

from __future__ import annotations

import numpy as np
import pytest

from cnncli import datasets
from cnncli.errors import DataError


def load(make_config, path, **data):
    """Load a folder in colour, without validation unless asked for."""
    return datasets.load(
        make_config(**{"source": "folder", "path": str(path), "channels": 3, "validation": 0.0, **data})
    )


@pytest.mark.parametrize("name", ["validation", "valid", "val", "Val"])
def test_split_folders(name, make_folder, make_config):
    """train, validation under any of its names, and test are splits; the folder's own validation is used."""
    folder = make_folder({"train/cat": 4, "train/dog": 3, f"{name}/cat": 2, f"{name}/dog": 2, "test/dog": 1})
    splits = load(make_config, folder, validation=0.5)
    assert [(split.name, len(split)) for split in splits.present()] == [("train", 7), ("validation", 4), ("test", 1)]
    assert splits.classes == ("cat", "dog")
    assert splits.test.targets.labels.tolist() == [1]
    assert splits.passport["missing_classes"] == {"train": [], "validation": [], "test": ["cat"]}


def test_flat_classes(make_folder, make_config):
    """Without a train folder the top folders are classes, and a share becomes validation."""
    splits = load(make_config, make_folder({"b": 10, "a": 10}), validation=0.2)
    assert splits.classes == ("a", "b")
    assert (len(splits.train), len(splits.validation), splits.test) == (16, 4, None)


def test_outer_folders_are_stepped_into(make_folder, make_config):
    """Folders around everything do not count, nor do files beside the classes."""
    folder = make_folder({"outer/data/train/a": 2, "outer/data/train/b": 2})
    assert load(make_config, folder).classes == ("a", "b")


def test_files_deep_in_a_class_belong_to_it(make_folder, make_config):
    """A class folder may have folders of its own."""
    splits = load(make_config, make_folder({"a/x/y": 2, "a": 1, "b": 2}))
    assert np.bincount(splits.train.targets.labels).tolist() == [3, 2]


def test_a_missing_class_does_not_shift_labels(make_folder, make_config):
    """The class list is that of training, empty folders included; a split without a class keeps the others' labels."""
    folder = make_folder({"train/a": 2, "train/b": 2, "train/c": 2, "test/c": 1})
    (folder / "train" / "aa").mkdir()
    splits = load(make_config, folder)
    assert splits.classes == ("a", "aa", "b", "c")
    assert splits.test.targets.labels.tolist() == [3]
    assert splits.passport["missing_classes"]["train"] == ["aa"]


def test_an_unknown_class_is_an_error(make_folder, make_config):
    """A class that training does not have cannot be learned, so it is refused by name."""
    with pytest.raises(DataError, match='the test split has the class "bird"'):
        load(make_config, make_folder({"train/a": 1, "train/b": 1, "test/bird": 1}))


def test_the_split_of_an_unknown_class_is_named(make_folder, make_config):
    """The first split in which it stands, and the classes that there are."""
    folder = make_folder({"train/a": 1, "train/b": 1, "validation/z": 1, "validation/a": 1, "test/b": 1})
    with pytest.raises(DataError, match='the validation split has the class "z"') as caught:
        load(make_config, folder)
    assert caught.value.hint == "Training classes: a, b."
    many = make_folder({**{f"train/c{i:02}": 1 for i in range(21)}, "test/z": 1}, root=folder.parent / "many")
    with pytest.raises(DataError) as caught:
        load(make_config, many)
    assert caught.value.hint == f"Training classes: {', '.join(f'c{i:02}' for i in range(20))}, …."


def test_class_names_are_one_form(make_folder, make_config):
    """A name stored with a combining accent is the same class as the composed one."""
    splits = load(make_config, make_folder({"train/caf\u00e9": 1, "train/b": 1, "test/cafe\u0301": 1}))
    assert splits.classes == ("b", "caf\u00e9")
    assert splits.test.targets.labels.tolist() == [1]


def test_test_is_never_validation(make_folder, make_config):
    """Naming the test split as validation is refused with the reason."""
    folder = make_folder({"train/a": 2, "train/b": 2, "test/a": 1})
    with pytest.raises(DataError, match="expected a fraction") as caught:
        load(make_config, folder, validation="test")
    assert "never used for validation" in caught.value.hint


def test_a_named_validation_split(make_folder, make_config):
    """data.validation may name the split; one that is not there is an error."""
    folder = make_folder({"train/a": 2, "train/b": 2, "val/a": 1})
    assert len(load(make_config, folder, validation="validation").validation) == 1
    with pytest.raises(DataError, match="has only"):
        load(
            make_config, make_folder({"train/a": 2, "train/b": 2}, root=folder.parent / "two"), validation="validation"
        )


@pytest.mark.parametrize(
    ("counts", "message"),
    [
        ({}, "no class folders"),
        ({"test/a": 1}, "no train folder"),
        ({"train/a": 1, "val/a": 1, "valid/a": 1}, "both of which name the validation split"),
        ({"train": 2}, "no class folders"),
    ],
)
def test_folders_that_are_no_set(counts, message, make_folder, make_config, tmp_path):
    """A folder that cannot be understood is an error that says what was expected."""
    (tmp_path / "images").mkdir(exist_ok=True)
    make_folder(counts)
    with pytest.raises(DataError, match=message):
        load(make_config, tmp_path / "images")


def test_imposed_classes_win(make_folder, make_config):
    """A run's class order is kept even when a class has since gone from the folder."""
    folder = make_folder({"b": 2, "c": 2})
    config = make_config(source="folder", path=str(folder), channels=3, validation=0.0)
    splits = datasets.load(config, classes=("a", "b", "c"))
    assert splits.classes == ("a", "b", "c")
    assert sorted(set(splits.train.targets.labels.tolist())) == [1, 2]


def test_a_table_of_files(make_folder, make_config, tmp_path):
    """A CSV file gives file, label and split; paths are relative to it."""
    folder = make_folder({"pictures": 4})
    rows = [("000", "x", "train"), ("001", "y", "training"), ("002", "x", "val"), ("003", "y", "test")]
    table = "file,label,split\n" + "".join(f"pictures/{n}.png,{label},{split}\n" for n, label, split in rows)
    (folder / "table.csv").write_text("\ufeff" + table, encoding="utf-8")
    splits = load(make_config, folder / "table.csv", source="csv", validation=0.1)
    assert splits.classes == ("x", "y")
    assert [(s.name, s.targets.labels.tolist(), s.ids) for s in splits.present()] == [
        ("train", [0, 1], ["pictures/000.png", "pictures/001.png"]),
        ("validation", [0], ["pictures/002.png"]),
        ("test", [1], ["pictures/003.png"]),
    ]


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("file,class\n1.png,x\n", '"label" is missing'),
        ("file,label\n1.png\n", "line 2"),
        ("file,label,split\n1.png,x,exam\n", 'unknown split "exam"'),
        ("file,label\n", "no training example"),
        ('file,label\n"1.png,x\n', "not a readable CSV file"),
    ],
)
def test_tables_that_are_wrong(table, message, make_config, tmp_path):
    """A table that cannot be understood is an error with its line."""
    (tmp_path / "t.csv").write_text(table, encoding="utf-8")
    with pytest.raises(DataError, match=message):
        load(make_config, tmp_path / "t.csv", source="csv")


def test_a_table_names_missing_files(make_folder, make_config):
    """A file that is listed but not there is a bad file."""
    folder = make_folder({"p": 2})
    (folder / "t.csv").write_text("file,label\np/000.png,a\np/001.png,b\np/gone.png,a\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"p/gone\.png: .*o such file"):
        load(make_config, folder / "t.csv", source="csv")


def test_bad_files_are_in_order(make_folder, make_config):
    """Files that are not there and files that cannot be read stand together in the order of their names."""
    folder = make_folder({"p": 2})
    for name in ("p/b.png", "p/z.png"):
        (folder / name).write_bytes(b"no image")
    names = ["p/c.png", "p/z.png", "p/000.png", "p/a.png", "p/b.png", "p/001.png"]
    (folder / "t.csv").write_text("file,label\n" + "".join(f"{name},a\n" for name in names), encoding="utf-8")
    found = load(make_config, folder / "t.csv", source="csv", on_bad_image="skip")
    bad = found.passport["bad_files"]
    assert [item["file"] for item in bad] == ["p/a.png", "p/b.png", "p/c.png", "p/z.png"]
    assert ["o such file" in item["reason"] for item in bad] == [True, False, True, False]


def test_incoming_examples_get_the_runs_labels(make_folder, make_config):
    """Examples from elsewhere are labelled in the run's class order, and looked at for differences."""
    config = make_config(source="folder", path=str(make_folder({"a": 20, "b": 20})), channels=3)
    trained = datasets.load(config).passport
    other = make_folder({"b": 3}, root=make_folder({}, seed=1).parent / "other")
    found = datasets.incoming(other, config, trained)
    assert found.split.targets.labels.tolist() == [1, 1, 1]
    assert found.doubts == ()
    with pytest.raises(DataError, match='"z"'):
        datasets.incoming(make_folder({"z": 1}, root=other.parent / "third"), config, trained)
