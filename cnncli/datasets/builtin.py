"""The sets that are known by name: their classes, and where their arrays come from."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from cnncli.datasets import arrays, cifar
from cnncli.datasets.arrays import Arrays
from cnncli.datasets.download import PublishedFile, check, open_published
from cnncli.errors import DataError
from cnncli.files.read import open_file

_DIGITS = tuple(str(digit) for digit in range(10))

# fmt: off
_CIFAR100 = (
    "apple", "aquarium_fish", "baby", "bear", "beaver", "bed", "bee", "beetle", "bicycle", "bottle", "bowl",
    "boy", "bridge", "bus", "butterfly", "camel", "can", "castle", "caterpillar", "cattle", "chair",
    "chimpanzee", "clock", "cloud", "cockroach", "couch", "crab", "crocodile", "cup", "dinosaur", "dolphin",
    "elephant", "flatfish", "forest", "fox", "girl", "hamster", "house", "kangaroo", "keyboard", "lamp",
    "lawn_mower", "leopard", "lion", "lizard", "lobster", "man", "maple_tree", "motorcycle", "mountain",
    "mouse", "mushroom", "oak_tree", "orange", "orchid", "otter", "palm_tree", "pear", "pickup_truck",
    "pine_tree", "plain", "plate", "poppy", "porcupine", "possum", "rabbit", "raccoon", "ray", "road", "rocket",
    "rose", "sea", "seal", "shark", "shrew", "skunk", "skyscraper", "snail", "snake", "spider", "squirrel",
    "streetcar", "sunflower", "sweet_pepper", "table", "tank", "telephone", "television", "tiger", "tractor",
    "train", "trout", "tulip", "turtle", "wardrobe", "whale", "willow_tree", "wolf", "woman", "worm",
)
# fmt: on

CLASSES: dict[str, tuple[str, ...]] = {
    "digits": _DIGITS,
    "mnist": _DIGITS,
    "fashion_mnist": (
        *("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat"),
        *("Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
    ),
    "cifar10": ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"),
    "cifar100": _CIFAR100,
}
"""Class names of the built-in sets, in the order of their labels."""

EMBEDDED = Path(__file__).with_name("digits.npz")
"""The handwritten digits that come with cnncli; see digits.LICENSE.txt."""


_KERAS = "https://storage.googleapis.com/tensorflow/tf-keras-datasets/"
_TORONTO = "https://www.cs.toronto.edu/~kriz/"

MNIST = PublishedFile(
    url=f"{_KERAS}mnist.npz",
    name="mnist.npz",
    size=11_490_434,
    digest="731c5ac602752760c8e48fbffcf8c3b850d9dc2a2aedcf2cc48468fc17b673d1",
)

FASHION_MNIST = {
    array: PublishedFile(f"{_KERAS}{name}", f"fashion-mnist/{name}", size, digest)
    for array, name, size, digest in (
        ("x_train", "train-images-idx3-ubyte.gz", 26_421_880, "8d4fb7e6c68d591d4c3dfef9ec88bf0d"),
        ("y_train", "train-labels-idx1-ubyte.gz", 29_515, "25c81989df183df01b3e8a0aad5dffbe"),
        ("x_test", "t10k-images-idx3-ubyte.gz", 4_422_102, "bef4ecab320f06d8554ea6380940ec79"),
        ("y_test", "t10k-labels-idx1-ubyte.gz", 5_148, "bb300cfdad3c16e7a12a480ee83cd310"),
    )
}
"""A file for each array. Keras checks no digest of them; these are the MD5s that their authors publish."""

CIFAR = {
    "cifar10": PublishedFile(
        url=f"{_TORONTO}cifar-10-python.tar.gz",
        name="cifar-10-batches-py-target_archive",
        size=170_498_071,
        digest="6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce",
    ),
    "cifar100": PublishedFile(
        url=f"{_TORONTO}cifar-100-python.tar.gz",
        name="cifar-100-python-target_archive",
        size=169_001_437,
        digest="85cd44d02ba6437773c5bbd22e183051d648de2e7d6b014e1ef29b855ba677a7",
    ),
}


def download(source: str) -> Arrays:
    """Return a built-in set; what is not in Keras's cache is downloaded into it once.

    Raises:
        DataError: If there is no network, or what came is damaged.
    """
    try:
        content = _read_published(source)
    except (OSError, DataError) as error:
        raise DataError(
            f"{source} could not be downloaded: {error}",
            hint="Set data.path to a local copy (an .npz file with x_train, y_train, x_test, y_test; a folder of "
            "images; the original .tar.gz of CIFAR), or use data.source digits, which needs no download.",
        ) from error
    return arrays.from_mapping(content, source)


def _read_published(source: str) -> dict[str, npt.NDArray[Any]]:
    if source in CIFAR:
        with open_published(CIFAR[source]) as file:
            return cifar.read(file, source)
    if source == "fashion_mnist":
        return {name: _read_idx(file) for name, file in FASHION_MNIST.items()}
    with open_published(MNIST) as file, np.load(file, allow_pickle=False) as stored:
        return {name: stored[name] for name in ("x_train", "y_train", "x_test", "y_test")}


def _read_idx(file: PublishedFile) -> npt.NDArray[np.uint8]:
    """Read an array of bytes in the format of the original MNIST: its rank, its shape in big-endian, its values."""
    with open_published(file) as packed, gzip.open(packed) as unpacked:
        content = unpacked.read()
    rank = content[3]
    shape = np.frombuffer(content, ">i4", rank, offset=4)
    return np.frombuffer(content, np.uint8, offset=4 + 4 * rank).reshape(shape)


def read_cifar(source: str, path: Path) -> Arrays:
    """Return the arrays of an original CIFAR archive ("python version") that the user has.

    Its files are pickles, so nothing of it is opened before its SHA-256 is that of the published one.

    Args:
        source: "cifar10" or "cifar100".
        path: cifar-10-python.tar.gz or cifar-100-python.tar.gz.

    Raises:
        DataError: If it is another file.
    """
    with _open(path) as file:
        check(file, CIFAR[source], str(path))
        return arrays.from_mapping(cifar.read(file, source), str(path))


def _open(path: Path) -> BinaryIO:
    try:
        return open_file(path)
    except OSError as error:
        raise DataError(f"{path} cannot be opened: {error.strerror or error}") from error
