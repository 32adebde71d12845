"""The loss of a detector, what it counts and how it decodes, against plain loops."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pytest

from cnncli.config.schema.schema import Loss
from cnncli.errors import CnnError
from cnncli.tasks.detection.loss import Learned, loss

pytestmark = pytest.mark.engine

SIZE, SHAPE = (48, 64), (12, 16, 3)
STRIDE = 4
CAPACITY = 9


class Example(NamedTuple):
    """Targets of four images, and what a network ends in for them.

    Attributes:
        targets: Of an image with overlapping objects, one with none, one with objects smaller than a cell, and one
            with a crowd: float32 (4, capacity, 6).
        logits: Heatmaps and boxes.
    """

    targets: np.ndarray
    logits: dict[str, np.ndarray]


@pytest.fixture(scope="module")
def example() -> Example:
    """Return four images' targets and random outputs."""
    generator = np.random.default_rng(0)
    targets = np.zeros((4, CAPACITY, 6), np.float32)
    targets[..., 4] = -1
    for row, number, largest in ((0, 8, 30), (2, 5, 3), (3, 4, 20)):
        corner = generator.uniform(0, (60, 44), (number, 2))
        sides = generator.uniform(0.5, largest, (number, 2))
        targets[row, :number, :4] = np.hstack([corner, np.minimum(corner + sides, (64, 48))])
        targets[row, :number, 4] = generator.integers(0, 3, number)
        targets[row, :number, 5] = 1
    targets[0, 7] = [*targets[0, 2, :4], 1, 1]  # where another one is
    targets[0, 5:7] = [[4, 4, 24, 24, 0, 1], [8, 6, 28, 26, 2, 1]]  # as large as each other
    targets[3, 1] = [10, 5, 50, 40, 1, 0]
    # A place without an object between others, as augmentation leaves it.
    targets[0, 4, 4] = -1
    logits = {
        "heatmap": generator.normal(-2, 2, (4, *SHAPE)).astype(np.float32),
        "box": generator.normal(0.5, 1, (4, *SHAPE[:2], 4)).astype(np.float32),
    }
    logits["box"][0, 0, 0] = 9, -9, 9, -9
    return Example(targets, logits)


def make(settings: Loss | None = None, **shapes: tuple[int, ...]) -> Any:
    """Return an objective, by default of one pair of planes."""
    from cnncli.engine.tasks.detection import CenterHeatmap

    chosen = shapes or {"heatmap": SHAPE, "box": (*SHAPE[:2], 4)}
    return CenterHeatmap(chosen, SIZE, CAPACITY, loss=settings or Loss())


def corners(box: np.ndarray, row: int, column: int, stride: float) -> np.ndarray:
    """Return the box of a cell in pixels."""
    x, y = (column + 0.5) * stride, (row + 0.5) * stride
    left, top, right, bottom = stride * np.exp(np.clip(box[row, column].astype(np.float64), -6, 6))
    return np.array([x - left, y - top, x + right, y + bottom])


def overlap(one: np.ndarray, other: np.ndarray) -> tuple[float, float]:
    """Return the IoU and the generalized IoU of two boxes."""

    def area(box: Any) -> float:
        return max(box[2] - box[0], 0) * max(box[3] - box[1], 0)

    shared = area([*np.maximum(one[:2], other[:2]), *np.minimum(one[2:], other[2:])])
    hull = area([*np.minimum(one[:2], other[:2]), *np.maximum(one[2:], other[2:])])
    union = area(one) + area(other) - shared
    return shared / union, shared / union - (hull - union) / hull


