"""One image: the bytes of a file → pixels, by stated rules.

The rules, whatever the file is called:

* Content decides the format: JPEG, PNG, BMP, GIF, WebP, TIFF, PPM. Of an animation, the first frame is read.
* The EXIF orientation is honoured; colours in another space than sRGB are converted to it: see `colour_profiles`.
* 16-bit values keep their upper 8 bits; 1-bit images become 0 and 255.
* Transparent pixels are laid over white.
* Colour becomes grey by ITU-R 601 luma, (19595 R + 38470 G + 7471 B + 32768) / 65536 rounded down; grey becomes
  colour by repeating the channel; CMYK, YCbCr, HSV and palettes become RGB first.
"""

from __future__ import annotations

import io
import logging
import threading
import warnings
from typing import BinaryIO, NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import ExifTags, Image, UnidentifiedImageError

from cnncli.datasets.colour_profiles import changes_colours, to_srgb
from cnncli.errors import DataError

Pixels = npt.NDArray[np.uint8]
"""One image: (height, width, channels), 0 to 255."""

FORMATS = ("JPEG", "PNG", "BMP", "GIF", "WEBP", "TIFF", "PPM")
"""Formats that are read, by Pillow's names."""

MAX_PIXELS = 89_478_485
"""Most pixels an image may have: Pillow's own limit, a quarter of a GiB at 3 bytes a pixel."""

MOST_IN_TILES = 178_956_970
"""Most pixels of an image that becomes an array part by part: those from which on Pillow opens none."""

MAX_BYTES = 2**28
"""Most bytes an image file may have."""

_GREYS = ("1", "L")
_COLOURS = ("P", "RGB", "RGBX", "CMYK", "YCbCr", "HSV")
_ALPHAS = ("LA", "La", "PA", "RGBA", "RGBa")
_DEEP = ("I;16", "I;16L", "I;16B", "I;16N")
MODES = (*_GREYS, *_COLOURS, *_ALPHAS, *_DEEP, "I")
"""Pillow's names of the modes that are read."""

_END_OF_JPEG = b"\xff\xd9"
_LARGE = 2**24
_one_large_image = threading.Lock()

# Pillow warns of odd metadata that the pixels do not depend on; what it cannot decode, it raises.
warnings.filterwarnings("ignore", module=r"PIL\.")
logging.getLogger("PIL").addHandler(logging.NullHandler())


class Turn(NamedTuple):
    """How an image is stored, 1 to 8 as in EXIF, and what makes it upright: None for 1."""

    orientation: int
    change: Image.Transpose | None


