"""What the values of mask files mean: a class, or nothing that counts."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256

import numpy as np
import numpy.typing as npt
from PIL import Image, UnidentifiedImageError

from cnncli.datasets.images import FORMATS, MAX_BYTES, MAX_PIXELS
from cnncli.errors import DataError
from cnncli.plural import counted

Mask = npt.NDArray[np.uint8]
"""Class number of each pixel, (height, width); `IGNORED` where there is none."""

IGNORED = 255
"""Class number of pixels that no loss and no score counts."""

MOST_CLASSES = 255
"""Class numbers from 0 to 254 fit beside it in a byte."""

Colour = tuple[int, int, int]
Value = int | Colour

_LOSSY = ("JPEG", "MPO", "WEBP")
_INDICES = ("L", "P", "1", "I;16", "I;16L", "I;16B", "I;16N", "I")
_NAMED = 3


@dataclass(frozen=True)
class Coding:
    """The value of each class in mask files: a number from 0 to 65,535, or a colour.

    Attributes:
        classes: Names of the classes.
        values: Value of each.
        ignored: Values of pixels that belong to no class.
    """

    classes: tuple[str, ...]
    values: tuple[Value, ...]
    ignored: tuple[Value, ...] = ()

    @classmethod
    def of(cls, values: Mapping[str, Value], ignored: Sequence[Value]) -> Coding:
        """Return the coding of named values.

        Raises:
            DataError: If two classes share a value, if numbers and colours are mixed, or if there are too many.
        """
        if len(values) > MOST_CLASSES:
            raise DataError(f"data.classes has {len(values)} classes; masks can have {MOST_CLASSES}")
        owners: dict[Value, str] = {}
        for name, value in (*values.items(), *(("data.ignore", value) for value in ignored)):
            if value in owners:
                raise DataError(f"{name} and {owners[value]} have the same value in masks, {_shown(value)}")
            owners[value] = name
        if len({isinstance(value, int) for value in owners}) > 1:
            raise DataError(
                "data.classes and data.ignore mix numbers and colours", "Give each value the same way: 3, or [r, g, b]."
            )
        return cls(tuple(values), tuple(values.values()), tuple(ignored))

    @property
    def identity(self) -> str:
        """A hash of all of it, for caches."""
        return sha256(repr((self.classes, self.values, self.ignored)).encode()).hexdigest()

    @property
    def is_coloured(self) -> bool:
        """Whether masks are in colour."""
        return not isinstance(self.values[0], int)

    @cached_property
    def _known(self) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.uint8]]:
        """All values in ascending order, and the class number of each."""
        pairs = [(_packed(value), number) for number, value in enumerate(self.values)]
        pairs += [(_packed(value), IGNORED) for value in self.ignored]
        values, numbers = zip(*sorted(pairs), strict=True)
        return np.array(values, np.int32), np.array(numbers, np.uint8)

    def decode(self, content: bytes, name: str) -> Mask:
        """Decode a mask file.

        Args:
            content: The file's bytes.
            name: What an error calls it.

        Raises:
            DataError: If it is not an image, lossy, of another kind than the classes' values, or has a value that is
                no class's.
        """
        values = self._values(content, name)
        known, numbers = self._known
        places = np.searchsorted(known, values).clip(max=len(known) - 1)
        wrong = known[places] != values
        if wrong.any():
            raise DataError(f"{name}: {self._about_unknown(values, wrong)}")
        found: Mask = numbers[places]
        return found

    def _values(self, content: bytes, name: str) -> npt.NDArray[np.int32]:
        """Return the value of each pixel; colours as one number."""
        if len(content) > MAX_BYTES:
            raise DataError(f"{name}: the file has {len(content):,} bytes; the limit is {MAX_BYTES:,}")
        try:
            with Image.open(io.BytesIO(content), formats=FORMATS) as image:
                if image.width * image.height > MAX_PIXELS:
                    raise DataError(f"{name}: {image.width:,} × {image.height:,} pixels; the limit is {MAX_PIXELS:,}")
                self._require_kind(image, name)
                image.load()
                if self.is_coloured:
                    return _packed_colours(np.asarray(image.convert("RGB")))
                values = np.asarray(image).astype(np.int32)
                return values * 255 if image.mode == "1" and _uses_255(self) else values
        except UnidentifiedImageError as error:
            raise DataError(f"{name}: not an image of a known format ({', '.join(FORMATS)})") from error
        except DataError:
            raise
        except Exception as error:
            raise DataError(f"{name}: {str(error).strip() or type(error).__name__}") from error

    def _require_kind(self, image: Image.Image, name: str) -> None:
        """Refuse a file whose pixels cannot be what the classes' values say.

        Raises:
            DataError: Which names what it is, and what was expected.
        """
        if image.format in _LOSSY:
            raise DataError(
                f"{name}: {image.format} changes values when it is saved, so it cannot hold a mask; save masks as PNG"
            )
        if image.mode in ("LA", "La", "PA", "RGBA", "RGBa"):
            raise DataError(f"{name}: the mask has an alpha channel ({image.mode}); save it without one")
        if self.is_coloured and image.mode not in ("RGB", "P"):
            raise DataError(f"{name}: the mask has one channel ({image.mode}), but data.classes are colours [r, g, b]")
        if not self.is_coloured and image.mode not in _INDICES:
            equal = image.mode == "RGB" and _is_grey(image)
            how = "its three channels are equal: save one of them" if equal else "give data.classes as [r, g, b]"
            raise DataError(f"{name}: the mask is in colour ({image.mode}), but data.classes are numbers; {how}")

    def _about_unknown(self, values: npt.NDArray[np.int32], wrong: npt.NDArray[np.bool_]) -> str:
        """Say which values have no class, how many pixels have them, and where."""
        unknown, first, numbers = np.unique(values[wrong], return_index=True, return_counts=True)
        rows, columns = np.nonzero(wrong)
        order = np.argsort(-numbers, kind="stable")[:_NAMED]
        named = [
            f"{self._named(int(unknown[i]))} ({counted(int(numbers[i]), 'pixel')}, first at x {columns[first[i]]}, "
            f"y {rows[first[i]]})"
            for i in order.tolist()
        ]
        more = f", and {len(unknown) - _NAMED} more values" if len(unknown) > _NAMED else ""
        what = "colours" if self.is_coloured else "values"
        return f"{what} without a class: {', '.join(named)}{more}{self._advice(values, unknown)}"

    def _advice(self, values: npt.NDArray[np.int32], unknown: npt.NDArray[np.int32]) -> str:
        """Return the likely cause of unknown values, or ""."""
        used = np.unique(values)
        if not self.is_coloured and used.tolist() in ([0, 255], [255]):
            return "; masks of 0 and 255 need data.classes: {background: 0, object: 255}"
        if not self.is_coloured and unknown.tolist() == [255]:
            return "; if these pixels belong to no class, set data.ignore: 255"
        if len(unknown) > max(8, len(self.values)):
            return "; so many values come from smoothed edges: a mask must be resized by nearest neighbour"
        return ""

    def _named(self, packed: int) -> str:
        return _shown((packed >> 16, packed >> 8 & 255, packed & 255) if self.is_coloured else packed)


def _uses_255(coding: Coding) -> bool:
    """Whether 255 stands for something: then the 1 of a mask of one bit means it."""
    return 255 in (*coding.values, *coding.ignored)


def _packed(value: Value) -> int:
    return value if isinstance(value, int) else value[0] << 16 | value[1] << 8 | value[2]


def _packed_colours(pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.int32]:
    red, green, blue = (pixels[..., channel].astype(np.int32) for channel in range(3))
    return red << 16 | green << 8 | blue


def _shown(value: Value) -> str:
    return str(value) if isinstance(value, int) else f"[{', '.join(map(str, value))}]"


def _is_grey(image: Image.Image) -> bool:
    pixels = np.asarray(image)
    return bool((pixels == pixels[..., :1]).all())