def painted(objects: np.ndarray, shape: tuple[int, ...], stride: float) -> tuple[np.ndarray, dict[Any, Any], list[Any]]:
    """Return the heatmap, box and weight by cell, and the cell of each object's centre."""
    rows, columns, classes = shape
    heatmap, owned, centres = np.zeros((rows, columns, classes)), {}, []
    areas = (objects[:, 2] - objects[:, 0]) * (objects[:, 3] - objects[:, 1])
    for number in sorted(range(len(objects)), key=lambda i: (-areas[i], i)):  # smaller objects cover larger ones
        xmin, ymin, xmax, ymax, label = objects[number, :5].astype(np.float64)
        half_x, half_y = (max(0.54 * side / stride / 2, 0.5) for side in (xmax - xmin, ymax - ymin))
        x, y = min(int((xmin + xmax) / 2 / stride), columns - 1), min(int((ymin + ymax) / 2 / stride), rows - 1)
        cells = {}
        for row in range(rows):
            for column in range(columns):
                distance = ((column - x) / half_x) ** 2 + ((row - y) / half_y) ** 2
                if distance <= 1:
                    cells[row, column] = np.exp(-0.5 * distance * 9)
        for (row, column), value in cells.items():
            heatmap[row, column, int(label)] = max(heatmap[row, column, int(label)], value)
            weight = value / sum(cells.values()) * np.log(max(areas[number], 2))
            owned[row, column] = (objects[number, :4].astype(np.float64), weight)
        centres.append((number, y, x))
    return heatmap, owned, centres


def parts_of_loss(
    image: np.ndarray,
    heatmap: np.ndarray,
    box: np.ndarray,
    stride: float,
    objects: np.ndarray,
    exponents: tuple[float, float] = (2, 4),
) -> tuple[float, int, float, float]:
    """Return focal loss and number of centres, and box loss and weight, of one plane, cell by cell."""
    truth, owned, _ = painted(objects, heatmap.shape, stride)
    crowds = image[(image[:, 4] >= 0) & (image[:, 5] == 0)]
    focal = 0.0
    for (row, column, label), value in np.ndenumerate(truth):
        p = 1 / (1 + np.exp(-np.float64(heatmap[row, column, label])))
        x, y = (column + 0.5) * stride, (row + 0.5) * stride
        if value == 1:
            focal -= (1 - p) ** exponents[0] * np.log(p)
        elif not any(c[4] == label and c[0] <= x <= c[2] and c[1] <= y <= c[3] for c in crowds):
            focal -= (1 - value) ** exponents[1] * p ** exponents[0] * np.log(1 - p)
    boxes = sum((1 - overlap(corners(box, *cell, stride), own)[1]) * weight for cell, (own, weight) in owned.items())
    return focal, int((truth == 1).sum()), boxes, sum(weight for _, weight in owned.values())


def learned(image: np.ndarray) -> np.ndarray:
    """Return the objects that are trained on."""
    return image[(image[:, 4] >= 0) & (image[:, 5] > 0)]


def test_loss_is_that_of_a_plain_loop(example: Example) -> None:
    """Focal loss over all cells by centre, and 5 (1 − GIoU) over the ellipses; a crowd is no background."""
    import tensorflow as tf

    found = tf.function(make().loss)(tf.constant(example.targets), example.logits).numpy()
    expected = []
    for row, image in enumerate(example.targets):
        heatmap, box = example.logits["heatmap"][row], example.logits["box"][row]
        focal, number, boxes, weight = parts_of_loss(image, heatmap, box, STRIDE, learned(image))
        expected.append(focal / max(number, 1) + 5 * boxes / (weight + 1e-4))
    np.testing.assert_allclose(found, expected, rtol=1e-4)
    without = example.targets.copy()
    without[3, 1, 4] = -1
    assert make().loss(tf.constant(without), example.logits).numpy()[3] > found[3] * 1.05


def in_numpy(image: np.ndarray) -> Learned:
    """Return an image's objects as the evaluator has them."""
    own = image[image[:, 4] >= 0].astype(np.float64)
    return Learned(own[:, :4], own[:, 4].astype(int), own[:, 5] == 0)


