"""The sets that are known by name: their classes, and where their arrays come from."""

from __future__ import annotations

from pathlib import Path

from cnncli.datasets import arrays
from cnncli.datasets.arrays import Arrays

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


def download(source: str) -> Arrays:
    """Return a built-in set through `keras.datasets`, which downloads it once.

    Raises:
        DataError: If there is no network, or what came is damaged.
    """
    from cnncli.datasets.download import download as download_with_keras

    return arrays.from_mapping(download_with_keras(source), f"keras.datasets.{source}")
