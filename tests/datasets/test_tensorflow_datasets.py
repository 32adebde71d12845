"""Sets of TensorFlow Datasets, here played by a stand-in with its interface."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import numpy as np
import pytest

from cnncli import datasets
from cnncli.errors import DataError


class Image:
    """Feature of an image."""


class ClassLabel:
    """Feature of a class."""

    names = ("dog", "cat")


@pytest.fixture
def stand_in(monkeypatch, encode):
    """Install a stand-in for the package that knows one set; return what it has for each split."""
    generator = np.random.default_rng(0)
    splits = {
        name: [{"image": encode(generator.integers(0, 256, (5, 6, 3), np.uint8)), "label": i % 2} for i in range(count)]
        for name, count in {"train": 20, "test": 4, "unlabelled": 3}.items()
    }

    def builder(name):
        if name != "pets":
            raise ValueError(f"Dataset {name} not found.\nlong explanation")
        print("noise on stdout")
        info = SimpleNamespace(
            name="pets",
            full_name="pets/1.0.0",
            features={"image": Image(), "label": ClassLabel()},
            supervised_keys=None,
            splits=splits,
        )
        return SimpleNamespace(
            info=info,
            download_and_prepare=lambda file_format: None,
            as_data_source=lambda split, decoders: splits[split],
        )

    module = SimpleNamespace(builder=builder, decode=SimpleNamespace(SkipDecoding=object))
    monkeypatch.setitem(sys.modules, "tensorflow_datasets", module)
    return splits


def test_a_set_is_read_as_stored(stand_in, make_config, capsys):
    """Classes keep the set's order, images are decoded from their bytes, others are reported, stdout stays clean."""
    splits = datasets.load(make_config(source="tfds", path="pets", channels=3))
    assert splits.classes == ("dog", "cat")
    assert splits.passport["num_examples"] == {"train": 18, "validation": 2, "test": 4}
    assert splits.passport["ignored_folders"] == ["unlabelled"]
    assert splits.test.images.decode(0).shape == (5, 6, 3)
    assert splits.test.targets.labels.tolist() == [0, 1, 0, 1]
    assert capsys.readouterr().out == ""


def test_an_unknown_set_is_one_line(stand_in, make_config):
    """What the package says is shortened to its first line."""
    with pytest.raises(DataError, match=r"Dataset nothing not found\.$"):
        datasets.load(make_config(source="tfds", path="nothing"))


def test_without_the_package_the_extra_is_named(make_config, monkeypatch):
    """The error says what to install."""
    monkeypatch.setitem(sys.modules, "tensorflow_datasets", None)
    with pytest.raises(DataError, match="not installed") as caught:
        datasets.load(make_config(source="tfds", path="pets"))
    assert "cnncli[tfds]" in caught.value.hint
