"""From the planes that a network ends in to boxes, as the exported graph decodes them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from cnncli.config.schema.tasks.detection import pairs
from cnncli.tasks.detection.matrix_nms import matrix_nms

MOST_BOXES = 100
"""Boxes of an image, of all classes together."""

LARGEST_LOG = 6.0
"""Logarithms of distances are cut off beyond this and its negative: e⁶ = 403 strides."""

Planes = npt.NDArray[np.float32]


class Scale(NamedTuple):
    """What a network ends in for one size of cells.

    Attributes:
        heatmap: Logits (images, rows, columns, classes).
        box: Logarithms of the distances from each cell's centre to a box's left, upper, right and lower edge, in
            strides: (images, rows, columns, 4).
    """

    heatmap: Planes
    box: Planes


def scales(logits: Mapping[str, Any]) -> list[Scale]:
    """Return the planes of each scale, in the order of the heatmaps."""
    return [Scale(*(np.asarray(logits[name], np.float32) for name in pair)) for pair in pairs(logits)]


def decode(
    logits: Mapping[str, Any], image_size: tuple[int, int], most: int = MOST_BOXES, nms: str = "none"
) -> dict[str, Any]:
    """Return the boxes of each image, highest score first: what an exported network returns.

    A score is the sigmoid of a cell's logit for a class where that is the highest of its 3×3 neighbours', else 0. The
    logits are compared, not their sigmoids: those of large ones are equal after rounding, in each runtime others. Of
    equal logits, that of the upper row comes first, then of the left column, then of the first class; of several
    scales, those of the first.

    Args:
        logits: `heatmap` and `box` (images, rows, columns, …), of several scales each by its name.
        image_size: Height and width that the network reads.
        most: Largest number of boxes; never more than cells.
        nms: As the config's `model.nms`.

    Returns:
        "boxes", float32 (images, boxes, 4): xmin, ymin, xmax, ymax in the network's pixels; "classes", int32 (images,
        boxes); "scores", float32 (images, boxes), where 0 is none.
    """
    heights, corners = [], []
    for scale in scales(logits):
        found = peaks(scale.heatmap)
        heights.append(found.reshape(len(found), -1))
        corners.append(box_corners(scale.box, image_size).reshape(len(found), -1, 4))
    num_classes = scale.heatmap.shape[-1]
    flat, boxes = np.concatenate(heights, axis=1), np.concatenate(corners, axis=1)
    places = np.stack([_highest(row, min(most, boxes.shape[1])) for row in flat])
    decoded = {
        "boxes": np.take_along_axis(boxes, (places // num_classes)[..., None], axis=1),
        "classes": (places % num_classes).astype(np.int32),
        "scores": sigmoid(np.take_along_axis(flat, places, axis=1)),
    }
    return matrix_nms(decoded) if nms == "matrix" else decoded


def sigmoid(logits: Planes) -> Planes:
    """Return 1 / (1 + exp(−x)), without overflow."""
    small = np.exp(-np.abs(logits))
    found: Planes = np.where(logits >= 0, 1 / (1 + small), small / (1 + small)).astype(np.float32, copy=False)
    return found


def peaks(heatmap: Planes) -> Planes:
    """Return logits (images, rows, columns, classes) where they are the highest of 3×3 cells, else −∞."""
    padded = np.pad(heatmap, ((0, 0), (1, 1), (1, 1), (0, 0)), constant_values=-np.inf)
    across = np.maximum(np.maximum(padded[:, :, :-2], padded[:, :, 1:-1]), padded[:, :, 2:])
    highest = np.maximum(np.maximum(across[:, :-2], across[:, 1:-1]), across[:, 2:])
    return np.where(heatmap == highest, heatmap, np.float32(-np.inf))


def box_corners(box: Planes, image_size: tuple[int, int]) -> Planes:
    """Return each cell's box in the network's pixels: xmin, ymin, xmax, ymax, float32 (images, rows, columns, 4).

    Args:
        box: As `Scale` has it.
        image_size: Height and width that the network reads; divided by rows and columns, they are the strides.
    """
    rows, columns = box.shape[1:3]
    down, along = (np.float32(side / number) for side, number in zip(image_size, (rows, columns), strict=True))
    y = (np.arange(rows, dtype=np.float32) + np.float32(0.5)) * down
    x = (np.arange(columns, dtype=np.float32) + np.float32(0.5)) * along
    distances = np.exp(np.clip(box, -LARGEST_LOG, LARGEST_LOG)) * np.array([along, down, along, down], np.float32)
    corners = np.empty(box.shape, np.float32)
    corners[..., 0] = x - distances[..., 0]
    corners[..., 1] = y[:, None] - distances[..., 1]
    corners[..., 2] = x + distances[..., 2]
    corners[..., 3] = y[:, None] + distances[..., 3]
    return corners


def _highest(logits: Planes, number: int) -> npt.NDArray[np.int64]:
    """Return the places of the highest logits, the highest first; of equal ones the first."""
    least = np.partition(logits, -number)[-number]
    able = np.flatnonzero(logits >= least)
    return able[np.argsort(-logits[able], kind="stable")[:number]]
