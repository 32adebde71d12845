"""The loss of an image: what is painted, and both of its parts, against loops over cells."""

from __future__ import annotations

import math

import numpy as np
import pytest

from cnncli.tasks.detection.decoding import box_corners
from cnncli.tasks.detection.loss import giou, loss, paint

SIZE = (40, 64)
SHAPE = (10, 16, 2)
CORNERS = np.array([[4, 4, 60, 36], [20, 12, 36, 28], [50.5, 2, 53, 5], [-8, -8, 7, 7]], np.float64)
LABELS = np.array([1, 1, 0, 0])


def ellipse(corners: np.ndarray, i: int, j: int) -> float:
    """Return the Gaussian of an object at a cell, 0 outside its ellipse; a stride is 4 pixels."""
    middle = [min(max(math.floor((corners[k] + corners[k + 2]) / 8), 0), (16, 10)[k] - 1) for k in (0, 1)]
    halves = [max(0.27 * (corners[k + 2] - corners[k]) / 4, 0.5) for k in (0, 1)]
    distance = ((j - middle[0]) / halves[0]) ** 2 + ((i - middle[1]) / halves[1]) ** 2
    sigmas = [half / 3 for half in halves]
    value = math.exp(-((j - middle[0]) ** 2 / (2 * sigmas[0] ** 2) + (i - middle[1]) ** 2 / (2 * sigmas[1] ** 2)))
    return value if distance <= 1 else 0.0


def test_ellipses_against_a_loop_over_cells() -> None:
    """The highest value of a class; the smaller object's box; weights that sum up to the logarithm of the area."""
    painted = paint(CORNERS, LABELS, SHAPE, SIZE)
    areas = [max((x2 - x1) * (y2 - y1), 2) for x1, y1, x2, y2 in CORNERS.tolist()]
    sums = [sum(ellipse(box, i, j) for i in range(10) for j in range(16)) for box in CORNERS]
    for i in range(10):
        for j in range(16):
            values = [ellipse(box, i, j) for box in CORNERS]
            for label in (0, 1):
                expected = max(value for value, own in zip(values, LABELS, strict=True) if own == label)
                assert painted.heatmap[i, j, label] == pytest.approx(expected, abs=1e-12)
            inside = [number for number in range(4) if values[number]]
            if not inside:
                assert painted.weights[i, j] == 0
                continue
            smallest = min(inside, key=lambda number: areas[number])
            assert (painted.corners[i, j] == CORNERS[smallest]).all()
            weight = values[smallest] / sums[smallest] * math.log(areas[smallest])
            assert painted.weights[i, j] == pytest.approx(weight, abs=1e-12)
    # The small object is in the cell of its centre alone, the one at the edge in the first cell.
    assert painted.heatmap[0, 12, 0] == painted.heatmap[0, 0, 0] == 1
    assert (painted.heatmap[..., 0] == 1).sum() == 2


def test_loss_against_loops() -> None:
    """The focal loss of every cell and class, and 1 − GIoU of every cell with a weight."""
    generator = np.random.default_rng(2)
    heatmap = generator.normal(-2, 2, (2, *SHAPE)).astype(np.float32)
    box = generator.normal(0.5, 0.8, (2, *SHAPE[:2], 4)).astype(np.float32)
    painted = paint(CORNERS, LABELS, SHAPE, SIZE)
    focal = 0.0
    for place in np.ndindex(SHAPE):
        p, t = 1 / (1 + math.exp(-float(heatmap[1][place]))), painted.heatmap[place]
        focal -= (1 - p) ** 2 * math.log(p) if t == 1 else (1 - t) ** 4 * p**2 * math.log(1 - p)
    corners = box_corners(box, SIZE)[1].astype(np.float64)
    boxes = 0.0
    for i, j in np.ndindex(SHAPE[:2]):
        if painted.weights[i, j]:
            (a, b, c, d), (e, f, g, h) = corners[i, j], painted.corners[i, j]
            shared = max(min(c, g) - max(a, e), 0) * max(min(d, h) - max(b, f), 0)
            union = (c - a) * (d - b) + (g - e) * (h - f) - shared
            hull = (max(c, g) - min(a, e)) * (max(d, h) - min(b, f))
            boxes += painted.weights[i, j] * (1 - shared / union + (hull - union) / hull)
    expected = focal / 4 + 5 * boxes / (painted.weights.sum() + 1e-4)
    found = loss({"heatmap": heatmap, "box": box}, 1, CORNERS, LABELS, SIZE)
    assert found == pytest.approx(expected, rel=1e-6)


def test_an_image_without_objects() -> None:
    """Only the heatmap counts, and nothing is divided by zero; of large logits the loss stays finite."""
    logits = {"heatmap": np.full((1, *SHAPE), 200.0), "box": np.full((1, *SHAPE[:2], 4), 200.0)}
    nothing = np.zeros((0, 4)), np.zeros(0, np.int64)
    assert loss(logits, 0, *nothing, SIZE) == pytest.approx(200 * math.prod(SHAPE))
    logits["heatmap"] = -logits["heatmap"]
    assert loss(logits, 0, *nothing, SIZE) == pytest.approx(0)
    assert loss({**logits, "heatmap_2": logits["heatmap"] + 400, "box_2": logits["box"]}, 0, *nothing, SIZE) == (
        pytest.approx(100 * math.prod(SHAPE))
    )


def test_generalized_iou_by_hand() -> None:
    """Equal boxes, halves, neighbours, and boxes far from each other."""
    box = np.array([0.0, 0, 10, 10])
    others = np.array([[0, 0, 10, 10], [0, 0, 10, 5], [10, 0, 20, 10], [90, 0, 100, 10]], np.float64)
    assert giou(np.broadcast_to(box, (4, 4)), others).tolist() == [1, 0.5, 0, -0.8]
