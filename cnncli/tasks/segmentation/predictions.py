"""What a network predicts for the pixels of an image that nobody labelled."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, BinaryIO, ClassVar

import numpy as np
import numpy.typing as npt

from cnncli.datasets.images import Pixels
from cnncli.datasets.masks.coding import Mask
from cnncli.datasets.masks.targets import nearest
from cnncli.datasets.masks.values import Colour
from cnncli.report.grid import Column
from cnncli.tasks.colours import class_colours, overlaid
from cnncli.tasks.predictions import PredictionOptions, csv_text
from cnncli.tasks.segmentation.evaluator import in_original
from cnncli.tasks.segmentation.planes import class_planes

if TYPE_CHECKING:
    from PIL.Image import Image as PillowImage

CLASSES_TEXT = "Classes"
"""Keyword of the text in a mask's PNG file that names the classes: a JSON list, in the order of their numbers."""

_ROWS = 256


@dataclass(frozen=True)
class SegmentedImage:
    """The class of every pixel of an image.

    Attributes:
        mask: Class numbers in the original image's pixels, uint8 (height, width).
        classes: Names of the classes.
        confidence: Mean probability of the predicted class over all pixels.
        top: Number of classes to name.
    """

    mask: Mask = field(repr=False)
    classes: Sequence[str]
    confidence: float
    top: int

    columns: ClassVar[tuple[Column, ...]] = (Column("Largest classes", left=True), Column("Confidence"))

    @classmethod
    def of(
        cls,
        probabilities: npt.NDArray[np.floating[Any]],
        size: tuple[int, int],
        options: PredictionOptions,
        mask: Mask | None = None,
    ) -> SegmentedImage:
        """Return what probabilities (height, width, classes) mean for an image of some size.

        Args:
            probabilities: As the network reads the image.
            size: Height and width of the image.
            options: How the image was fitted.
            mask: The classes that the network itself returns; of an image of its size, they are the mask.
        """
        planes = in_original(class_planes(probabilities), size, options.fit)
        if mask is None or mask.shape != tuple(size):
            mask = planes.argmax(axis=0)
        mask = np.asarray(mask, np.uint8)
        return cls(mask, options.classes, float(planes.max(axis=0).mean()), options.top)

    def areas(self) -> list[tuple[str, int, float]]:
        """Return name, pixels and share of the image of each class that is found, the largest first."""
        pixels = np.zeros(len(self.classes), np.int64)
        for top in range(0, len(self.mask), _ROWS):  # NumPy counts what it has copied as numbers of eight bytes.
            pixels += np.bincount(self.mask[top : top + _ROWS].ravel(), minlength=len(self.classes))
        order = [i for i in np.argsort(-pixels, kind="stable").tolist() if pixels[i]]
        return [(self.classes[i], int(pixels[i]), float(pixels[i] / self.mask.size)) for i in order]

    def over(self, pixels: Pixels) -> Pixels:
        """Return an image of any size with the classes' colours laid over it."""
        height, width = pixels.shape[:2]
        return overlaid(pixels, nearest(self.mask, (height, width)), len(self.classes))

    def lay_over(self, image: PillowImage) -> None:
        """Lay the classes' colours over an image of the mask's size, a few rows at a time."""
        from PIL import Image

        for top in range(0, image.height, _ROWS):
            part = np.asarray(image.crop((0, top, image.width, min(top + _ROWS, image.height))))
            laid = overlaid(part, self.mask[top : top + _ROWS], len(self.classes))
            image.paste(Image.fromarray(laid), (0, top))

    def legend(self) -> list[tuple[str, Colour]]:
        """Return name and colour of each class that is found, the largest first."""
        colours = {name: (r, g, b) for name, (r, g, b) in zip(self.classes, self._colours(), strict=True)}
        return [(name, colours[name]) for name, _, _ in self.areas()]

    def classes_csv(self) -> str:
        """Return number, name, red, green and blue of every class."""
        rows = zip(self.classes, self._colours(), strict=True)
        lines = [(str(number), name, *map(str, colour)) for number, (name, colour) in enumerate(rows)]
        return csv_text([("number", "class", "red", "green", "blue"), *lines])

    def write_png(self, file: BinaryIO) -> None:
        """Write the class numbers as a PNG file: its palette has the classes' colours, a text names the classes."""
        from PIL import Image, PngImagePlugin

        image = Image.fromarray(self.mask)
        image.putpalette([value for colour in self._colours() for value in colour])
        about = PngImagePlugin.PngInfo()
        about.add_itxt(CLASSES_TEXT, json.dumps(list(self.classes), ensure_ascii=False))
        image.save(file, "PNG", pnginfo=about)

    def _colours(self) -> list[list[int]]:
        colours: list[list[int]] = class_colours(len(self.classes)).tolist()
        return colours

    def to_json(self) -> list[dict[str, Any]]:
        """Return the area of each class that is found."""
        return [{"class": name, "pixels": pixels, "share": share} for name, pixels, share in self.areas()]

    def csv_rows(self) -> list[dict[str, str]]:
        """Return a line for each class that is found."""
        return [{"class": name, "pixels": str(pixels), "share": repr(share)} for name, pixels, share in self.areas()]

    def cells(self) -> tuple[str, ...]:
        """Return the largest classes with their shares, and how certain the network is."""
        largest = ", ".join(f"{name} {100 * share:.1f} %" for name, _, share in self.areas()[: self.top])
        return largest, f"{100 * self.confidence:.1f} %"
