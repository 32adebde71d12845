"""From the planes of a detector to boxes: in Keras's operations, for training's graph, exports and `.keras` files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from keras import ops

from cnncli.config.schema.tasks.detection import Pair
from cnncli.engine.tasks.detection_nms import matrix_nms
from cnncli.tasks.detection.decoding import LARGEST_LOG, MOST_BOXES


def corners_of(box: Any, strides: tuple[float, float]) -> Any:
    """Return each cell's box in the network's pixels: xmin, ymin, xmax, ymax, float32 (batch, rows, columns, 4).

    Args:
        box: Logarithms of the distances from the cell's centre to the left, top, right and bottom edge, in strides:
            (batch, rows, columns, 4), rows and columns static.
        strides: Pixels between neighbouring cells across and down.
    """
    middles, signed = _cells(box, strides)
    distances = ops.exp(ops.clip(ops.cast(box, "float32"), -LARGEST_LOG, LARGEST_LOG))
    return ops.add(middles, ops.multiply(signed, distances))


def logs_of(corners: Any, strides: tuple[float, float]) -> Any:
    """Return planes whose cells have these boxes: the inverse of `corners_of`, for boxes about their cell's centre."""
    middles, signed = _cells(corners, strides)
    distances = ops.maximum(ops.divide(ops.subtract(corners, middles), signed), np.exp(np.float32(-LARGEST_LOG)))
    return ops.minimum(ops.log(distances), LARGEST_LOG)


def _cells(plane: Any, strides: tuple[float, float]) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Return the cells' centres for each corner, (1, rows, columns, 4), and the signed strides towards each, (4,)."""
    rows, columns = plane.shape[1:3]
    across, down = map(np.float32, strides)
    middles = np.zeros((1, rows, columns, 4), np.float32)
    middles[..., 0::2] = ((np.arange(columns, dtype=np.float32) + np.float32(0.5)) * across)[:, np.newaxis]
    middles[..., 1::2] = ((np.arange(rows, dtype=np.float32) + np.float32(0.5)) * down)[:, np.newaxis, np.newaxis]
    return middles, np.array([-across, -down, across, down], np.float32)


def are_peaks(heatmap: Any) -> Any:
    """Return whether logits are the highest of 3×3 cells: bool (batch, rows, columns, classes)."""
    return ops.equal(heatmap, ops.max_pool(heatmap, 3, strides=1, padding="same", data_format="channels_last"))


def decode(
    logits: Mapping[str, Any],
    planes: Sequence[Pair],
    strides: Mapping[Pair, tuple[float, float]],
    nms: str = "none",
) -> dict[str, Any]:
    """Return the boxes of each image, highest logit first; of equal logits, the upper row's first, then the left's.

    Sigmoids are not compared: a vectorised one and that of an array's last values differ in their last bit, even of
    equal logits, and those of large logits are equal.

    Args:
        logits: What the network ends in, by name.
        planes: The names that belong together.
        strides: Pixels between neighbouring cells of each.
        nms: As the config's `model.nms`.

    Returns:
        "boxes", float32 (batch, boxes, 4): xmin, ymin, xmax, ymax in the network's pixels; "classes", int32 (batch,
        boxes); "scores", float32 (batch, boxes), where 0 is none.
    """
    num_classes = logits[planes[0].heatmap].shape[-1]
    heatmaps = [ops.cast(logits[pair.heatmap], "float32") for pair in planes]
    flat = ops.concatenate([_by_cell(heatmap, -1) for heatmap in heatmaps], axis=1)
    chosen = ops.concatenate([_by_cell(are_peaks(heatmap), -1) for heatmap in heatmaps], axis=1)
    corners = ops.concatenate([_by_cell(corners_of(logits[pair.box], strides[pair]), 4) for pair in planes], axis=1)
    # What is no peak sorts last: just below the least logit, as eight bits could hold no logits beside −∞.
    last = ops.subtract(ops.min(flat, axis=1, keepdims=True), 1.0)
    highest, places = ops.top_k(ops.where(chosen, flat, last), min(MOST_BOXES, corners.shape[1]))
    cells = ops.floor_divide(places, num_classes)
    found = {
        "boxes": ops.take_along_axis(corners, ops.expand_dims(cells, -1), axis=1),
        "classes": ops.cast(places - cells * num_classes, "int32"),
        "scores": ops.where(ops.take_along_axis(chosen, places, axis=1), ops.sigmoid(highest), 0.0),
    }
    return matrix_nms(found) if nms == "matrix" else found


def _by_cell(plane: Any, channels: int) -> Any:
    """Return a plane with one axis for all cells, (batch, cells, channels); of −1 channels, (batch, values)."""
    size = int(np.prod(plane.shape[1:]))
    return ops.reshape(plane, (-1, size) if channels < 0 else (-1, size // channels, channels))
