"""Planes of values brought from one size to another, in NumPy: as `tf.image.resize` does it, bilinear."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from cnncli.datasets.masks.targets import padded_place

Planes = npt.NDArray[np.float32]
"""One plane a class: (classes, height, width)."""

Places = npt.NDArray[np.int64]


def class_planes(values: npt.NDArray[np.floating[Any]]) -> Planes:
    """Return (height, width, classes) with the classes first: sums and maxima over them are several times faster so."""
    return np.ascontiguousarray(values.transpose(2, 0, 1), np.float32)


def resized(planes: Planes, size: tuple[int, int]) -> Planes:
    """Return planes in another size, interpolated between pixel centres: the same bits as `tf.image.resize`.

    Two neighbours a pixel, not a product with a matrix of weights: BLAS would divide that among threads of its own,
    which wait for each other where several images are measured at once.
    """
    return _resized_along(_resized_along(planes, 2, size[1]), 1, size[0])


def unpadded(planes: Planes, shape: tuple[int, int]) -> Planes:
    """Return the part of planes that shows an image of some shape, where it was padded to their size."""
    height, width = planes.shape[1:]
    inner, (top, left) = padded_place(shape, (height, width))
    return planes[:, top : top + inner[0], left : left + inner[1]]


def _resized_along(planes: Planes, axis: int, wanted: int) -> Planes:
    """Return planes with another height (axis 1) or width (axis 2)."""
    if planes.shape[axis] == wanted:
        return planes
    first, second, share = _neighbours(planes.shape[axis], wanted)
    found: Planes = planes.take(second, axis)
    before = planes.take(first, axis)
    found -= before
    found *= share[:, None] if axis == 1 else share
    found += before
    return found


@lru_cache(maxsize=64)
def _neighbours(length: int, wanted: int) -> tuple[Places, Places, npt.NDArray[np.float32]]:
    """Return between which two of `length` pixels each of `wanted` ones lies, and the share of the second."""
    half = np.float32(0.5)
    # In float32, as TensorFlow computes them.
    places = (np.arange(wanted, dtype=np.float32) + half) * (np.float32(length) / np.float32(wanted)) - half
    low = np.floor(places)
    first, second = (np.clip(each, 0, length - 1).astype(np.int64) for each in (low, np.ceil(places)))
    return first, second, places - low
