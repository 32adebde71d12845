"""The loss of an image: what is painted, and both of its parts, against loops over cells."""

from __future__ import annotations

import math

import numpy as np
import pytest

from cnncli.config.schema.schema import Loss
from cnncli.tasks.detection.decoding import box_corners
from cnncli.tasks.detection.loss import Learned, giou, loss, paint

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


def parts(
    heatmap: np.ndarray, box: np.ndarray, objects: Learned, kind: str = "giou", alpha: float = 2, beta: float = 4
) -> tuple[float, int, float, float]:
    """Return the sums over one image's cells: focal loss, number of centres, weighed losses of boxes, weights."""
    rows, columns, _ = heatmap.shape
    learned = objects.take(~objects.crowd)
    painted = paint(learned.corners, learned.labels, heatmap.shape, SIZE)
    focal = boxes = 0.0
    for i, j, label in np.ndindex(heatmap.shape):
        p, t = 1 / (1 + math.exp(-float(heatmap[i, j, label]))), painted.heatmap[i, j, label]
        x, y = (j + 0.5) * SIZE[1] / columns, (i + 0.5) * SIZE[0] / rows
        in_crowd = any(
            own == label and left <= x <= right and top <= y <= bottom
            for (left, top, right, bottom), own in zip(
                objects.corners[objects.crowd].tolist(), objects.labels[objects.crowd], strict=True
            )
        )
        if t == 1:
            focal -= (1 - p) ** alpha * math.log(p)
        elif not in_crowd:
            focal -= (1 - t) ** beta * p**alpha * math.log(1 - p)
    corners = box_corners(box[None], SIZE)[0].astype(np.float64)
    for i, j in np.ndindex((rows, columns)):
        if painted.weights[i, j] and kind == "l1":
            across, down = SIZE[1] / columns, SIZE[0] / rows
            left, top, right, bottom = painted.corners[i, j]
            true = j + 0.5 - left / across, i + 0.5 - top / down, right / across - j - 0.5, bottom / down - i - 0.5
            errors = [abs(math.exp(min(max(float(box[i, j, k]), -6), 6)) - true[k]) for k in range(4)]
            boxes += painted.weights[i, j] * sum(errors) / 4
        elif painted.weights[i, j]:
            (a, b, c, d), (e, f, g, h) = corners[i, j], painted.corners[i, j]
            shared = max(min(c, g) - max(a, e), 0) * max(min(d, h) - max(b, f), 0)
            union = (c - a) * (d - b) + (g - e) * (h - f) - shared
            hull = (max(c, g) - min(a, e)) * (max(d, h) - min(b, f))
            boxes += painted.weights[i, j] * (1 - shared / union + (hull - union) / hull)
    return focal, int((painted.heatmap == 1).sum()), boxes, painted.weights.sum()


def planes(seed: int, rows: int, columns: int) -> dict[str, np.ndarray]:
    """Return random planes of two images."""
    generator = np.random.default_rng(seed)
    heatmap = generator.normal(-2, 2, (2, rows, columns, 2)).astype(np.float32)
    return {"heatmap": heatmap, "box": generator.normal(0.5, 0.8, (2, rows, columns, 4)).astype(np.float32)}


@pytest.mark.parametrize("crowd", [(), (0,), (1, 3)])
def test_loss_against_loops(crowd: tuple[int, ...]) -> None:
    """Of every cell and class the focal loss, of the background outside crowds alone; 1 − GIoU as cells weigh."""
    logits, objects = planes(2, 10, 16), Learned(CORNERS, LABELS, np.isin(np.arange(4), crowd))
    focal, number, boxes, weights = parts(logits["heatmap"][1], logits["box"][1], objects)
    assert number == 4 - len(crowd)
    expected = focal / number + 5 * boxes / (weights + 1e-4)
    assert loss(logits, 1, objects, SIZE) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("columns", [16, 32])
