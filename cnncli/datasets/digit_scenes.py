"""Scenes of digits: the embedded handwritten digits pasted on backgrounds, with a class for every pixel.

They are drawn when they are asked for, always the same: a set for first steps and for tests, which needs no download.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from cnncli.config.schema.schema import Data
from cnncli.datasets import arrays, builtin, facts
from cnncli.datasets.collection import Collection, Part
from cnncli.datasets.masks.scan import MaskFacts
from cnncli.datasets.masks.targets import MaskArray, Masks
from cnncli.datasets.splits import Images, Split
from cnncli.datasets.targets import Labels

CLASSES = ("background", *builtin.CLASSES["digits"])
"""Every pixel is of the background or of one digit."""

SIZE = 48
"""Height and width of a scene in pixels."""

NUMBERS = {"train": 1500, "test": 300}
"""Scenes by split; those of one split show digits of that split alone."""

_MOST = 4
_SCALES = (2, 3)
_INK = 96
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
    digits = arrays.read(builtin.EMBEDDED)
    parts = {}
    for place, (name, number) in enumerate(NUMBERS.items()):
        scenes = draw(digits.images[name], digits.labels[name], number, seed=place)
        converted = arrays.to_channels(scenes.images, data.channels)
        found = MaskFacts.empty(number, len(CLASSES))
        for row, mask in enumerate(scenes.masks):
            found.set(row, mask)
        targets = Masks(MaskArray(scenes.masks), found.pixels, found.hashes)
        split = Split(name, converted, targets, [str(row) for row in range(number)])
        parts[name] = Part(split, facts.of_array(converted))
    return Collection(CLASSES, parts)


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
        image[:] = _background(generator)
        for _ in range(int(generator.integers(1, _MOST + 1))):
            which = int(generator.integers(len(digits)))
            _paste(image, mask, digits[which, ..., 0], int(labels[which]) + 1, generator)
        noise = generator.integers(-12, 13, image.shape, np.int16)
        image[:] = (image + noise).clip(0, 255).astype(np.uint8)
    return Scenes(images, masks)


def _background(generator: np.random.Generator) -> npt.NDArray[np.uint8]:
    """Return soft spots of dark colours: 6 × 6 random ones, enlarged."""
    spots = generator.integers(0, 110, (6, 6, 3)).astype(np.float32)
    places = (np.arange(SIZE, dtype=np.float32) + 0.5) * 6 / SIZE - 0.5
    low = np.floor(places).clip(0, 4).astype(int)
    share = (places - low).clip(0, 1)
    rows = spots[low] * (1 - share)[:, None, None] + spots[low + 1] * share[:, None, None]
    smooth = rows[:, low] * (1 - share)[None, :, None] + rows[:, low + 1] * share[None, :, None]
    background: npt.NDArray[np.uint8] = smooth.astype(np.uint8)
    return background


def _paste(
    image: npt.NDArray[np.uint8],
    mask: npt.NDArray[np.uint8],
    digit: npt.NDArray[np.uint8],
    label: int,
    generator: np.random.Generator,
) -> None:
    """Paste an enlarged digit somewhere, over what is there."""
    scale = int(generator.choice(_SCALES))
    large = digit.repeat(scale, axis=0).repeat(scale, axis=1)
    side = len(large)
    top, left = (int(place) for place in generator.integers(0, SIZE - side + 1, 2))
    where = np.s_[top : top + side, left : left + side]
    ink = large >= _INK
    colour = generator.integers(140, 256, 3)
    shown = (large[..., None].astype(np.int64) * colour // 255).astype(np.uint8)
    image[where][ink] = shown[ink]
    mask[where][ink] = label
