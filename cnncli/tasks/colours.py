"""Colours of classes that the colour-blind can tell apart as far as colours go; a legend always names them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from cnncli.datasets.masks.coding import IGNORED
from cnncli.tasks.pages import LegendEntry

# Okabe and Ito, Color Universal Design, 2008; then the same darker and lighter.
_BASE = (
    *((0, 114, 178), (230, 159, 0), (0, 158, 115), (204, 121, 167)),
    *((86, 180, 233), (213, 94, 0), (240, 228, 66), (110, 110, 110)),
)
IGNORED_COLOUR = (0, 0, 0)

_TOGETHER = 2**20
"""Pixels that are mixed at a time: of a large image, real numbers for all would fill the memory."""


def class_colours(number: int) -> npt.NDArray[np.uint8]:
    """Return red, green and blue of each class: uint8 (classes, 3)."""
    base = np.array(_BASE, np.float64)
    rounds = [base, base * 0.55, base + (255 - base) * 0.55, base * 0.3]
    every = np.concatenate(rounds)
    return np.rint(every[np.arange(number) % len(every)]).astype(np.uint8)


def painted(mask: npt.NDArray[np.uint8], number: int) -> npt.NDArray[np.uint8]:
    """Return a mask in the classes' colours, black where there is no class: uint8 (height, width, 3)."""
    table = np.zeros((256, 3), np.uint8)
    table[:number] = class_colours(number)
    return table[mask]


def overlaid(
    pixels: npt.NDArray[np.uint8], mask: npt.NDArray[np.uint8], number: int, share: float = 0.55
) -> npt.NDArray[np.uint8]:
    """Return an image with the classes' colours laid over it.

    The image is grey below them, so that a colour is a class's alone; it keeps its own where there is no class.

    Args:
        pixels: The image (height, width, 1 or 3).
        mask: Class numbers of the same size.
        number: Number of classes.
        share: How much of the colours is seen.
    """
    laid = np.empty((*mask.shape, 3), np.uint8)
    rows = max(1, _TOGETHER // mask.shape[1])
    for top in range(0, len(mask), rows):
        part = slice(top, top + rows)
        grey = pixels[part].mean(axis=-1, keepdims=True)
        mixed = (1 - share) * grey + share * painted(mask[part], number)
        laid[part] = np.rint(np.where((mask[part] < number)[..., None], mixed, pixels[part]))
    return laid


def colour_legend(labels: npt.NDArray[np.uint8], classes: Sequence[str]) -> list[LegendEntry]:
    """Return name and colour of the classes that are found, in their order, and of what is not counted.

    Args:
        labels: The class numbers that are found.
        classes: Names of all classes.
    """
    colours = class_colours(len(classes)).tolist()
    found = [(classes[label], (*colours[label],)) for label in np.unique(labels).tolist() if label < len(classes)]
    return [*found, ("not counted", IGNORED_COLOUR)] if IGNORED in labels else found
