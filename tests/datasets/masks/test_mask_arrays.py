"""Masks as arrays: y of an .npz file, of the shape (examples, height, width)."""

from __future__ import annotations

import numpy as np
import pytest

from cnncli import datasets
from cnncli.config.load import loads
from cnncli.config.schema.schema import Data, Resize
from cnncli.errors import DataError

GENERATOR = np.random.default_rng(6)
IMAGES = GENERATOR.integers(0, 256, (9, 6, 8, 3), np.uint8)
MASKS = GENERATOR.integers(0, 3, (9, 6, 8), np.uint8)


@pytest.fixture
def load_arrays(tmp_path, make_config):
    """Return a function that loads arrays as a config's data section says."""

    def load(y, task="segmentation", arrays=None, imposed=None, **data):
        np.savez(tmp_path / "set.npz", **(arrays or {"x": IMAGES, "y": y}))
        options = {"source": "npz", "channels": 3, "validation": 0.0, "image_size": (6, 8), **data}
        config = make_config(**options, path=str(tmp_path / "set.npz")).model_copy(update={"task": task})
        return datasets.load(config, imposed)

    return load


def read(split):
    """Return all masks of a split."""
    return np.stack([split.targets.read(row) for row in range(len(split))])


@pytest.mark.parametrize("kind", [np.uint8, np.int64, np.uint16, np.int32])
def test_numbers_are_classes(load_arrays, kind):
    """Each from 0 to the largest is one, of any integer type; 255 is none; images and counts are as they should be."""
    masks = MASKS.astype(kind)
    masks[0, 0] = 255
    splits = load_arrays(masks)
    assert splits.classes == ("0", "1", "2")
    assert np.array_equal(read(splits.train), masks)
    assert np.array_equal(splits.train.images, IMAGES)
    expected = [[*(int((mask == number).sum()) for number in range(3)), int((mask == 255).sum())] for mask in masks]
    assert splits.train.targets.pixels.tolist() == expected
    assert np.array_equal(splits.train.targets.fit(Data(source="digits", image_size=(3, 4))), masks[:, 1::2, 1::2])


@pytest.mark.parametrize(
    ("masks", "data", "classes", "numbers"),
    [
        (MASKS > 1, {}, ("0", "1"), (MASKS > 1) * 1),
        (MASKS, {"classes": ("sky", "road", "car")}, ("sky", "road", "car"), MASKS),
        (MASKS, {"classes": ("sky", "void", "car"), "ignore": 1}, ("sky", "car"), np.array([0, 255, 1])[MASKS]),
        (
            MASKS * 100,
            {"classes": {"car": 200, "sky": 0, "road": 100}},
            ("car", "sky", "road"),
            np.array([1, 2, 0])[MASKS],
        ),
        ((MASKS > 0) * 255, {"classes": {"background": 0, "cell": 255}}, ("background", "cell"), (MASKS > 0) * 1),
        (MASKS, {"ignore": 2}, ("0", "1"), np.array([0, 1, 255])[MASKS]),
    ],
)
def test_what_values_mean(load_arrays, masks, data, classes, numbers):
    """As data.classes and data.ignore say."""
    splits = load_arrays(masks, **data)
    assert splits.classes == classes
    assert np.array_equal(read(splits.train), numbers)


def test_names_in_the_file_and_splits(load_arrays):
    """The array "classes"; each split has its own masks; a run's classes are imposed on a file without names."""
    arrays = {"x_train": IMAGES[:6], "y_train": MASKS[:6], "x_test": IMAGES[6:], "y_test": MASKS[6:]}
    splits = load_arrays(None, arrays={**arrays, "classes": np.array(["sky", "road", "car"])})
    assert splits.classes == ("sky", "road", "car")
    assert np.array_equal(read(splits.test), MASKS[6:])
    assert splits.passport["targets"]["test"]["pixels"]["car"] == int((MASKS[6:] == 2).sum())
    assert load_arrays(None, arrays=arrays, imposed=("a", "b", "c")).classes == ("a", "b", "c")


def test_arrays_are_the_same_set_as_files(load_arrays, load_masks, encode, tmp_path):
    """Images and masks of a folder and of an .npz file have the same hashes."""
    for row in range(9):
        for kind, pixels in (("images", IMAGES[row]), ("masks", MASKS[row])):
            (tmp_path / "scenes" / kind).mkdir(parents=True, exist_ok=True)
            (tmp_path / "scenes" / kind / f"{row}.png").write_bytes(encode(pixels))
    ours, theirs = load_arrays(MASKS, classes=("sky", "road", "car")), load_masks(tmp_path / "scenes")
    for key in ("content_hash", "split_hash", "counts", "targets"):
        assert ours.passport[key] == theirs.passport[key]


@pytest.mark.parametrize(
    ("y", "data", "words"),
    [
        (MASKS[:, :5], {}, r"train has labels of the shape \(9, 5, 8\); .* or masks of their size, \(9, 6, 8\)"),
        (MASKS[:8], {}, r"the shape \(8, 6, 8\); expected one label for each of 9 images, or"),
        (MASKS / 2, {}, "masks of type float64; expected integers"),
        (MASKS.astype(int) - 1, {}, "values from -1 to 1; masks can have 0 to 65535"),
        (MASKS, {"classes": ("a", "b")}, r"set.npz: train\[0\]: values without a class: 2 \(\d+ pixels, first at x"),
        (MASKS, {"classes": {"a": (0, 0, 0), "b": (1, 1, 1)}}, "one channel .array. with the values 0, 1, 2"),
        (MASKS, {"classes": ("a", "b", "a")}, "names a twice"),
        (MASKS, {"task": "classification"}, "a class for every pixel, not one for each image"),
        (MASKS[:, 0, 0], {}, "a class for each image; segmentation needs one for every pixel"),
        (MASKS[:, 0, 0], {"classes": ("a", "b", "c")}, "data.classes and data.ignore are for masks"),
        (MASKS, {"resize": Resize(fit="crop")}, "crop would leave pixels without a prediction"),
        (MASKS, {"imposed": ("a", "b")}, "set.npz: train.0.: values without a class: 2"),
        (np.zeros_like(MASKS), {}, "data.classes has 1 class"),
    ],
)
def test_arrays_that_are_no_masks(load_arrays, y, data, words):
    """They are refused, with what was found and what was expected."""
    with pytest.raises(DataError, match=words):
        load_arrays(y, **data)


def test_a_config_may_train_on_arrays():
    """Whether they are masks is known when they are read."""
    layers = "layers: [Conv2D: {filters: 3, kernel_size: 1}]"
    text = "name: n\ntask: segmentation\ndata: {{source: npz, path: a.npz, image_size: [6, 8], {}}}\nmodel: {{{}}}\n"
    config = loads(text.format("classes: [a, b, c], ignore: 255", layers))
    assert config.data.classes == ("a", "b", "c")
    assert config.data.has_masks is None