def errors_of_distances(box: np.ndarray, stride: float, owned: dict[Any, Any]) -> float:
    """Return the weighed mean absolute errors of the distances to four edges in strides, cell by cell, edge by edge."""
    total = 0.0
    for (row, column), (own, weight) in owned.items():
        for edge, (sign, middle) in enumerate(((-1, column), (-1, row), (1, column), (1, row))):
            true = sign * (own[edge] / stride - (middle + 0.5))
            found = np.exp(min(max(np.float64(box[row, column, edge]), -6), 6))
            total += weight * abs(found - true) / 4
    return total


def test_l1_loss_is_that_of_a_plain_loop(example: Example) -> None:
    """With a weight and exponents of its own; the evaluator's NumPy computes the same."""
    import tensorflow as tf

    settings = Loss(box="l1", box_weight=0.1, focal_alpha=1.5, focal_beta=3.0)
    found = tf.function(make(settings).loss)(tf.constant(example.targets), example.logits).numpy()
    for row, image in enumerate(example.targets):
        heatmap, box = example.logits["heatmap"][row], example.logits["box"][row]
        focal, number, _, weight = parts_of_loss(image, heatmap, box, STRIDE, learned(image), (1.5, 3))
        boxes = errors_of_distances(box, STRIDE, painted(learned(image), SHAPE, STRIDE)[1])
        assert found[row] == pytest.approx(focal / max(number, 1) + 0.1 * boxes / (weight + 1e-4), rel=1e-4)
        assert found[row] == pytest.approx(loss(example.logits, row, in_numpy(image), SIZE, settings), rel=1e-5)


def test_l1_loss_where_strides_differ(example: Example) -> None:
    """Across a cell is twice as wide as high: each distance has its own unit, in TensorFlow as in NumPy."""
    import tensorflow as tf

    logits = {name: plane[:, :, ::2] for name, plane in example.logits.items()}
    objective = make(Loss(box="l1"), **{name: plane.shape[1:] for name, plane in logits.items()})
    found = objective.loss(tf.constant(example.targets), logits).numpy()
    for row in (1, 3):
        expected = loss(logits, row, in_numpy(example.targets[row]), SIZE, Loss(box="l1"))
        assert found[row] == pytest.approx(expected, rel=1e-5)


def test_loss_of_two_planes(example: Example) -> None:
    """An object that is eight coarse cells large is found among these, every other one among the fine cells."""
    import tensorflow as tf

    generator = np.random.default_rng(3)
    coarse = generator.normal(-2, 2, (4, 24, 32, 3)).astype(np.float32)
    boxes = generator.normal(0, 1, (4, 24, 32, 4)).astype(np.float32)
    logits = {**example.logits, "heatmap_2": coarse, "box_2": boxes}  # the plane with stride 4 is the coarse one
    shapes = {name: plane.shape[1:] for name, plane in logits.items()}
    targets = example.targets.copy()
    targets[1, 0] = [5, 3, 60, 45, 2, 1]
    found = make(**shapes).loss(tf.constant(targets), logits).numpy()
    for row, image in enumerate(targets):
        objects = learned(image)
        large = np.sqrt((objects[:, 2] - objects[:, 0]) * (objects[:, 3] - objects[:, 1])) >= 8 * STRIDE
        total = np.zeros(4)
        for suffix, stride, own in (("", STRIDE, objects[large]), ("_2", 2, objects[~large])):
            heatmap, box = logits["heatmap" + suffix][row], logits["box" + suffix][row]
            total += parts_of_loss(image, heatmap, box, stride, own)
        expected = total[0] / max(total[1], 1) + 5 * total[2] / (total[3] + 1e-4)
        assert found[row] == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize(("dtype", "box"), [("float32", "giou"), ("bfloat16", "giou"), ("float32", "l1")])
