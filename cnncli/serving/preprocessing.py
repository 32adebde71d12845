"""From images of any size to what a network reads, in NumPy: the same numbers as the engine's preprocessing."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from cnncli.serving.description import Description
from cnncli.serving.resize import resize

Pixels = npt.NDArray[np.uint8]

_LUMA = np.array([19595, 38470, 7471])
"""ITU-R 601 weights of red, green, blue in 1/65536."""


def to_size(images: Pixels, description: Description) -> Pixels:
    """Return images in the channels and the size that an artifact's network sees.

    Args:
        images: uint8 (number, any height, any width, 1 or 3).
        description: The artifact's.
    """
    images = _to_channels(images, description.channels)
    if images.shape[1:3] == (description.height, description.width):
        return images
    resized = _FITS[description.fit](images, description)
    whole: Pixels = np.rint(np.clip(resized, 0.0, 255.0)).astype(np.uint8)
    return whole


def _to_channels(images: Pixels, channels: int) -> Pixels:
    if images.shape[-1] == channels:
        return images
    if images.shape[-1] == 1:
        return np.repeat(images, channels, axis=-1)
    weighted = (images.astype(np.int64) * _LUMA).sum(axis=-1, keepdims=True)
    grey: Pixels = ((weighted + 32768) // 65536).astype(np.uint8)
    return grey


def _stretch(images: Pixels, to: Description) -> npt.NDArray[np.float32]:
    return resize(images, to.height, to.width, to.method)


def _crop(images: Pixels, to: Description) -> npt.NDArray[np.float32]:
    height, width = images.shape[1:3]
    kept_height = min(max(width * to.height // to.width, 1), height)
    kept_width = min(max(height * to.width // to.height, 1), width)
    top, left = (height - kept_height) // 2, (width - kept_width) // 2
    return resize(images[:, top : top + kept_height, left : left + kept_width], to.height, to.width, to.method)


def _pad(images: Pixels, to: Description) -> npt.NDArray[np.float32]:
    height, width = images.shape[1:3]
    fitted_height = min(max(height * to.width // width, 1), to.height)
    fitted_width = min(max(width * to.height // height, 1), to.width)
    if height * to.width >= width * to.height:
        fitted_height = to.height
    if width * to.height >= height * to.width:
        fitted_width = to.width
    top, left = (to.height - fitted_height) // 2, (to.width - fitted_width) // 2
    margins = (0, 0), (top, to.height - fitted_height - top), (left, to.width - fitted_width - left), (0, 0)
    return np.pad(resize(images, fitted_height, fitted_width, to.method), margins)


_FITS = {"stretch": _stretch, "crop": _crop, "pad": _pad}
