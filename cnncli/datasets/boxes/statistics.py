"""What is told of the objects of a split: how many, how large, and how close together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from cnncli.datasets.examples import listed

if TYPE_CHECKING:
    from cnncli.analysis.cells import Cells
    from cnncli.config.schema.schema import Data
    from cnncli.datasets.boxes.targets import Boxes, Objects


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
        "box_sizes": _by_class(corners, labels, classes),
        "num_difficult": sum(int(own.difficult.sum()) for own in boxes.objects),
        "num_crowd": sum(int(own.crowd.sum()) for own in boxes.objects),
        "empty": listed(numbers == 0, ids),
        "unclear": listed(unclear, ids),
        "repeated": listed(np.array([_has_twice(own) for own in boxes.objects], np.bool_), ids),
    }


def _by_class(
    corners: npt.NDArray[np.float64], labels: npt.NDArray[np.int64], classes: Sequence[str]
) -> dict[str, dict[str, list[float]]]:
    """Return how large the boxes of each class are that has some."""
    chosen = ((name, labels == label) for label, name in enumerate(classes))
    return {name: _sizes(corners[own]) for name, own in chosen if own.any()}


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


def in_network(fitted: npt.NDArray[np.float32], data: Data, classes: Sequence[str], cells: Cells) -> dict[str, Any]:
    """Return what the objects of a split are for a network; crowds are left out, for nothing is learned from them.

    Args:
        fitted: As `Boxes.fit` returns them.
        data: The size that the network reads.
        classes: Names of the classes.
        cells: The network's cells.

    Returns:
        image_size, stride and field (null where a cell sees the whole image) as height and width; box_sizes {class:
        smallest, median and largest} as in `told`, but in the network's pixels; num_objects; same_cell, the number of
        objects whose centre is in a cell that another one of the image has already, and same_cell_and_class, where the
        other is of the same class; larger_than_field, the number of those that are higher or wider than what a cell
        sees.
    """
    real = (fitted[..., 4] >= 0) & (fitted[..., 5] > 0)
    corners, labels = fitted[real][:, :4].astype(np.float64), fitted[real][:, 4].astype(np.int64)
    sizes = corners[:, [3, 2]] - corners[:, [1, 0]]
    places = ((corners[:, [1, 0]] + corners[:, [3, 2]]) / 2 // np.array(cells.stride)).astype(np.int64)
    images = np.nonzero(real)[0]
    larger = np.zeros(len(sizes), np.bool_) if cells.field is None else (sizes > cells.field).any(axis=1)
    return {
        "image_size": list(data.image_size),
        "stride": list(cells.stride),
        "field": None if cells.field is None else list(cells.field),
        "box_sizes": _by_class(corners, labels, classes),
        "num_objects": len(labels),
        "same_cell": _repeated(np.column_stack([images, places])),
        "same_cell_and_class": _repeated(np.column_stack([images, places, labels])),
        "larger_than_field": int(larger.sum()),
    }


def _repeated(rows: npt.NDArray[np.int64]) -> int:
    """Return the number of rows that are equal to an earlier one."""
    return len(rows) - len(np.unique(rows, axis=0))