def test_loss_and_gradients_are_finite(example: Example, dtype: str, box: str) -> None:
    """Of certain and of huge outputs, of no objects at all, and of one without an area."""
    import tensorflow as tf

    empty = np.full_like(example.targets, -1)
    flat = empty.copy()
    flat[:, 0] = [10, 10, 10, 20, 0, 1]
    flat[:, 1] = [64, 48, 64, 48, 0, 1]
    for targets in (example.targets, empty, flat):
        for scale in (1.0, 100.0, -100.0):
            logits = {name: tf.cast(plane * scale, dtype) for name, plane in example.logits.items()}
            with tf.GradientTape() as tape:
                tape.watch(logits)
                loss = make(Loss.model_validate({"box": box})).loss(tf.constant(targets), logits)
            assert loss.dtype == tf.float32
            assert np.isfinite(loss).all()
            for gradient in tape.gradient(loss, logits).values():
                assert np.isfinite(tf.cast(gradient, tf.float32)).all()


def test_sums_are_means_over_the_objects(example: Example) -> None:
    """IoU and score at the cells of their centres; batches add up, and no objects are no error."""
    import tensorflow as tf

    objective = make()
    ious, scores = [], []
    for row, image in enumerate(example.targets):
        objects = learned(image)
        for number, y, x in painted(objects, SHAPE, STRIDE)[2]:
            ious.append(overlap(corners(example.logits["box"][row], y, x, STRIDE), objects[number, :4])[0])
            scores.append(1 / (1 + np.exp(-example.logits["heatmap"][row, y, x, int(objects[number, 4])])))
    parts = [
        objective.sums(tf.constant(example.targets[i : i + 1]), {n: p[i : i + 1] for n, p in example.logits.items()})
        for i in range(4)
    ]
    sums = {name: sum(part[name].numpy() for part in parts) for name in parts[0]}
    assert sums["num_objects"] == len(ious)
    assert {name: spec.dtype for name, spec in objective.sum_specs.items()} == {
        name: total.dtype for name, total in parts[0].items()
    }
    means = objective.means(sums, 4)
    assert means == pytest.approx({"box_iou": np.mean(ious), "center_score": np.mean(scores)}, rel=1e-5)
    assert objective.means({"box_iou": 0.0, "center_score": 0.0, "num_objects": 0}, 4) == dict.fromkeys(means, 0.0)


def decoded(logits: dict[str, np.ndarray], stride: int, most: int = 100) -> list[list[tuple[Any, ...]]]:
    """Return score, class and box of each image's peaks, best first, cell by cell."""
    found = []
    for heatmap, box in zip(logits["heatmap"], logits["box"], strict=True):
        peaks = []
        for (row, column, label), logit in np.ndenumerate(heatmap):
            near = heatmap[max(row - 1, 0) : row + 2, max(column - 1, 0) : column + 2, label]
            if logit == near.max():
                peaks.append((logit, label, corners(box, row, column, stride)))
        peaks.sort(key=lambda peak: -peak[0])
        found.append([(1 / (1 + np.exp(-float(logit))), *rest) for logit, *rest in peaks[:most]])
    return found


def test_outputs_are_the_peaks_of_a_plain_loop(example: Example) -> None:
    """The highest hundred, highest first, with their boxes; what is left over has the score 0."""
    import tensorflow as tf

    logits = example.logits | {"heatmap": example.logits["heatmap"].copy()}
    logits["heatmap"][1] = -3  # all cells alike: all are peaks
    logits["heatmap"][1, 4, 5, 2] = 1
    found = tf.function(make().outputs)(logits)
    assert {name: (values.shape, values.dtype.name) for name, values in found.items()} == {
        "boxes": ((4, 100, 4), "float32"),
        "classes": ((4, 100), "int32"),
        "scores": ((4, 100), "float32"),
    }
    for row, peaks in enumerate(decoded(logits, STRIDE)):
        number = len(peaks)
        np.testing.assert_allclose(found["scores"][row, :number], [p[0] for p in peaks], atol=1e-6)
        np.testing.assert_array_equal(found["classes"][row, :number], [p[1] for p in peaks])
        np.testing.assert_allclose(found["boxes"][row, :number], [p[2] for p in peaks], rtol=1e-5, atol=1e-4)
        assert (found["scores"][row, number:].numpy() == 0).all()
    assert len(decoded(logits, STRIDE)[0]) < 100


