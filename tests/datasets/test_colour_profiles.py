"""Colours of embedded profiles: converted to sRGB as the specification says, and nothing else is touched."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageCms

from cnncli.datasets import cache
from cnncli.datasets.images import decode, examine
from tests.datasets.icc import ADOBE_RGB, CURVE, DISPLAY_P3, GAMMA, SRGB, icc_profile, in_srgb

SPACES = {"Display P3": (DISPLAY_P3, CURVE), "Adobe RGB": (ADOBE_RGB, GAMMA)}
COLOURS = np.random.default_rng(0).integers(0, 256, (40, 50, 3), np.uint8)
GREYS = np.arange(256, dtype=np.uint8).reshape(16, 16)


def encoded(pixels: np.ndarray, profile: bytes | None, file_format: str = "PNG", **options: Any) -> bytes:
    """Return a file with a profile."""
    content = io.BytesIO()
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    image.save(content, file_format, icc_profile=profile, **options)
    return content.getvalue()


@pytest.mark.parametrize("file_format", ["PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize("space", SPACES)
def test_colours_are_converted(space: str, file_format: str) -> None:
    """Every colour is what the specification's formulas make of it, to a step of 255."""
    options = {"lossless": True} if file_format == "WEBP" else {}
    content = encoded(COLOURS, icc_profile(*SPACES[space]), file_format, **options)
    expected = in_srgb(COLOURS, *SPACES[space])
    found = decode(content, 3, "x")
    assert np.abs(found - expected).max() <= 1.01
    assert np.abs(found - expected).mean() < 0.3
    assert np.abs(found.astype(int) - COLOURS).max() > 20


@pytest.mark.parametrize("space", SPACES)
def test_jpeg(space: str) -> None:
    """The pixels of a JPEG are decoded first; no other decoder may read it as it is."""
    profile = icc_profile(*SPACES[space])
    stored = decode(encoded(COLOURS, None, "JPEG"), 3, "x")
    decoded = examine(encoded(COLOURS, profile, "JPEG"), 3, "x")
    assert np.abs(decoded.pixels - in_srgb(stored, *SPACES[space])).max() <= 1.01
    assert not decoded.is_plain
    assert np.array_equal(np.asarray(decoded.stored), stored)


@pytest.mark.parametrize(
    "profile",
    [
        None,
        ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes(),
        icc_profile(SRGB, CURVE),
        icc_profile(None, GAMMA),
        icc_profile(*SPACES["Adobe RGB"])[:200],
        b"no profile",
    ],
    ids=["none", "sRGB of LittleCMS", "sRGB", "of grey", "cut off", "damaged"],
)
def test_others_stay_as_they_are(profile: bytes | None) -> None:
    """SRGB's own profiles, missing ones, and those that cannot be applied change no bit, and the file stays plain."""
    assert np.array_equal(decode(encoded(COLOURS, profile), 3, "x"), COLOURS)
    assert examine(encoded(COLOURS, profile, "JPEG"), 3, "x").is_plain


def test_transparency_is_laid_over_white_afterwards() -> None:
    """Colours are converted, then mixed with white."""
    alpha = np.random.default_rng(1).integers(0, 256, (40, 50, 1), np.uint8)
    content = encoded(np.concatenate([COLOURS, alpha], -1), icc_profile(*SPACES["Display P3"]))
    share = alpha / 255
    expected = in_srgb(COLOURS, *SPACES["Display P3"]) * share + 255 * (1 - share)
    assert np.abs(decode(content, 3, "x") - expected).max() <= 2


def test_a_palette_is_converted() -> None:
    """An image with a palette has the colours of its palette."""
    image = Image.fromarray(COLOURS).quantize(16)
    expected = in_srgb(np.asarray(image.convert("RGB")), *SPACES["Adobe RGB"])
    assert np.abs(decode(encoded(image, icc_profile(*SPACES["Adobe RGB"])), 3, "x") - expected).max() <= 1.01


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_grey_is_converted_and_stays_grey(dtype: type) -> None:
    """A grey image's own curve becomes sRGB's."""
    stored = GREYS.astype(dtype) << (8 if dtype is np.uint16 else 0)
    decoded = examine(encoded(stored, icc_profile(None, GAMMA)), 3, "x")
    expected = in_srgb(np.repeat(GREYS[..., None], 3, -1), SRGB, GAMMA)
    assert np.abs(decoded.pixels - expected).max() <= 1.1
    assert decoded.is_grey
    assert examine(encoded(np.repeat(GREYS[..., None], 3, -1), icc_profile(*SPACES["Display P3"])), 3, "x").is_grey


def test_facts_of_the_older_rule_are_not_used() -> None:
    """What was found before profiles were applied has another name in the cache."""
    assert cache._VERSION >= 3
