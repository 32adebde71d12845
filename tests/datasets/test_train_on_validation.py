"""Training on a source's validation split too: each example with its target, and nothing left to select by."""

from __future__ import annotations

import numpy as np
import pytest

from cnncli import datasets
from cnncli.datasets.splits import image
from cnncli.errors import DataError
from tests.datasets.boxes.annotations import voc_xml

COUNTS = {"train": 5, "val": 3, "test": 2}
CLASSES = {"sky": 0, "road": 1, "car": 2}
OWN = 0.1
"""A share for validation, which the source's own validation split goes before."""


def pictures(number, size=(8, 8)):
    """Return as many images of random pixels."""
    return np.random.default_rng(number).integers(0, 256, (number, *size, 3), np.uint8)


def arrays(path, encode):
    """Write images with classes into one file of arrays."""
    parts = {f"x_{split}": pictures(number) for split, number in COUNTS.items()}
    labels = {f"y_{split}": np.arange(number) % 2 for split, number in COUNTS.items()}
    np.savez(path / "set.npz", **parts, **labels)
    return {"source": "npz", "path": path / "set.npz"}


def masked_arrays(path, encode):
    """Write images with masks into one file of arrays."""
    parts = {f"x_{split}": pictures(number) for split, number in COUNTS.items()}
    masks = {f"y_{split}": pictures(number)[..., 0] % 3 for split, number in COUNTS.items()}
    np.savez(path / "set.npz", **parts, **masks)
    return {"source": "npz", "path": path / "set.npz", "classes": CLASSES, "task": "segmentation"}


def files(path, encode):
    """Write files in folders of classes."""
    for split, number in COUNTS.items():
        for row, pixels in enumerate(pictures(number)):
            file = path / split / "ab"[row % 2] / f"{row}.png"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(encode(pixels))
    return {"source": "folder", "path": path}


def masks(path, encode):
    """Write files with masks beside them."""
    for split, number in COUNTS.items():
        for kind in ("images", "masks"):
            (path / split / kind).mkdir(parents=True)
        for row, pixels in enumerate(pictures(number)):
            (path / split / f"images/{row}.png").write_bytes(encode(pixels))
            (path / split / f"masks/{row}.png").write_bytes(encode(pixels[..., 0] % 3))
    return {"source": "masks", "path": path, "classes": CLASSES, "task": "segmentation"}


def boxes(path, encode):
    """Write files with boxes of one object more in each."""
    for folder in ("JPEGImages", "Annotations", "ImageSets/Main"):
        (path / folder).mkdir(parents=True)
    for split, number in COUNTS.items():
        names = [f"{split}{row}" for row in range(number)]
        (path / f"ImageSets/Main/{split}.txt").write_text("\n".join(names))
        for row, (name, pixels) in enumerate(zip(names, pictures(number, (40, 60)), strict=True)):
            objects = [("cell", 1 + each, 2, 20 + row, 30) for each in range(row + 1)]
            (path / f"JPEGImages/{name}.png").write_bytes(encode(pixels))
            (path / f"Annotations/{name}.xml").write_text(voc_xml(objects, filename=f"{name}.png"))
    return {"source": "voc", "path": path, "task": "detection"}


@pytest.fixture(params=[arrays, masked_arrays, files, masks, boxes], ids=lambda write: write.__name__)
def load(request, make_config, tmp_path, encode):
    """Return a function that loads a source with three splits as a config's data section says."""
    options = request.param(tmp_path, encode)
    task = options.pop("task", "classification")
    options["path"] = str(options["path"])

    def load(**data):
        config = make_config(channels=3, **{**options, **data}).model_copy(update={"task": task})
        return datasets.load(config)

    return load


def test_both_splits_are_trained_on(load):
    """Images, targets and files of the validation split stand behind those of training; the test split is as it was."""
    apart, both = load(validation=OWN), load(validation=0.0, train_on_validation=True)
    assert (len(both.train), both.validation) == (8, None)
    parts = [(part, row) for part in (apart.train, apart.validation) for row in range(len(part))]
    for place, (part, row) in enumerate(parts):
        assert np.array_equal(image(both.train, place), image(part, row))
    digests = np.concatenate([apart.train.targets.digests(), apart.validation.targets.digests()])
    assert np.array_equal(both.train.targets.digests(), digests)
    assert len(set(both.train.ids)) == 8
    assert both.test.targets.content() == apart.test.targets.content()
    assert both.passport["content_hash"] == apart.passport["content_hash"]
    assert both.passport["split_hash"] != apart.passport["split_hash"]


def test_a_share_is_held_out_of_both(load):
    """As of a source without a validation split."""
    splits = load(validation=0.5, train_on_validation=True)
    assert len(splits.train) + len(splits.validation) == 8
    assert 2 <= len(splits.validation) <= 6


def test_a_source_without_a_validation_split(make_config, tmp_path):
    """It is said, for the key would change nothing."""
    np.savez(tmp_path / "set.npz", x=pictures(6), y=np.arange(6) % 2)
    config = make_config(source="npz", path=str(tmp_path / "set.npz"), channels=3, train_on_validation=True)
    with pytest.raises(DataError, match=r"train_on_validation is true, but the data has only train$"):
        datasets.load(config)
