"""One image: bytes of a file → pixels, by stated rules."""

from __future__ import annotations

import io

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps

from cnncli.errors import DataError


def decode(content: bytes, channels: int, name: str) -> npt.NDArray[np.uint8]:
    """Decode an encoded image.

    Args:
        content: The file's bytes.
        channels: 1 for grey, 3 for red, green, blue.
        name: What the image is called in an error.

    Returns:
        (height, width, channels), 0 to 255.

    Raises:
        DataError: If it cannot be decoded.
    """
    try:
        with Image.open(io.BytesIO(content)) as image:
            upright = ImageOps.exif_transpose(image)
            pixels = np.asarray(upright.convert("L" if channels == 1 else "RGB"))
    except (OSError, ValueError, SyntaxError) as error:
        raise DataError(f"{name}: no image that can be decoded ({error})") from error
    return pixels.reshape(*pixels.shape[:2], channels)
