"""Test-time augmentation of a detector by scales: planes of other sizes, and the same network in plain Keras."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cnncli.config.load import load
from cnncli.datasets.boxes.targets import Boxes, Objects
from cnncli.datasets.splits import Split
from cnncli.tasks.predictions import PredictionOptions
from cnncli.tasks.task import task_of

pytestmark = pytest.mark.engine

SIZE, CELLS = (16, 24), (8, 12)
NUMBER, CLASSES = 4, 2

CONFIG = """
name: tiny
task: detection
data: {source: digit_boxes, image_size: [16, 24], channels: 3, augmentation: [RandomFlip: {mode: horizontal}]}
model:
  layers: [Conv2D: {filters: 6, kernel_size: 5, padding: same, strides: 2, activation: relu}]
  heads:
    heatmap: [Conv2D: {filters: 2, kernel_size: 3, padding: same}]
    box: [Conv2D: {filters: 4, kernel_size: 3, padding: same}]
train: {epochs: 1}
"""


def boxes(planes: np.ndarray) -> np.ndarray:
    """Return each cell's corners in the pixels of an image of 16 × 24, for logarithms of distances in strides."""
    rows, columns = planes.shape[1:3]
    down, across = SIZE[0] / rows, SIZE[1] / columns
    y, x = np.meshgrid((np.arange(rows) + 0.5) * down, (np.arange(columns) + 0.5) * across, indexing="ij")
    left, top, right, bottom = np.moveaxis(np.exp(planes.astype(np.float64)), -1, 0)
    return np.stack([x - left * across, y - top * down, x + right * across, y + bottom * down], axis=-1)


def logs(corners: np.ndarray) -> np.ndarray:
    """Return the inverse of `boxes`."""
    rows, columns = corners.shape[1:3]
    down, across = SIZE[0] / rows, SIZE[1] / columns
    y, x = np.meshgrid((np.arange(rows) + 0.5) * down, (np.arange(columns) + 0.5) * across, indexing="ij")
    left, top, right, bottom = np.moveaxis(corners, -1, 0)
    distances = [(x - left) / across, (y - top) / down, (right - x) / across, (bottom - y) / down]
    return np.log(np.maximum(np.stack(distances, axis=-1), np.exp(-6.0)))


def detections(result: Any) -> list[list[float]]:
    """Return the score and the corners of all that was found, by image and then by score."""
    rows = csv.DictReader(io.StringIO(result.csv()))
    wanted = ("score", "xmin", "ymin", "xmax", "ymax")
    return [[float(row[name]) for name in wanted] for row in rows if row["kind"] == "detection"]


@pytest.mark.parametrize("cells", [(5, 10), (8, 12), (12, 15)])
def test_a_box_around_all_cells_stays_where_it_is(cells: tuple[int, int]) -> None:
    """Whatever cells say it: what they have in common is the box, not the distances to its edges."""
    from cnncli.engine.tasks.detection import CenterHeatmap

    objective = CenterHeatmap({"heatmap": (*CELLS, CLASSES), "box": (*CELLS, 4)}, SIZE)
    corners = np.array([-1.0, -2.0, 25.5, 17.0])
    planes = logs(np.broadcast_to(corners, (1, *cells, 4))).astype(np.float32)
    heatmap = np.full((1, *cells, CLASSES), 0.25, np.float32)
    found = objective.to_image_size({"heatmap": heatmap, "box": planes})
    assert found["heatmap"].shape == (1, *CELLS, CLASSES)
    np.testing.assert_allclose(found["heatmap"], 0.25)
    np.testing.assert_allclose(boxes(np.asarray(found["box"])), np.broadcast_to(corners, (1, *CELLS, 4)), atol=1e-4)


def test_scaled_images_are_averaged(tmp_path: Path) -> None:
    """Planes are brought to the cells of the network's own size; means over scales and mirrors are of all."""
    import tensorflow as tf
    from tensorflow import keras

    from cnncli.engine.evaluation.evaluate import measure
    from cnncli.engine.evaluation.trained import Trained
    from cnncli.engine.evaluation.tta import views_of
    from cnncli.engine.input_pipeline.preprocessing import Preprocessing
    from cnncli.engine.network.model import build

    generator = np.random.default_rng(0)
    images = generator.integers(0, 256, (NUMBER, 32, 48, 3)).astype(np.uint8)
    corners = np.array([[4.0, 4.0, 20.0, 20.0], [20.0, 8.0, 40.0, 30.0]])
    none = np.zeros(2, np.bool_)
    objects = Objects(corners, np.array([0, 1]), none, none, np.full(2, 256.0), (32, 48))
    split = Split("test", images, Boxes.of([objects] * NUMBER), list("abcd"))
    (tmp_path / "tiny.yaml").write_text(CONFIG, encoding="utf-8")
    settings = load(tmp_path / "tiny.yaml")
    model = build(settings)
    trained = Trained(settings, ("one", "two"), model, Preprocessing(settings.data), "fresh")
    layers = keras.layers
    image = keras.Input((None, None, 3))
    inside = layers.Conv2D(6, 5, strides=2, padding="same", activation="relu")(image)
    heads = [layers.Conv2D(number, 3, padding="same")(inside) for number in (CLASSES, 4)]
    plain = keras.Model(image, heads)
    plain.set_weights([0.3 * generator.normal(size=weight.shape) for weight in plain.get_weights()])
    by_shape = {tuple(weight.shape): weight for weight in plain.weights}
    assert len(by_shape) == len(model.weights) == 6
    for weight in model.weights:
        weight.assign(by_shape[tuple(weight.shape)])

    heatmaps, planes = [], []
    for size in ((12, 18), (16, 24), (20, 30)):
        resized = tf.cast(tf.round(tf.image.resize(images, size, antialias=False)), tf.float32) / 255
        for step, order in ((1, [0, 1, 2, 3]), (-1, [2, 1, 0, 3])):
            heatmap, plane = (found.numpy()[:, :, ::step] for found in plain(resized[:, :, ::step]))
            heatmaps.append(tf.image.resize(heatmap, CELLS).numpy())
            planes.append(logs(tf.image.resize(boxes(plane[..., order]), CELLS).numpy().astype(np.float64)))
    for views, places in ((views_of(settings), slice(None)), ((), slice(None, None, 2))):
        options = PredictionOptions.of(settings.data, trained.classes)
        evaluator = task_of(settings).evaluator("test", options, split.ids)
        means = {"heatmap": np.mean(heatmaps[places], axis=0), "box": np.mean(planes[places], axis=0)}
        evaluator.update({name: mean.astype(np.float32) for name, mean in means.items()}, split.targets)
        expected, found = evaluator.result(), measure(trained, split, views, (0.75, 1.0, 1.25))
        assert found.to_json()["loss"] == pytest.approx(expected.to_json()["loss"], rel=1e-4)
        assert len(detections(expected)) > 5 * NUMBER
        np.testing.assert_allclose(detections(found), detections(expected), rtol=1e-3, atol=2e-3)
