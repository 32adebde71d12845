"""Matrix NMS in Keras's operations, which every export holds: no loop, and no box is left out one after the other.

Reference: as for `cnncli.tasks.detection.matrix_nms`, which computes the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from keras import ops

from cnncli.tasks.detection.matrix_nms import SIGMA


def matrix_nms(found: Mapping[str, Any]) -> dict[str, Any]:
    """Return boxes, classes and scores with lower scores where boxes overlap, the highest first.

    Args:
        found: "boxes", float32 (batch, boxes, 4), "classes", int32 (batch, boxes), and "scores", float32 (batch,
            boxes), the highest first; the number of boxes is static.
    """
    boxes, classes, scores = (found[name] for name in ("boxes", "classes", "scores"))
    number = scores.shape[1]
    above = np.triu(np.ones((1, number, number), np.bool_), 1)
    is_better = ops.logical_and(above, ops.equal(ops.expand_dims(classes, 2), ops.expand_dims(classes, 1)))
    squares = ops.square(ops.where(is_better, _ious(boxes), 0.0))
    most = ops.expand_dims(ops.max(squares, axis=1), 2)
    factors = ops.min(ops.exp(SIGMA * (most - squares)), axis=1)
    lowered, places = ops.top_k(scores * ops.minimum(factors, 1.0), number)
    return {
        "boxes": ops.take_along_axis(boxes, ops.expand_dims(places, -1), axis=1),
        "classes": ops.take_along_axis(classes, places, axis=1),
        "scores": lowered,
    }


def _ious(boxes: Any) -> Any:
    """Return the IoU of each box with each other one of its image: (batch, boxes, boxes)."""
    left, top, right, bottom = (boxes[:, :, edge] for edge in range(4))

    def shared(first: Any, last: Any) -> Any:
        ends = ops.minimum(ops.expand_dims(last, 2), ops.expand_dims(last, 1))
        return ops.maximum(ends - ops.maximum(ops.expand_dims(first, 2), ops.expand_dims(first, 1)), 0.0)

    common = shared(left, right) * shared(top, bottom)
    areas = (right - left) * (bottom - top)
    return common / (ops.expand_dims(areas, 2) + ops.expand_dims(areas, 1) - common)
