"""Planes of values brought from one size to another, in NumPy: as `tf.image.resize` does it, bilinear."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from cnncli.datasets.masks.targets import padded_place

Planes = npt.NDArray[np.float32]
"""One plane a class: (classes, height, width)."""


def class_planes(values: npt.NDArray[np.floating[Any]]) -> Planes:
    """Return (height, width, classes) with the classes first: sums and maxima over them are several times faster so."""
    return np.ascontiguousarray(values.transpose(2, 0, 1), np.float32)


def resized(planes: Planes, size: tuple[int, int]) -> Planes:
    """Return planes in another size, interpolated between pixel centres."""
    if planes.shape[1:] == tuple(size):
        return planes
    rows, columns = _weights(planes.shape[1], size[0]), _weights(planes.shape[2], size[1])
    found: Planes = np.matmul(np.matmul(rows, planes), columns.T)
    return found


def unpadded(planes: Planes, shape: tuple[int, int]) -> Planes:
    """Return the part of planes that shows an image of some shape, where it was padded to their size."""
    height, width = planes.shape[1:]
    inner, (top, left) = padded_place(shape, (height, width))
    return planes[:, top : top + inner[0], left : left + inner[1]]


@lru_cache(maxsize=64)
def _weights(length: int, wanted: int) -> npt.NDArray[np.float32]:
    """Return what each of `length` pixels adds to each of `wanted` ones: float32 (wanted, length)."""
    places = np.maximum((np.arange(wanted) + 0.5) * (length / wanted) - 0.5, 0.0)
    low = np.minimum(np.floor(places).astype(np.int64), length - 1)
    high, share = np.minimum(low + 1, length - 1), places - low
    weights = np.zeros((wanted, length), np.float32)
    every = np.arange(wanted)
    np.add.at(weights, (every, low), 1 - share)
    np.add.at(weights, (every, high), share)
    return weights
