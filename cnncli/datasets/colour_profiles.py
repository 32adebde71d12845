"""Colour profiles: images whose numbers mean other colours than sRGB's are converted to it, as browsers do.

The photos of phones are in Display P3, those of many cameras in Adobe RGB: read as sRGB they look pale. The rules:

* A profile that is embedded in a file (ICC) is applied with the perceptual intent; the result has 8 bits.
* A profile that moves no colour by more than 1 of 255 is sRGB under one of its many names: nothing is changed.
* A profile that is damaged, or for another kind of image than the file holds, is ignored.
"""

from __future__ import annotations

import io
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from PIL import Image

if TYPE_CHECKING:
    from PIL.ImageCms import ImageCmsTransform

_SPACES = {"L": "GRAY", "RGB": "RGB ", "CMYK": "CMYK"}
"""What a profile calls the colours of an image, by Pillow's name of its mode."""

_GREYS = ("1", "L", "LA", "La")


def to_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    """Return an image in sRGB: itself where the profile is missing, sRGB's own, or cannot be applied.

    Args:
        image: 8 bits a channel, loaded. Transparency stays.
        profile: What the file says that its colours are in.

    Returns:
        Mode "L", "RGB", "LA" or "RGBA" where the colours were changed.
    """
    mode = _colour_mode(image.mode)
    transform = _transform(profile, mode) if profile else None
    if transform is None:
        return image
    has_alpha = image.mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in image.info
    whole = image.convert("RGBA") if has_alpha else image
    converted = transform.apply(whole if whole.mode == mode else whole.convert(mode))
    if mode == "L":
        converted = converted.convert("L")
    if has_alpha:
        converted.putalpha(whole.getchannel("A"))
    return converted


def changes_colours(image: Image.Image) -> bool:
    """Say whether a file's profile makes other colours of its numbers."""
    profile = image.info.get("icc_profile")
    return bool(profile) and _transform(profile, _colour_mode(image.mode)) is not None


def _colour_mode(mode: str) -> str:
    if mode in _GREYS or mode.startswith("I"):
        return "L"
    return "CMYK" if mode == "CMYK" else "RGB"


@lru_cache(maxsize=16)
def _transform(profile: bytes, mode: str) -> ImageCmsTransform | None:
    """Return what converts colours of a mode to sRGB; None where the profile leaves them, or is none for them."""
    from PIL import ImageCms

    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if source.profile.xcolor_space != _SPACES[mode]:
            return None
        target = ImageCms.createProfile("sRGB")
        found = ImageCms.buildTransform(source, target, mode, "RGB", ImageCms.Intent.PERCEPTUAL)
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return None
    return None if mode != "CMYK" and _leaves_colours(found, mode) else found


def _leaves_colours(transform: ImageCmsTransform, mode: str) -> bool:
    """Try a transform on all greys, and on colours from all of the cube."""
    tried = np.repeat(np.arange(256, dtype=np.uint8)[:, None], 3, axis=1)
    if mode == "RGB":
        levels = np.linspace(0, 255, 18).astype(np.uint8)
        tried = np.concatenate([tried, np.stack(np.meshgrid(levels, levels, levels), axis=-1).reshape(-1, 3)])
    image = Image.fromarray(tried[None] if mode == "RGB" else tried[None, :, 0])
    moved: npt.NDArray[np.int16] = np.asarray(transform.apply(image)).astype(np.int16) - tried[None]
    return int(np.abs(moved).max()) <= 1
