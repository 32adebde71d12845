"""Kernels, feature maps and heat as plain pixels: for the report, the replay and TensorBoard."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

from cnncli.report.figures import AMOUNT, SIGNED, mosaic

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from PIL.Image import Image as PillowImage

    Floats = npt.NDArray[np.floating[Any]]
    Pixels = npt.NDArray[np.uint8]

MOST_KERNELS = 64
ACROSS = 8


def kernel_pixels(
    weights: Floats, columns: int = ACROSS, limit: float | None = None, colours: str | None = SIGNED
) -> Pixels:
    """Return filters side by side: in colour where they see three channels, else in signed colours.

    Of filters that see other numbers of channels, the mean over these is shown.

    Args:
        weights: (height, width, channels seen, filters).
        columns: Filters in a row.
        limit: Weight of the strongest colour; the largest of these by default.
        colours: Map for filters that do not see three channels; None for grey, which needs no Matplotlib.
    """
    import numpy as np

    tiles = np.moveaxis(weights, -1, 0)[:MOST_KERNELS].astype(np.float32)
    limit = limit or float(np.abs(tiles).max()) or 1.0
    if tiles.shape[-1] == 3:
        return grid_pixels(0.5 + tiles / (2 * limit), columns)
    flat = tiles.mean(axis=-1)
    limit = limit if tiles.shape[-1] == 1 else float(np.abs(flat).max()) or 1.0
    if colours is None:
        return grid_pixels(0.5 + flat[..., None] / (2 * limit), columns)
    return tinted(0.5 + mosaic(flat, min(columns, len(flat))) / (2 * limit), colours)


def grid_pixels(images: Floats, columns: int = ACROSS) -> Pixels:
    """Return images (number, height, width, 1 or 3) with values from 0 to 1 side by side, in colour."""
    import numpy as np

    coloured = np.broadcast_to(images, (*images.shape[:3], 3))
    return _to_bytes(np.nan_to_num(mosaic(coloured, min(columns, len(images))), nan=1.0).clip(0, 1))


def map_pixels(maps: Floats, columns: int = ACROSS) -> Pixels:
    """Return a layer's channels (height, width, channels) side by side, from its lowest value to its highest."""
    import numpy as np

    low, high = float(maps.min()), float(maps.max())
    scaled = (np.moveaxis(maps, -1, 0).astype(np.float32) - low) / ((high - low) or 1.0)
    return tinted(mosaic(scaled, min(columns, len(scaled))), AMOUNT)


def overlay_pixels(pixels: Pixels, heat: Floats) -> Pixels:
    """Return an image with heat from 0 to 1 laid over it."""
    import numpy as np

    grey = pixels.astype(np.float32).mean(axis=-1, keepdims=True).repeat(3, axis=-1)
    share = 0.15 + 0.6 * heat[..., None]
    laid: Pixels = np.rint(grey * (1 - share) + tinted(heat, AMOUNT) * share).astype(np.uint8)
    return laid


def tinted(values: Floats, colours: str) -> Pixels:
    """Return numbers from 0 to 1 in the colours of a map; NaN becomes white."""
    import numpy as np
    from matplotlib import colormaps

    # With white for what is not there, no more colours than a palette holds.
    coloured = colormaps[colours].resampled(255)(np.nan_to_num(values, nan=0.0))[..., :3]
    return _to_bytes(np.where(np.isnan(values)[..., None], 1.0, coloured))


def _to_bytes(values: Floats) -> Pixels:
    import numpy as np

    scaled: Pixels = np.rint(values * 255).astype(np.uint8)
    return scaled


def enlarged(pixels: Pixels, least: int) -> Pixels:
    """Return pixels repeated a whole number of times, so that the shorter side has at least so many."""
    factor = max(1, -(-least // min(pixels.shape[:2])))
    return pixels.repeat(factor, axis=0).repeat(factor, axis=1)


def photo(pixels: Pixels) -> bytes:
    """Return an image as a PNG file, or as a JPEG file where that is much smaller."""
    from PIL import Image

    exact = encoded(pixels)
    if len(exact) < 1500:
        return exact
    image = Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)
    content = io.BytesIO()
    image.save(content, "JPEG", quality=88, subsampling=0)
    return content.getvalue() if content.tell() < len(exact) / 1.5 else exact


def encoded(pixels: Pixels, clear: bool = False) -> bytes:
    """Return an image as a small PNG file: with a palette where its colours are at most 256.

    Args:
        pixels: (height, width, 1 or 3).
        clear: Whether pure white, the gaps of a mosaic, lets the page's colour through.
    """
    from PIL import Image

    image = Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)
    if image.mode == "RGB" and image.getcolors(256) is not None:
        image = image.quantize(256, dither=Image.Dither.NONE)
    white = _white(image) if clear else None
    content = io.BytesIO()
    image.save(content, "PNG", optimize=True, **({} if white is None else {"transparency": white}))
    return content.getvalue()


def _white(image: PillowImage) -> int | tuple[int, int, int] | None:
    """Return what stands for white in an image: a place in its palette, or a colour; None where it has none."""
    if image.mode == "RGB":
        return 255, 255, 255
    palette = image.getpalette() if image.mode == "P" else None
    colours = [tuple(palette[i : i + 3]) for i in range(0, len(palette), 3)] if palette else []
    return colours.index((255, 255, 255)) if (255, 255, 255) in colours else None
