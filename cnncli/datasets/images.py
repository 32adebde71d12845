"""One image: the bytes of a file → pixels, by stated rules.

The rules, whatever the file is called:

* Content decides the format: JPEG, PNG, BMP, GIF, WebP, TIFF, PPM. Of an animation, the first frame is read.
* The EXIF orientation is honoured; colour profiles are not applied.
* 16-bit values keep their upper 8 bits; 1-bit images become 0 and 255.
* Transparent pixels are laid over white.
* Colour becomes grey by ITU-R 601 luma, (19595 R + 38470 G + 7471 B + 32768) / 65536 rounded down; grey becomes
  colour by repeating the channel; CMYK, YCbCr, HSV and palettes become RGB first.
"""

from __future__ import annotations

import io
import threading
import warnings
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import ExifTags, Image, UnidentifiedImageError

from cnncli.errors import DataError

Pixels = npt.NDArray[np.uint8]
"""One image: (height, width, channels), 0 to 255."""

FORMATS = ("JPEG", "PNG", "BMP", "GIF", "WEBP", "TIFF", "PPM")
"""Formats that are read, by Pillow's names."""

MAX_PIXELS = 89_478_485
"""Most pixels an image may have: Pillow's own limit, a quarter of a GiB at 3 bytes a pixel."""

MAX_BYTES = 2**28
"""Most bytes an image file may have."""

_GREYS = ("1", "L")
_COLOURS = ("P", "RGB", "RGBX", "CMYK", "YCbCr", "HSV")
_ALPHAS = ("LA", "La", "PA", "RGBA", "RGBa")
_DEEP = ("I;16", "I;16L", "I;16B", "I;16N")
MODES = (*_GREYS, *_COLOURS, *_ALPHAS, *_DEEP, "I")
"""Pillow's names of the modes that are read."""

_LARGE = 2**24
_one_large_image = threading.Lock()

# Pillow warns of odd metadata that the pixels do not depend on.
warnings.filterwarnings("ignore", module=r"PIL\.")


class Decoded(NamedTuple):
    """An image and what its file said of it.

    Attributes:
        image: Upright Pillow image of mode "L" or "RGB".
        is_grey: Whether the stored image shows no colour.
        mode: Pillow's name of the stored mode, "RGB", "L", "P", "CMYK", "I;16", …
        format: Pillow's name of the file format.
    """

    image: Image.Image
    is_grey: bool
    mode: str
    format: str

    @property
    def pixels(self) -> Pixels:
        """The image as an array."""
        pixels = np.asarray(self.image)
        return pixels.reshape(*pixels.shape[:2], -1)


def decode(content: bytes, channels: int, name: str) -> Pixels:
    """Decode an encoded image.

    Args:
        content: The file's bytes.
        channels: 1 for grey, 3 for red, green, blue.
        name: What the image is called in an error.

    Raises:
        DataError: If it cannot be decoded, wholly and by the rules above.
    """
    return examine(content, channels, name).pixels


def examine(content: bytes, channels: int, name: str) -> Decoded:
    """Decode an encoded image and tell what it was stored as; see `decode`."""
    if not content:
        raise DataError(f"{name}: the file is empty")
    if len(content) > MAX_BYTES:
        raise DataError(f"{name}: the file has {len(content):,} bytes; at most {MAX_BYTES:,} are read")
    try:
        with Image.open(io.BytesIO(content), formats=FORMATS) as image:
            return _decode(image, "L" if channels == 1 else "RGB")
    except UnidentifiedImageError as error:
        raise DataError(f"{name}: no image of a known format ({', '.join(FORMATS)})") from error
    except Image.DecompressionBombError as error:
        raise DataError(f"{name}: too many pixels; at most {MAX_PIXELS:,} are read") from error
    except Exception as error:
        raise DataError(f"{name}: {_reason(error)}") from error


def _decode(image: Image.Image, target: str) -> Decoded:
    width, height = image.size
    if width * height > MAX_PIXELS:
        raise ValueError(f"{width:,} × {height:,} pixels; at most {MAX_PIXELS:,} are read")
    if width * height > _LARGE:
        with _one_large_image:
            return _convert(image, target)
    return _convert(image, target)


def _convert(image: Image.Image, target: str) -> Decoded:
    mode, file_format = image.mode, image.format or ""
    converted = _converted(image)
    is_grey = converted.mode == "L" or _has_no_colour(converted)
    turned = _upright(converted if converted.mode == target else converted.convert(target), image)
    return Decoded(turned, is_grey, mode, file_format)


def _converted(image: Image.Image) -> Image.Image:
    """Return the image as it is stored, in mode "L" or "RGB"."""
    image.load()
    if image.mode in _ALPHAS or "transparency" in image.info:
        return _over_white(image)
    if image.mode in _DEEP or (image.mode == "I" and image.format in ("PNG", "PPM")):
        return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    if image.mode not in (*_GREYS, *_COLOURS):
        raise ValueError(f"pixels of mode {image.mode} have no stated range from black to white")
    target = "L" if image.mode in _GREYS else "RGB"
    return image if image.mode == target else image.convert(target)


def _has_no_colour(image: Image.Image) -> bool:
    pixels = np.asarray(image)
    return all(bool((part[..., :1] == part[..., 1:]).all()) for part in (pixels[::7, ::7], pixels))


def _over_white(image: Image.Image) -> Image.Image:
    colours = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", colours.size, (255, 255, 255, 255)), colours).convert("RGB")


_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def _upright(converted: Image.Image, original: Image.Image) -> Image.Image:
    try:
        orientation = original.getexif().get(ExifTags.Base.Orientation, 1)
    except Exception:  # noqa: BLE001 - damaged metadata leave the image as it is stored
        return converted
    turn = _TURNS.get(orientation)
    return converted if turn is None else converted.transpose(turn)


def _reason(error: Exception) -> str:
    text = str(error).strip() or type(error).__name__
    return text.splitlines()[0][:200]