def test_other_losses_against_loops(columns: int) -> None:
    """The L1 loss is that of the distances in strides, which differ across and down; weight and exponents as given."""
    logits, objects = planes(5, 10, columns), Learned(CORNERS, LABELS, np.array([False, True, False, False]))
    logits["box"][1, 0, 0] = 9, -9, 9, -9
    focal, number, boxes, weights = parts(logits["heatmap"][1], logits["box"][1], objects, "l1", 1.5, 3)
    settings = Loss(box="l1", box_weight=0.25, focal_alpha=1.5, focal_beta=3.0)
    expected = focal / number + 0.25 * boxes / (weights + 1e-4)
    assert loss(logits, 1, objects, SIZE, settings) == pytest.approx(expected, rel=1e-6)


def test_the_l1_loss_by_hand() -> None:
    """Of right boxes it is nothing; where the left edge is 2 strides too far, 2 / 4 times the weight."""
    logits, objects = planes(6, 10, 16), Learned(np.array([[22.0, 10, 46, 34]]), np.array([0]), np.array([False]))
    only_heatmap = loss(logits, 0, objects, SIZE, Loss(box_weight=0.0))
    for i in (4, 5, 6):
        for j in (7, 8, 9):  # around the cell of the centre, x = 34, y = 22
            logits["box"][0, i, j] = np.log([j - 5, i - 2, 11 - j, 8 - i])
    assert loss(logits, 0, objects, SIZE, Loss(box="l1")) == pytest.approx(only_heatmap, abs=1e-5)
    logits["box"][..., 0] = np.log(np.exp(logits["box"][..., 0]) + 2)
    found = loss(logits, 0, objects, SIZE, Loss(box="l1", box_weight=3.0))
    assert found == pytest.approx(only_heatmap + 3 * 2 / 4, abs=1e-4)


def test_an_object_belongs_to_one_scale() -> None:
    """To the coarsest on which its side is eight cells; a crowd to all; sums over all cells are divided together."""
    fine, coarse = planes(3, 20, 32), planes(4, 10, 16)
    objects = Learned(CORNERS, LABELS, np.array([False, False, False, True]))
    # Of the sides 42.3, 16 and 2.5 pixels, the first is eight cells of 4 pixels, the others are not.
    large, small = (np.array([own, not own, not own, True]) for own in (True, False))
    sums = [parts(fine["heatmap"][0], fine["box"][0], objects.take(small))]
    sums += [parts(coarse["heatmap"][0], coarse["box"][0], objects.take(large))]
    focal, number, boxes, weights = map(sum, zip(*sums, strict=True))
    both = {"heatmap_2": fine["heatmap"], "heatmap_4": coarse["heatmap"], "box_2": fine["box"], "box_4": coarse["box"]}
    expected = focal / number + 5 * boxes / (weights + 1e-4)
    assert loss(both, 0, objects, SIZE) == pytest.approx(expected, rel=1e-6)


def test_an_image_without_objects() -> None:
    """Only the heatmap counts, and nothing is divided by zero; of large logits the loss stays finite."""
    logits = {"heatmap": np.full((1, *SHAPE), 200.0), "box": np.full((1, *SHAPE[:2], 4), 200.0)}
    nothing = Learned(np.zeros((0, 4)), np.zeros(0, np.int64), np.zeros(0, np.bool_))
    assert loss(logits, 0, nothing, SIZE) == pytest.approx(200 * math.prod(SHAPE))
    logits["heatmap"] = -logits["heatmap"]
    assert loss(logits, 0, nothing, SIZE) == pytest.approx(0)


def test_generalized_iou_by_hand() -> None:
    """Equal boxes, halves, neighbours, and boxes far from each other."""
    box = np.array([0.0, 0, 10, 10])
    others = np.array([[0, 0, 10, 10], [0, 0, 10, 5], [10, 0, 20, 10], [90, 0, 100, 10]], np.float64)
    assert giou(np.broadcast_to(box, (4, 4)), others).tolist() == [1, 0.5, 0, -0.8]
