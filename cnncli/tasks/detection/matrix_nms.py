"""Lower scores of boxes that overlap better ones of their class, instead of leaving boxes out one after the other.

Reference: Wang et al., SOLOv2: Dynamic and Fast Instance Segmentation, NeurIPS 2020 (arXiv 2003.10152), section 3.3.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

SIGMA = 2.0
"""How fast a score falls with the square of the IoU: to exp(−2) = 0.14 where a better box is the same."""

Floats = npt.NDArray[np.float32]


def matrix_nms(found: dict[str, Any]) -> dict[str, Any]:
    """Return boxes, classes and scores with lower scores where boxes overlap, the highest first.

    A box's score is multiplied by the least of exp(−σ · IoU²) over the better boxes of its class, each divided by what
    that better box itself is multiplied with at most: it hardly counts where it is suppressed.

    Args:
        found: "boxes" (images, boxes, 4), "classes" and "scores" (images, boxes), the highest score first.
    """
    boxes, classes, scores = (found[name] for name in ("boxes", "classes", "scores"))
    places = np.arange(scores.shape[1])
    is_better = (places[:, None] < places) & (classes[:, :, None] == classes[:, None])
    squares = np.square(np.where(is_better, _ious(boxes), np.float32(0)))
    most = squares.max(axis=1)
    factors = np.exp(np.float32(SIGMA) * (most[:, :, None] - squares)).min(axis=1)
    lowered = scores * np.minimum(factors, np.float32(1))
    order = np.argsort(-lowered, axis=1, kind="stable")
    return {
        "boxes": np.take_along_axis(boxes, order[..., None], axis=1),
        "classes": np.take_along_axis(classes, order, axis=1),
        "scores": np.take_along_axis(lowered, order, axis=1),
    }


def _ious(boxes: Floats) -> Floats:
    """Return the IoU of each box with each other one of its image: (images, boxes, boxes)."""
    one, other = boxes[:, :, None], boxes[:, None]
    sides = np.minimum(one[..., 2:], other[..., 2:]) - np.maximum(one[..., :2], other[..., :2])
    shared = np.maximum(sides, 0).prod(axis=-1)
    areas = (boxes[..., 2:] - boxes[..., :2]).prod(axis=-1)
    ious: Floats = shared / (areas[:, :, None] + areas[:, None] - shared)
    return ious
