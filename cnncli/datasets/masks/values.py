"""The values that mask files hold, whatever they mean."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image, UnidentifiedImageError

from cnncli.datasets.images import FORMATS, MAX_BYTES, MAX_PIXELS, turn_of
from cnncli.errors import DataError

Colour = tuple[int, int, int]
Value = int | Colour

_LOSSY = ("JPEG", "MPO", "WEBP")
_LOSSY_COMPRESSION = ("jpeg", "tiff_jpeg", "webp")
_ALPHAS = ("LA", "La", "PA", "RGBA", "RGBa")
_INDICES = ("L", "P", "1", "I;16", "I;16L", "I;16B", "I;16N", "I")
_COLOURS = ("RGB", "RGBX", "CMYK", "YCbCr", "HSV", "LAB")
_MOST_SUGGESTED = 64
_BACKGROUND = ("background", "object")


@dataclass(frozen=True)
class Stored:
    """What a mask file holds.

    Attributes:
        values: Number of each pixel, (height, width); of a colour, red · 65,536 + green · 256 + blue.
        is_coloured: Whether they are colours.
        mode: Pillow's name of how they are stored.
        orientation: By which they were turned, 1 to 8 as in EXIF.
    """

    values: npt.NDArray[np.int32]
    is_coloured: bool
    mode: str
    orientation: int = 1

    @property
    def is_grey(self) -> bool:
        """Whether they are colours without colour."""
        return self.is_coloured and all(
            len(set(colour)) == 1 for colour in self.different() if isinstance(colour, tuple)
        )

    def different(self) -> list[Value]:
        """Return the different values, in ascending order."""
        return [unpacked(value, self.is_coloured) for value in np.unique(self.values).tolist()]


def read_values(content: bytes, name: str, coloured: bool) -> Stored:
    """Read a mask file, upright as its EXIF orientation says.

    Args:
        content: The file's bytes.
        name: What an error calls it.
        coloured: Whether the colours of a palette are asked for, not its indices.

    Raises:
        DataError: If it is not an image, or of a kind that cannot hold a mask.
    """
    with _opened(content, name) as image:
        mode, (orientation, turn) = image.mode, turn_of(image)
        image.load()
        if mode in _COLOURS or (mode == "P" and coloured):
            upright = image.convert("RGB")
            upright = upright if turn is None else upright.transpose(turn)
            return Stored(_packed_colours(np.asarray(upright)), True, mode, orientation)
        upright = image if turn is None else image.transpose(turn)
        return Stored(np.asarray(upright).astype(np.int32), False, mode, orientation)


@contextmanager
def _opened(content: bytes, name: str) -> Iterator[Image.Image]:
    """Open a file that can hold a mask; whatever is wrong with it names the file."""
    if not content:
        raise DataError(f"{name}: the file is empty")
    if len(content) > MAX_BYTES:
        raise DataError(f"{name}: the file has {len(content):,} bytes; the limit is {MAX_BYTES:,}")
    try:
        with Image.open(io.BytesIO(content), formats=FORMATS) as image:
            if image.width * image.height > MAX_PIXELS:
                raise DataError(f"{name}: {image.width:,} × {image.height:,} pixels; the limit is {MAX_PIXELS:,}")
            lossy = image.format if image.format in _LOSSY else image.info.get("compression")
            if lossy in _LOSSY + _LOSSY_COMPRESSION:
                kind = lossy.upper().removeprefix("TIFF_")
                raise DataError(f"{name}: {kind} compression changes the values of a mask; save masks as PNG")
            if image.mode in _ALPHAS:
                raise DataError(f"{name}: the mask has an alpha channel ({image.mode}); save it without one")
            if image.mode not in _INDICES + _COLOURS:
                raise DataError(f"{name}: the mask has the mode {image.mode}; expected whole numbers, or colours")
            yield image
    except UnidentifiedImageError as error:
        raise DataError(f"{name}: not an image of a known format ({', '.join(FORMATS)})") from error
    except DataError:
        raise
    except Exception as error:
        raise DataError(f"{name}: {str(error).strip() or type(error).__name__}") from error


@dataclass(frozen=True)
class SuggestedClasses:
    """What values may mean.

    Attributes:
        classes: A name for each value.
        ignored: Whether 255 belongs to no class.
    """

    classes: Mapping[str, Value]
    ignored: bool

    def to_text(self) -> str:
        """Return them as lines of a config."""
        listed = ", ".join(f"{name}: {shown(value)}" for name, value in self.classes.items())
        return f"data.classes: {{{listed}}}" + ("  and  data.ignore: 255" if self.ignored else "")


def values_of(masks: Iterable[tuple[str, bytes]]) -> list[Value] | None:
    """Return the different values of some masks, in ascending order; None where some are colours and some numbers.

    Args:
        masks: Name and content of each; one that cannot be read is passed over.
    """
    found: set[Value] = set()
    for name, content in masks:
        try:
            found.update(read_values(content, name, coloured=False).different())
        except DataError:
            continue
    if len({isinstance(value, int) for value in found}) > 1:
        return None
    return sorted(found, key=lambda value: (value,) if isinstance(value, int) else value)


def suggested_classes(values: Sequence[Value] | None) -> SuggestedClasses | None:
    """Return names for the values of masks, as `values_of` finds them; None where there are too many, or none."""
    if not values or len(values) > _MOST_SUGGESTED:
        return None
    if values in ([0, 1], [0, 255]):
        return SuggestedClasses(dict(zip(_BACKGROUND, values, strict=True)), ignored=False)
    # In masks of indices, 255 is by old custom the border that belongs to no class.
    ignored = 255 in values and values[0] != 255
    classes = [value for value in values if not (ignored and value == 255)]
    return SuggestedClasses({f"class_{number}": value for number, value in enumerate(classes)}, ignored)


def _packed_colours(pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.int32]:
    red, green, blue = (pixels[..., channel].astype(np.int32) for channel in range(3))
    return red << 16 | green << 8 | blue


def unpacked(number: int, coloured: bool) -> Value:
    """Return the value that a number stands for."""
    return (number >> 16, number >> 8 & 255, number & 255) if coloured else number


def shown(value: Value) -> str:
    """Return a value as a config gives it."""
    return str(value) if isinstance(value, int) else f"[{', '.join(map(str, value))}]"