class Decoded(NamedTuple):
    """An image and what its file said of it.

    Attributes:
        image: Upright Pillow image of mode "L" or "RGB".
        stored: The image before it became grey or RGB, not turned, its colour profile not applied.
        mode: Pillow's name of the stored mode, "RGB", "L", "P", "CMYK", "I;16", …
        format: Pillow's name of the file format.
        is_plain: Whether any libjpeg gives these very pixels: an upright JPEG of common make.
        orientation: By which it was turned, 1 to 8 as in EXIF; 1 for an image that is stored upright.
    """

    image: Image.Image
    stored: Image.Image
    mode: str
    format: str
    is_plain: bool
    orientation: int = 1

    @property
    def pixels(self) -> Pixels:
        """The image as an array."""
        pixels = np.asarray(self.image)
        return pixels.reshape(*pixels.shape[:2], -1)

    @property
    def is_grey(self) -> bool:
        """Whether the stored image shows no colour."""
        if self.stored.mode == "L":
            return True
        # Most colour photographs show it in a few pixels: only a grey sample is worth copying all of them.
        sample = self.stored.resize((-(-self.stored.width // 7), -(-self.stored.height // 7)), Image.Resampling.NEAREST)
        return _shows_no_colour(sample) and _shows_no_colour(self.stored)


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


def examine(content: bytes, channels: int, name: str, most: int = MAX_PIXELS) -> Decoded:
    """Decode an encoded image of at most so many pixels and tell what it was stored as; see `decode`."""
    if not content:
        raise DataError(f"{name}: the file is empty")
    if len(content) > MAX_BYTES:
        raise DataError(f"{name}: the file has {len(content):,} bytes; the limit is {MAX_BYTES:,}")
    try:
        # Pillow's image would keep the file's bytes as long as it lives, if they were not closed.
        with io.BytesIO(content) as file, Image.open(file, formats=FORMATS) as image:
            return _decode(image, "L" if channels == 1 else "RGB", most)
    except UnidentifiedImageError as error:
        raise DataError(f"{name}: not an image of a known format ({', '.join(FORMATS)})") from error
    except Image.DecompressionBombError as error:
        raise DataError(f"{name}: too many pixels; the limit is {most:,}") from error
    except Exception as error:
        raise DataError(f"{name}: {_reason(error)}") from error


def is_plain(file: BinaryIO, channels: int) -> bool:
    """Say from a file's first and last bytes whether it is a whole JPEG that any libjpeg decodes to these very pixels.

    Images so large that they are decoded one after the other are not; nor is what cannot be read: `decode` says why.
    """
    try:
        with Image.open(file, formats=("JPEG",)) as image:
            if image.width * image.height > _LARGE or turn_of(image).change is not None:
                return False
            return _is_plain(image, "L" if channels == 1 else "RGB") and _is_whole(file)
    except Exception:  # noqa: BLE001 - whatever is wrong with the file is said when it is decoded
        return False


def _is_whole(file: BinaryIO) -> bool:
    """Say whether a JPEG file ends as it should: what is cut off, TensorFlow refuses with all of its batch."""
    file.seek(-len(_END_OF_JPEG), io.SEEK_END)
    return file.read() == _END_OF_JPEG


def _decode(image: Image.Image, target: str, most: int) -> Decoded:
    width, height = image.size
    if width * height > most:
        raise ValueError(f"{width:,} × {height:,} pixels; the limit is {most:,}")
    if width * height > _LARGE:
        with _one_large_image:
            return _convert(image, target)
    return _convert(image, target)


def _convert(image: Image.Image, target: str) -> Decoded:
    mode, file_format = image.mode, image.format or ""
    image.load()
    converted = stored = _converted(image, None)
    if changes_colours(image):
        converted = _converted(image, image.info["icc_profile"])
    turned = converted if converted.mode == target else converted.convert(target)
    orientation, change = turn_of(image)
    if change is not None:
        turned = turned.transpose(change)
    return Decoded(turned, stored, mode, file_format, change is None and _is_plain(image, target), orientation)


def _converted(image: Image.Image, profile: bytes | None) -> Image.Image:
    """Return the image in mode "L" or "RGB": as it is stored, or with the colours that a profile gives it."""
    image = to_srgb(_in_eight_bits(image), profile)
    if image.mode in _ALPHAS or "transparency" in image.info:
        return _over_white(image)
    if image.mode not in (*_GREYS, *_COLOURS):
        raise ValueError(f"the value range of pixels in mode {image.mode} is unknown")
    target = "L" if image.mode in _GREYS else "RGB"
    return image if image.mode == target else image.convert(target)


def _in_eight_bits(image: Image.Image) -> Image.Image:
    if "transparency" in image.info:
        return image
    if image.mode in _DEEP or (image.mode == "I" and image.format in ("PNG", "PPM")):
        return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    return image


def _over_white(image: Image.Image) -> Image.Image:
    width, height = image.size
    if width * height <= _LARGE:
        return _composited(image)
    # A strip after the other: four copies of the largest image would take more than a gigabyte.
    whole = Image.new("RGB", image.size)
    rows = max(1, _LARGE // (4 * width))
    for top in range(0, height, rows):
        whole.paste(_composited(image.crop((0, top, width, min(top + rows, height)))), (0, top))
    return whole


def _composited(image: Image.Image) -> Image.Image:
    colours = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", colours.size, (255, 255, 255, 255)), colours).convert("RGB")


_LUMA_SAMPLING = (((1, 1),), ((2, 1),), ((2, 2),))

_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def _shows_no_colour(image: Image.Image) -> bool:
    pixels = np.asarray(image)
    return bool((pixels[..., :1] == pixels[..., 1:]).all())


def turn_of(image: Image.Image) -> Turn:
    """Return what makes an image upright, as its EXIF data say."""
    try:
        orientation = image.getexif().get(ExifTags.Base.Orientation, 1)
    except Exception:  # noqa: BLE001 - damaged metadata leave the image as it is stored
        return Turn(1, None)
    return Turn(orientation, _TURNS[orientation]) if orientation in _TURNS else Turn(1, None)


def _is_plain(image: Image.Image, target: str) -> bool:
    """Say whether an upright image is a JPEG that leaves no choice to a decoder.

    Grey, or YCbCr with colour at full or half resolution; grey made of colour is Pillow's own rule.
    """
    if image.format not in ("JPEG", "MPO") or image.info.get("adobe_transform", 1) != 1 or changes_colours(image):
        return False
    sampling = tuple(layer[1:3] for layer in getattr(image, "layer", ()))
    return (image.mode == "L" and len(sampling) == 1) or (
        image.mode == target == "RGB" and sampling[:1] in _LUMA_SAMPLING and sampling[1:] == ((1, 1), (1, 1))
    )


def _reason(error: Exception) -> str:
    text = str(error).strip() or type(error).__name__
    return text.splitlines()[0][:200]


def thumbnail(pixels: Pixels, most: int) -> Pixels:
    """Return an image no side of which is longer than `most` pixels."""
    import numpy as np
    from PIL import Image

    longest = max(pixels.shape[:2])
    if longest <= most:
        return pixels
    image = Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)
    small = image.resize((max(1, image.width * most // longest), max(1, image.height * most // longest)))
    return np.asarray(small).reshape(small.height, small.width, -1)
