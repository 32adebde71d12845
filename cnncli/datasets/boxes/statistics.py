"""What is told of the objects of a split: how many, how large, and how close together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from cnncli.datasets.examples import listed

if TYPE_CHECKING:
    from cnncli.datasets.boxes.targets import Boxes, Objects

STRIDE = 4
"""Pixels of the network's input for a cell, as most detectors of centres have it."""


def told(boxes: Boxes, classes: Sequence[str], ids: Sequence[str]) -> dict[str, Any]:
    """Return what a passport tells of a split's objects.

    Args:
        boxes: The objects.
        classes: Names of the classes.
        ids: What each image is called.

    Returns:
        objects {class: number}; objects_per_image with min, median and max; box_sizes {class: smallest, median and
        largest} with height and width in pixels of the original images, by their areas, for classes with objects;
        num_difficult and num_crowd; empty (images without objects), unclear (EXIF turns the image, and nothing tells
        whether the boxes are turned too) and repeated (an object is there twice, box and class), each as num_images and
        examples.
    """
    numbers = np.array([len(own.labels) for own in boxes.objects], np.int64)
    labels = np.concatenate([np.zeros(0, np.int64), *(own.labels for own in boxes.objects)])
    corners = np.concatenate([np.zeros((0, 4)), *(own.corners for own in boxes.objects)])
    unclear = np.zeros(len(boxes), np.bool_) if boxes.unclear is None else boxes.unclear
    return {
        "objects": dict(zip(classes, np.bincount(labels, minlength=len(classes)).tolist(), strict=True)),
        "objects_per_image": {
            "min": int(numbers.min()) if len(numbers) else 0,
            "median": float(np.median(numbers)) if len(numbers) else 0.0,
            "max": int(numbers.max(initial=0)),
        },
        "box_sizes": {
            name: _sizes(corners[labels == label]) for label, name in enumerate(classes) if (labels == label).any()
        },
        "num_difficult": sum(int(own.difficult.sum()) for own in boxes.objects),
        "num_crowd": sum(int(own.crowd.sum()) for own in boxes.objects),
        "empty": listed(numbers == 0, ids),
        "unclear": listed(unclear, ids),
        "repeated": listed(np.array([_has_twice(own) for own in boxes.objects], np.bool_), ids),
    }


def _sizes(corners: npt.NDArray[np.float64]) -> dict[str, list[float]]:
    """Return height and width of the smallest box and of the largest by area, and the medians of both."""
    sizes = corners[:, [3, 2]] - corners[:, [1, 0]]
    areas = sizes.prod(axis=1)
    return {
        "smallest": sizes[areas.argmin()].tolist(),
        "median": np.median(sizes, axis=0).tolist(),
        "largest": sizes[areas.argmax()].tolist(),
    }


def _has_twice(own: Objects) -> bool:
    """Say whether two objects of an image have the same box and class."""
    rows = np.column_stack([own.corners, own.labels])
    return len(np.unique(rows, axis=0)) < len(rows)


def in_same_cell(fitted: npt.NDArray[np.float32]) -> int:
    """Return the number of objects whose centre is in a cell that another one of the image has already.

    A detector with one object a cell cannot find both.

    Args:
        fitted: As `Boxes.fit` returns them.
    """
    real = (fitted[..., 4] >= 0) & (fitted[..., 5] > 0)
    centres = (fitted[..., :2] + fitted[..., 2:4]) / 2
    rows = np.broadcast_to(np.arange(len(fitted))[:, None], real.shape)
    cells = np.stack([rows, *np.moveaxis(centres // STRIDE, -1, 0)], axis=-1)[real]
    return len(cells) - len(np.unique(cells, axis=0))
