"""Sets stored as arrays: what is taken, how it is scaled, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest

from cnncli import datasets
from cnncli.config.load import loads
from cnncli.datasets.arrays import as_images, to_channels
from cnncli.datasets.images import decode
from cnncli.errors import DataError

IMAGES = np.random.default_rng(0).integers(0, 256, (6, 5, 4), np.uint8)
IMAGES[0, 0, :2] = 0, 255
LABELS = np.array([0, 1, 0, 1, 2, 2])


def load(make_config, tmp_path, **arrays):
    """Write arrays and load them."""
    np.savez(tmp_path / "set.npz", **arrays)
    return datasets.load(make_config(source="npz", path=str(tmp_path / "set.npz"), validation=0.0))


def test_train_validation_and_test(make_config, tmp_path):
    """x_train, x_val and x_test with their labels become the three splits."""
    parts = {f"{k}_{s}": v for s in ("train", "test") for k, v in (("x", IMAGES), ("y", LABELS))}
    splits = load(make_config, tmp_path, **parts)
    assert [split.name for split in splits.present()] == ["train", "test"]
    assert splits.train.images.shape == (6, 5, 4, 1)
    assert splits.classes == ("0", "1", "2")


def test_x_and_y_alone_are_training(make_config, tmp_path):
    """Two arrays are enough."""
    assert len(load(make_config, tmp_path, x=IMAGES, y=LABELS[:, None]).train) == 6


def test_words_are_labels_too(make_config, tmp_path):
    """Words become classes in alphabetical order; an array "classes" names numbers."""
    words = np.array(["b", "a", "b", "a", "c", "c"])
    assert load(make_config, tmp_path, x=IMAGES, y=words).train.targets.labels.tolist() == [1, 0, 1, 0, 2, 2]
    assert load(make_config, tmp_path, x=IMAGES, y=LABELS, classes=np.array(["u", "v", "w"])).classes == ("u", "v", "w")


@pytest.mark.parametrize("dtype", [np.int64, np.float32, np.uint16])
def test_whole_numbers_to_255_are_taken(dtype):
    """Other types with whole numbers from 0 to 255 are the same image."""
    assert np.array_equal(as_images(IMAGES.astype(dtype), "x")[..., 0], IMAGES)


def test_fractions_are_scaled():
    """Fractions from 0 to 1 are multiplied by 255 and rounded; truth values become 0 and 255."""
    assert np.array_equal(as_images(IMAGES / 255, "x")[..., 0], IMAGES)
    assert set(np.unique(as_images(IMAGES > 100, "x"))) == {0, 255}


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"a": IMAGES}, "expected arrays"),
        ({"x": IMAGES}, 'no "y"'),
        ({"x": IMAGES, "y": LABELS[:3]}, "one label for each"),
        ({"x": IMAGES, "y": LABELS - 1}, "from -1 to 1"),
        ({"x": IMAGES, "y": LABELS / 2}, "integers"),
        ({"x": IMAGES, "y": LABELS, "classes": np.array(["u", "v"])}, "expected 0 to 1"),
        ({"x": IMAGES[0], "y": LABELS}, "shape"),
        ({"x": IMAGES * 3.7, "y": LABELS}, "expected 0 to 255"),
        ({"x": IMAGES, "x_train": IMAGES, "y": LABELS}, "both"),
        ({"x": np.where(IMAGES > 9, np.nan, 0.5), "y": LABELS}, "expected 0 to 255"),
        ({"x": IMAGES[..., None, None], "y": LABELS}, "shape"),
        ({"x": np.stack([IMAGES] * 2, axis=-1), "y": LABELS}, "shape"),
        ({"x": IMAGES[:, :0], "y": LABELS}, "shape"),
        ({"x": IMAGES.astype(str), "y": LABELS}, "expected numbers"),
        ({"x": IMAGES.astype(np.int64) - 1, "y": LABELS}, "from -1 to 254"),
        ({"x": IMAGES.astype(np.int64) + 1, "y": LABELS}, "from 1 to 256"),
        ({"x": IMAGES / 255 - 0.001, "y": LABELS}, "expected 0 to 255"),
        ({"x": IMAGES / 250, "y": LABELS}, "expected 0 to 255"),
        ({"x": IMAGES, "y": LABELS[:, None, None]}, "one label for each"),
        ({"x": IMAGES, "y": LABELS, "classes": np.array(["u", "v", "u"])}, "distinct strings"),
        ({"x": IMAGES, "y": LABELS, "classes": np.array([1, 2, 3])}, "distinct strings"),
        ({"x": IMAGES, "y": np.array(list("abcabc")), "classes": np.array(["a", "b"])}, 'class "c"'),
        (
            {"x": IMAGES, "y": LABELS, "x_test": IMAGES, "y_test": LABELS + 1, "classes": np.array(list("abc"))},
            "y_test|test",
        ),
    ],
)
def test_other_arrays_are_refused(arrays, message, make_config, tmp_path):
    """What cannot be images and labels is an error that says what was found and expected."""
    with pytest.raises(DataError, match=message):
        load(make_config, tmp_path, **arrays)


@pytest.mark.parametrize("channels", [1, 3])
def test_channels_follow_the_rule_for_files(channels, encode):
    """Arrays and files change channels alike."""
    colours = np.random.default_rng(0).integers(0, 256, (1, 6, 5, 4 - channels), np.uint8)
    file = encode(colours[0] if channels == 1 else colours[0, ..., 0])
    assert np.array_equal(to_channels(colours, channels)[0], decode(file, channels, "x"))


def test_the_head_must_fit(make_config, tmp_path):
    """More or fewer units in the last layer than classes are an error before the first step."""
    splits = load(make_config, tmp_path, x=IMAGES, y=LABELS)
    text = "{name: a, data: {source: digits, image_size: [8, 8]}, model: {layers: [Flatten, {Dense: {units: UNITS}}]}}"
    splits.require_output(loads(text.replace("UNITS", "3"), "a.yaml"))
    for units in (2, 4):
        with pytest.raises(DataError, match=f"ends in {units} outputs; the data has 3 classes") as refused:
            splits.require_output(loads(text.replace("UNITS", str(units)), "a.yaml"))
        assert refused.value.code == "E301"