SCALES = {"": (11, 7), "_coarse": (5, 3)}
"""Rows and columns of each scale: as many values as no vectorised loop computes without a remainder."""


def hard_planes(mean: float, deviation: float, step: float) -> dict[str, np.ndarray]:
    """Return random planes of two images and two scales, with logits that are multiples of a step."""
    generator, logits = np.random.default_rng(0), {}
    for name, cells in SCALES.items():
        heatmap = generator.normal(mean, deviation, (2, *cells, 3))
        logits[f"heatmap{name}"] = (np.round(heatmap / step) * step).astype(np.float32)
        logits[f"box{name}"] = generator.normal(0.5, 1, (2, *cells, 4)).astype(np.float32)
    return logits


def in_order(logits: dict[str, np.ndarray], row: int, size: tuple[int, int]) -> list[tuple[float, int, np.ndarray]]:
    """Return logit, class and box of an image's peaks: the highest first, then by scale, row, column and class."""
    found = []
    for name, (rows, columns) in SCALES.items():
        heatmap, box = logits[f"heatmap{name}"][row], logits[f"box{name}"][row]
        strides = np.array([size[1] / columns, size[0] / rows] * 2)
        for (y, x, label), logit in np.ndenumerate(heatmap):
            if logit == heatmap[max(y - 1, 0) : y + 2, max(x - 1, 0) : x + 2, label].max():
                edges = np.array([x, y, x, y]) + 0.5 + np.array([-1, -1, 1, 1]) * np.exp(box[y, x])
                found.append((float(logit), label, strides * edges))
    return sorted(found, key=lambda one: -one[0])


@pytest.mark.parametrize(
    ("mean", "deviation", "step"),
    [(-1, 0.5, 0.25), (-1, 0.5, 2**-20), (12, 1.5, 2**-20), (17, 2, 2**-10), (60, 30, 1), (-60, 30, 1)],
)
def test_logits_decide_what_is_a_peak_and_which_is_first(mean: float, deviation: float, step: float) -> None:
    """Of equal logits, and of those whose sigmoids are equal: in the graph and in NumPy the same boxes."""
    import tensorflow as tf

    from cnncli.engine.tasks.detection import CenterHeatmap
    from cnncli.tasks.detection.decoding import decode

    size, logits = (55, 42), hard_planes(mean, deviation, step)
    objective = CenterHeatmap({name: plane.shape[1:] for name, plane in logits.items()}, size)
    computed = tf.function(objective.outputs)(logits), decode(logits, size)
    for row in range(2):
        peaks = in_order(logits, row, size)[:92]
        number = len(peaks)
        for found in computed:
            own = {name: np.asarray(values[row]) for name, values in found.items()}
            assert own["scores"].shape == (92,)
            np.testing.assert_allclose(own["scores"][:number], [1 / (1 + np.exp(-p[0])) for p in peaks], atol=1e-6)
            np.testing.assert_array_equal(own["classes"][:number], [p[1] for p in peaks])
            np.testing.assert_allclose(own["boxes"][:number], [p[2] for p in peaks], rtol=1e-5, atol=1e-3)
            assert (own["scores"][number:] == 0).all()


def suppressed(peaks: list[Any]) -> list[Any]:
    """Return peaks with the scores that matrix NMS leaves them, box by box: equations 3 to 5 of SOLOv2, Gaussian."""
    most = [0.0] * len(peaks)
    scores = []
    for own, (score, label, box) in enumerate(peaks):
        better = [(n, overlap(peaks[n][2], box)[0]) for n in range(own) if peaks[n][1] == label]
        decay = [np.exp(-2 * iou**2) / np.exp(-2 * most[n] ** 2) for n, iou in better]
        most[own] = max((iou for _, iou in better), default=0.0)
        scores.append(score * min([1.0, *decay]))
    order = sorted(range(len(peaks)), key=lambda n: -scores[n])
    return [(scores[n], *peaks[n][1:]) for n in order]


