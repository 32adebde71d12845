"""Scenes of digits: the embedded handwritten digits pasted on backgrounds, with a class for every pixel.

They are drawn when they are asked for, always the same: a set for first steps and for tests, which needs no download.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from cnncli.config.schema.schema import Data
from cnncli.datasets import arrays, builtin, facts
from cnncli.datasets.collection import Collection, Part
from cnncli.datasets.masks.scan import MaskFacts
from cnncli.datasets.masks.targets import MaskArray, Masks
from cnncli.datasets.splits import Images, Split
from cnncli.datasets.targets import Labels, Targets

CLASSES = ("background", *builtin.CLASSES["digits"])
"""Every pixel is of the background or of one digit."""

SIZE = 48
"""Height and width of a scene in pixels."""

NUMBERS = {"train": 1500, "test": 300}
"""Scenes by split; those of one split show digits of that split alone."""

_MOST = 4
_SCALES = (2, 3)
INK = 96
"""Brightness from which a digit's pixel covers the background."""


class Scenes(NamedTuple):
    """Images and their masks.

    Attributes:
        images: uint8 (scenes, 48, 48, 3).
        masks: Class numbers, uint8 (scenes, 48, 48).
    """

    images: Images
    masks: npt.NDArray[np.uint8]


def collect(data: Data) -> Collection:
    """Return all scenes by split, with the config's channels."""

    def drawn(digits: Images, labels: Labels, number: int, seed: int) -> tuple[Images, Masks]:
        scenes = draw(digits, labels, number, seed)
        found = MaskFacts.empty(number, len(CLASSES))
        for row, mask in enumerate(scenes.masks):
            found.set(row, mask)
        return scenes.images, Masks(MaskArray(scenes.masks), found.pixels, found.hashes)

    return collection(data, CLASSES, NUMBERS, drawn)


def collection(
    data: Data,
    classes: tuple[str, ...],
    numbers: Mapping[str, int],
    drawn: Callable[[Images, Labels, int, int], tuple[Images, Targets]],
) -> Collection:
    """Return a set that is drawn from the embedded digits.

    Args:
        data: Says how many channels its images have.
        classes: Names of its classes.
        numbers: Examples by split.
        drawn: Returns images and targets, of the digits and labels of a split, a number of examples and a seed.
    """
    digits = arrays.read(builtin.EMBEDDED)
    parts = {}
    for seed, (name, number) in enumerate(numbers.items()):
        images, targets = drawn(digits.images[name], digits.labels[name], number, seed)
        converted = arrays.to_channels(images, data.channels)
        parts[name] = Part(
            Split(name, converted, targets, [str(row) for row in range(number)]), facts.of_array(converted)
        )
    return Collection(classes, parts)


def draw(digits: Images, labels: Labels, number: int, seed: int) -> Scenes:
    """Draw scenes of one to four digits in colours of their own on a background of soft spots.

    Args:
        digits: Grey images (digits, 8, 8, 1).
        labels: The digit that each shows.
        number: Scenes.
        seed: Of all that is random.
    """
    generator = np.random.default_rng(seed)
    images = np.empty((number, SIZE, SIZE, 3), np.uint8)
    masks = np.zeros((number, SIZE, SIZE), np.uint8)
    for image, mask in zip(images, masks, strict=True):
        image[:] = background(generator, SIZE)
        for _ in range(int(generator.integers(1, _MOST + 1))):
            which = int(generator.integers(len(digits)))
            pasted = paste(image, enlarged(digits[which, ..., 0], generator), generator)
            mask[pasted.where][pasted.ink] = int(labels[which]) + 1
        add_noise(image, generator)
    return Scenes(images, masks)


def background(generator: np.random.Generator, size: int) -> npt.NDArray[np.uint8]:
    """Return a square of soft spots of dark colours: 6 × 6 random ones, enlarged."""
    spots = generator.integers(0, 110, (6, 6, 3)).astype(np.float32)
    places = (np.arange(size, dtype=np.float32) + 0.5) * 6 / size - 0.5
    low = np.floor(places).clip(0, 4).astype(int)
    share = (places - low).clip(0, 1)
    rows = spots[low] * (1 - share)[:, None, None] + spots[low + 1] * share[:, None, None]
    smooth = rows[:, low] * (1 - share)[None, :, None] + rows[:, low + 1] * share[None, :, None]
    found: npt.NDArray[np.uint8] = smooth.astype(np.uint8)
    return found


def enlarged(digit: npt.NDArray[np.uint8], generator: np.random.Generator) -> npt.NDArray[np.uint8]:
    """Return a digit two or three times as large."""
    scale = int(generator.choice(_SCALES))
    return digit.repeat(scale, axis=0).repeat(scale, axis=1)


class Pasted(NamedTuple):
    """Where a digit was pasted: a window of the image, and which of its pixels the digit covers."""

    where: tuple[slice, slice]
    ink: npt.NDArray[np.bool_]


def paste(
    image: npt.NDArray[np.uint8],
    digit: npt.NDArray[np.uint8],
    generator: np.random.Generator,
    place: tuple[int, int] | None = None,
) -> Pasted:
    """Paste a digit in a colour of its own over what is there: at a top and left, or somewhere."""
    height, width = digit.shape
    if place is None:
        place = tuple(generator.integers(0, len(image) - height + 1, 2).tolist())
    top, left = place
    where = np.s_[top : top + height, left : left + width]
    ink = digit >= INK
    colour = generator.integers(140, 256, 3)
    shown = (digit[..., None].astype(np.int64) * colour // 255).astype(np.uint8)
    image[where][ink] = shown[ink]
    return Pasted(where, ink)


def add_noise(image: npt.NDArray[np.uint8], generator: np.random.Generator) -> None:
    """Change each value a little."""
    noise = generator.integers(-12, 13, image.shape, np.int16)
    image[:] = (image + noise).clip(0, 255).astype(np.uint8)
