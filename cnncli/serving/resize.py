"""Resizing in NumPy, equal to TensorFlow's CPU kernels to the last bit.

A value in the middle between two whole numbers is rounded after the resize, so that the smallest
difference would become a whole grey level: the sums are taken in the kernels' own order, in float32.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Indices = npt.NDArray[np.int64]
F = np.float32

_TABLE = 1024
"""Steps between two pixels in which the cubic weights are tabulated."""


def resize(images: npt.NDArray[np.uint8], height: int, width: int, method: str) -> Floats:
    """Return images (number, rows, columns, channels) in another size, not yet rounded.

    Args:
        images: uint8.
        height: Rows of the result.
        width: Columns of the result.
        method: "bilinear", "nearest", "bicubic" or "area".
    """
    return METHODS[method](images, height, width)


def _centres(length: int, new_length: int) -> Floats:
    """Return where the centres of the new pixels lie among the old ones."""
    scale = F(length) / F(new_length)
    return (np.arange(new_length, dtype=F) + F(0.5)) * scale - F(0.5)


def _neighbours(length: int, new_length: int) -> tuple[Indices, Indices, Floats]:
    """Return the pixel before, the pixel after and the way between them for each new pixel."""
    places = _centres(length, new_length)
    before = np.floor(places)
    lower = np.maximum(before.astype(np.int64), 0)
    upper = np.minimum(np.ceil(places).astype(np.int64), length - 1)
    return lower, upper, places - before


def bilinear(images: npt.NDArray[np.uint8], height: int, width: int) -> Floats:
    """Interpolate between the four nearest pixels."""
    above, below, down = _neighbours(images.shape[1], height)
    left, right, across = _neighbours(images.shape[2], width)
    across, down = across[:, None], down[:, None, None]
    rows = [images[:, index].astype(F) for index in (above, below)]
    top, bottom = (r[:, :, left] + (r[:, :, right] - r[:, :, left]) * across for r in rows)
    result: Floats = top + (bottom - top) * down
    return result


def nearest(images: npt.NDArray[np.uint8], height: int, width: int) -> Floats:
    """Take the pixel under each new pixel's centre."""

    def under(length: int, new_length: int) -> Indices:
        places = (np.arange(new_length, dtype=F) + F(0.5)) * (F(length) / F(new_length))
        found: Indices = np.minimum(np.floor(places).astype(np.int64), length - 1)
        return found

    rows, columns = under(images.shape[1], height), under(images.shape[2], width)
    return images[:, rows][:, :, columns].astype(F)


@lru_cache(maxsize=1)
def _cubic_table() -> tuple[Floats, Floats]:
    """Return the weights of the inner and the outer pixels, for places 0/1024 … 1024/1024."""
    a = -0.5
    x = (np.arange(_TABLE + 1) / _TABLE).astype(F).astype(np.float64)
    inner = ((a + 2) * x - (a + 3)) * x * x + 1
    x = x + 1
    outer = ((a * x - 5 * a) * x + 8 * a) * x - 4 * a
    return inner.astype(F), outer.astype(F)


def _cubic_taps(length: int, new_length: int) -> tuple[Indices, Floats]:
    """Return indices and weights (4, new_length); pixels outside count nothing."""
    places = _centres(length, new_length)
    before = np.floor(places).astype(np.int64)
    offset = np.rint((places - before.astype(F)) * F(_TABLE)).astype(np.int64)
    inner, outer = _cubic_table()
    weights = np.stack([outer[offset], inner[offset], inner[_TABLE - offset], outer[_TABLE - offset]])
    wanted = before + np.arange(-1, 3)[:, None]
    indices = np.clip(wanted, 0, length - 1)
    weights = np.where(indices == wanted, weights, F(0))
    total = ((weights[0] + weights[1]) + weights[2]) + weights[3]
    return indices, weights * (F(1) / total)


def bicubic(images: npt.NDArray[np.uint8], height: int, width: int) -> Floats:
    """Interpolate between sixteen pixels (Keys, a = -0.5)."""
    rows, row_weights = _cubic_taps(images.shape[1], height)
    columns, column_weights = _cubic_taps(images.shape[2], width)
    down = _summed([images[:, rows[i]].astype(F) * row_weights[i][:, None, None] for i in range(4)])
    return _summed([down[:, :, columns[i]] * column_weights[i][:, None] for i in range(4)])


def _area_taps(length: int, new_length: int) -> tuple[Indices, Floats]:
    """Return indices and weights (most pixels under one new pixel, new_length)."""
    scale = F(length) / F(new_length)
    begin = np.arange(new_length, dtype=F) * scale
    end = np.arange(1, new_length + 1, dtype=F) * scale
    first, last = np.floor(begin).astype(np.int64), np.ceil(end).astype(np.int64)
    indices = first + np.arange(int((last - first).max()))[:, None]
    cut_short = (indices + 1).astype(F) > end
    from_inside = np.where(cut_short, scale, (indices + 1).astype(F) - begin)
    from_edge = np.where(cut_short, end - indices.astype(F), F(1))
    weights = np.where(indices.astype(F) < begin, from_inside, from_edge).astype(F)
    return np.clip(indices, 0, length - 1), np.where(indices < last, weights, F(0))


def area(images: npt.NDArray[np.uint8], height: int, width: int) -> Floats:
    """Average over the pixels that each new pixel covers."""
    rows, row_weights = _area_taps(images.shape[1], height)
    columns, column_weights = _area_taps(images.shape[2], width)
    pixels = images.astype(F)
    across = _summed([pixels[:, :, i] * w[:, None] for i, w in zip(columns, column_weights, strict=True)])
    down = _summed([across[:, i] * w[:, None, None] for i, w in zip(rows, row_weights, strict=True)])
    scales = F(images.shape[1]) / F(height), F(images.shape[2]) / F(width)
    return down * F(1.0 / float(scales[0] * scales[1]))


def _summed(parts: list[Floats]) -> Floats:
    """Add from the first to the last."""
    total = parts[0]
    for part in parts[1:]:
        total = total + part
    return total


METHODS: dict[str, Callable[[npt.NDArray[np.uint8], int, int], Floats]] = {
    "bilinear": bilinear,
    "nearest": nearest,
    "bicubic": bicubic,
    "area": area,
}