def test_matrix_nms_is_that_of_a_plain_loop(example: Example) -> None:
    """In the step's operations, in Keras's own layers, and in NumPy's decoding."""
    import tensorflow as tf

    from cnncli.engine.tasks.detection import CenterHeatmap
    from cnncli.tasks.detection.decoding import decode

    objective = CenterHeatmap({"heatmap": SHAPE, "box": (*SHAPE[:2], 4)}, SIZE, CAPACITY, "matrix")
    logits = example.logits | {"box": example.logits["box"] + 1}
    computed = tf.function(objective.outputs)(logits), decode(logits, SIZE, nms="matrix")
    lowered = 0
    for row, peaks in enumerate(decoded(logits, STRIDE)):
        expected, number = suppressed(peaks), len(peaks)
        lowered += sum(one[0] < 0.9 * other[0] for one, other in zip(expected, peaks, strict=True))
        for found in computed:
            found = {name: np.asarray(values[row]) for name, values in found.items()}
            np.testing.assert_allclose(found["scores"][:number], [p[0] for p in expected], atol=1e-5)
            np.testing.assert_array_equal(found["classes"][:number], [p[1] for p in expected])
            np.testing.assert_allclose(found["boxes"][:number], [p[2] for p in expected], rtol=1e-5, atol=1e-3)
            assert (found["scores"][number:] == 0).all()
            assert (np.diff(found["scores"]) <= 0).all()
    assert lowered > 50


def test_a_small_plane_has_as_many_boxes_as_cells() -> None:
    """However many classes there are."""
    generator = np.random.default_rng(0)
    logits = {"heatmap": generator.normal(size=(2, 3, 4, 5)), "box": generator.normal(size=(2, 3, 4, 4))}
    logits = {name: plane.astype(np.float32) for name, plane in logits.items()}
    found = make(heatmap=(3, 4, 5), box=(3, 4, 4)).outputs(logits)
    assert {name: tuple(values.shape) for name, values in found.items()} == {
        "boxes": (2, 12, 4),
        "classes": (2, 12),
        "scores": (2, 12),
    }


@pytest.mark.filterwarnings("ignore")
def test_keras_layers_compute_the_outputs(example: Example) -> None:
    """Models of Keras's own operations: the same boxes, classes and scores."""
    import keras

    objective = make()
    given = {name: keras.Input(plane.shape[1:], name=name) for name, plane in example.logits.items()}
    model = keras.Model(given, {name: make(name=name)(given) for name, make in objective.output_layers().items()})
    found = model(example.logits)
    for name, expected in objective.outputs(example.logits).items():
        np.testing.assert_allclose(found[name], expected, rtol=1e-6)


@pytest.mark.parametrize("axes", [(1,), (2,), (1, 2)])
def test_mirrored_outputs_are_mirrored_back(axes: tuple[int, ...], example: Example) -> None:
    """What is decoded of them is what the mirror image shows, mirrored."""
    from cnncli.engine.evaluation.tta import STILL, View

    objective = make()
    expected = objective.outputs(example.logits)
    found = objective.outputs(objective.undo(View(STILL, axes), example.logits))
    left, top, right, bottom = np.moveaxis(np.asarray(found["boxes"]), -1, 0)
    if 2 in axes:
        left, right = SIZE[1] - right, SIZE[1] - left
    if 1 in axes:
        top, bottom = SIZE[0] - bottom, SIZE[0] - top
    mirrored = np.stack([left, top, right, bottom], axis=-1)
    np.testing.assert_allclose(found["scores"], expected["scores"], rtol=1e-6)
    best = slice(None), slice(0, 20)
    np.testing.assert_allclose(mirrored[best], np.asarray(expected["boxes"])[best], atol=1e-3)
    assert objective.undo(View(STILL), example.logits) is example.logits


def test_mixing_is_refused(example: Example) -> None:
    """A pasted part would show objects without boxes."""
    with pytest.raises(CnnError, match="do not move boxes"):
        make().mix(example.targets, None)
