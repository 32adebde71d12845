"""The embedded digits, local copies, and what is said where there is no network."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest

from cnncli import datasets
from cnncli.datasets import builtin
from cnncli.errors import DataError

SHARED = Path(__file__).parents[3] / "shared" / "data"


def test_digits_are_the_published_ones(make_config):
    """1,797 images of 8 × 8, split once and for all, stratified; their hash is fixed."""
    splits = datasets.load(make_config(source="digits", validation=0.0))
    assert [len(split) for split in splits.present()] == [1442, 355]
    assert splits.classes == tuple("0123456789")
    assert splits.train.images.shape == (1442, 8, 8, 1)
    assert np.bincount(splits.test.targets.labels).tolist() == [35, 36, 35, 36, 36, 36, 36, 35, 34, 36]
    total = sha256(splits.train.images.tobytes() + splits.test.images.tobytes()).hexdigest()
    assert total.startswith("36f8db4539e8c1f5")


def test_digits_come_from_scikit_learn(make_config):
    """Every fifth example of a class is test; values are round(v · 255 / 16)."""
    sklearn_datasets = pytest.importorskip("sklearn.datasets")
    original = sklearn_datasets.load_digits()
    images = np.rint(original.images * 255 / 16).astype(np.uint8)
    splits = datasets.load(make_config(source="digits", validation=0.0))
    for label in range(10):
        of_class = images[original.target == label]
        assert np.array_equal(splits.test.images[splits.test.targets.labels == label][..., 0], of_class[4::5])


@pytest.mark.parametrize("source", ["mnist", "fashion_mnist", "cifar10", "cifar100"])
def test_no_network_is_one_clear_error(source, make_config, monkeypatch):
    """Where the download fails, the error says to set data.path."""

    def fail(_):
        raise DataError("offline", hint="Set data.path to a local copy")

    monkeypatch.setattr(builtin, "download", fail)
    with pytest.raises(DataError) as caught:
        datasets.load(make_config(source=source))
    assert "data.path" in caught.value.hint


def test_a_missing_local_copy_is_named(make_config):
    """A wrong data.path is named in the error."""
    with pytest.raises(DataError, match=r"nowhere\.npz"):
        datasets.load(make_config(source="mnist", path="nowhere.npz"))


@pytest.mark.needs("shared-data")
def test_mnist_from_a_local_copy(make_config):
    """MNIST in Keras's layout is read as it is."""
    splits = datasets.load(make_config(source="mnist", path=str(SHARED / "mnist.npz"), validation=0.1))
    assert splits.test.targets.labels[:5].tolist() == [7, 2, 1, 0, 4]
    assert len(splits.train) + len(splits.validation) == 60_000
    assert abs(len(splits.validation) - 6000) <= 10


def test_cifar_from_a_folder_of_images(make_config, make_folder):
    """A built-in set may be a folder of images under its own class names; other names are refused."""
    folder = make_folder({f"train/{name}": 2 for name in builtin.CLASSES["cifar10"]})
    config = make_config(source="cifar10", path=str(folder), channels=3, validation=0.0)
    assert datasets.load(config).classes == builtin.CLASSES["cifar10"]
    make_folder({"train/unicorn": 1}, root=folder)
    with pytest.raises(DataError, match="unicorn"):
        datasets.load(config)
