"""Boxes drawn on images: solid or dashed, with a label."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from cnncli.datasets.boxes.targets import Corners
from cnncli.datasets.images import Pixels

if TYPE_CHECKING:
    from PIL.Image import Image as PillowImage
    from PIL.ImageDraw import ImageDraw as PillowDraw

Colour = tuple[int, int, int]

LEAST_SIDE = 480
"""Pixels that the longer side of a drawn image has at least: a label needs them."""

_GAPS = (40, 40, 40)
"""Colour between dashes: a light colour alone would vanish on a light image."""

SMALL = 8
"""Heights of a label that an image with labels has at least."""

_DASH = 4
"""Length of a dash, and of a gap, in widths of a line."""


class Mark(NamedTuple):
    """A box to be drawn.

    Attributes:
        corners: xmin, ymin, xmax, ymax, as edges between pixels.
        colour: Red, green and blue.
        label: Text at its upper left corner; "" for none.
        is_dashed: Whether its edges are dashed: so are objects, detections are solid.
    """

    corners: tuple[float, float, float, float]
    colour: Colour
    label: str = ""
    is_dashed: bool = False


def corners_of(corners: Corners) -> list[tuple[float, float, float, float]]:
    """Return the rows of an array of boxes."""
    return [(left, top, right, bottom) for left, top, right, bottom in corners.tolist()]


def drawn(pixels: Pixels, marks: Sequence[Mark], least_side: int = LEAST_SIDE) -> Pixels:
    """Return an image (height, width, 1 or 3) in colour with boxes, enlarged by a whole number where it is small."""
    from PIL import Image

    factor = max(1, -(-least_side // max(pixels.shape[:2])))
    large = pixels.repeat(factor, axis=0).repeat(factor, axis=1).repeat(3 // pixels.shape[-1], axis=2)
    image = Image.fromarray(large)
    draw(image, [scaled(mark, factor, factor) for mark in marks])
    return np.asarray(image)


def scaled(mark: Mark, along: float, down: float) -> Mark:
    """Return a box on an image that is so many times as wide and high."""
    left, top, right, bottom = mark.corners
    return mark._replace(corners=(left * along, top * down, right * along, bottom * down))


def draw(image: PillowImage, marks: Sequence[Mark]) -> None:
    """Draw boxes on an image of mode RGB, in place; the last lie over the others, and labels over all lines."""
    from PIL import ImageDraw

    pen, width = ImageDraw.Draw(image), max(1, round(max(image.size) / 240))
    for mark in marks:
        left, top, right, bottom = _inside(mark.corners, image.size)
        pen.rectangle((left, top, right, bottom), outline=_GAPS if mark.is_dashed else mark.colour, width=width)
        if not mark.is_dashed:
            continue
        right, bottom = max(right - width + 1, left), max(bottom - width + 1, top)
        for start, end in (
            ((left, top), (right, top)),
            ((left, bottom), (right, bottom)),
            ((left, top), (left, bottom)),
            ((right, top), (right, bottom)),
        ):
            _dashes(pen, start, end, mark.colour, width)
    _labels(image, marks, width)


def _inside(corners: tuple[float, float, float, float], size: tuple[int, int]) -> tuple[int, int, int, int]:
    """Return the first and the last column and row of pixels inside a box."""
    limits = (size[0] - 1, size[1] - 1)
    left, top = (min(max(int(corners[k] + 0.5), 0), limits[k]) for k in (0, 1))
    right, bottom = (min(max(int(corners[k + 2] + 0.5) - 1, low), limits[k]) for k, low in ((0, left), (1, top)))
    return left, top, right, bottom


def _dashes(pen: PillowDraw, start: tuple[int, int], end: tuple[int, int], colour: Colour, width: int) -> None:
    """Draw a line along one axis with gaps; its pixels lie to the right of these points and below them."""
    axis = 0 if end[0] > start[0] else 1
    for first in range(start[axis], end[axis] + width, 2 * _DASH * width):
        last = min(first + _DASH * width, end[axis] + width) - 1
        ends = (
            (first, start[1], last, start[1] + width - 1)
            if axis == 0
            else (start[0], first, start[0] + width - 1, last)
        )
        pen.rectangle(ends, fill=colour)


class _Rectangle(NamedTuple):
    """The first and the last column and row of pixels of a part of an image."""

    left: int
    top: int
    right: int
    bottom: int

    def meets(self, other: _Rectangle) -> bool:
        """Say whether both have a pixel in common."""
        return (
            self.left <= other.right
            and other.left <= self.right
            and self.top <= other.bottom
            and other.top <= self.bottom
        )


def _labels(image: PillowImage, marks: Sequence[Mark], width: int) -> None:
    """Write the labels, those of the last boxes first; one is left out where it would cover another.

    On a small image there are none: they would cover what it shows.

    Args:
        image: The image, of mode RGB.
        marks: The boxes.
        width: Of their lines.
    """
    from PIL import ImageDraw, ImageFont

    pen, font = ImageDraw.Draw(image), ImageFont.load_default(max(11, 3 * width + 8))
    taken: list[_Rectangle] = []
    for mark in reversed(marks):
        if not mark.label:
            continue
        left, top, right, bottom = pen.textbbox((0, 0), mark.label, font=font)
        across, down = int(right - left) + 4, int(bottom - top) + 4
        if down * SMALL > image.height:
            continue
        places = _label_places(mark, (across, down), image.size)
        place = next((place for place in places if not any(map(place.meets, taken))), None)
        if place is None:
            continue
        taken.append(place)
        pen.rectangle(place, fill=mark.colour)
        red, green, blue = mark.colour
        is_light = 0.299 * red + 0.587 * green + 0.114 * blue > 140
        ink = (0, 0, 0) if is_light else (255, 255, 255)
        pen.text((place.left + 2 - left, place.top + 2 - top), mark.label, font=font, fill=ink)


def _label_places(mark: Mark, label: tuple[int, int], size: tuple[int, int]) -> Iterator[_Rectangle]:
    """Yield where a label of some width and height may lie: above its box, in it, or below it; within the image."""
    across, down = label
    left, top, _, bottom = _inside(mark.corners, size)
    x = min(left, max(size[0] - across, 0))
    for y in (top - down, top, bottom + 1, bottom - down + 1):
        if 0 <= y <= size[1] - down:
            yield _Rectangle(x, y, x + across - 1, y + down - 1)
