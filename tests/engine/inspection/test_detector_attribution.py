"""Grad-CAM of a detector, against the paper's formula worked out for a head of one layer."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from cnncli.config.load import loads
from cnncli.errors import CnnError
from cnncli.tasks.detection.pages import DetectionPages

pytestmark = pytest.mark.engine

CONFIG = """
name: x
task: detection
data: {source: digit_boxes, image_size: [32, 32], channels: 3}
model:
  layers:
    - Conv2D: {filters: 6, kernel_size: 5, strides: 4, padding: same, activation: relu, name: trunk}
  heads:
    heatmap: [Conv2D: {filters: 3, kernel_size: 1, name: classes}]
    box: [Conv2D: {filters: 5, kernel_size: 3, padding: same, name: edges}, Conv2D: {filters: 4, kernel_size: 1}]
"""
COARSE = """
    heatmap_8: [Conv2D: {filters: 3, kernel_size: 3, strides: 2, padding: same, inputs: trunk}]
    box_8: [Conv2D: {filters: 4, kernel_size: 3, strides: 2, padding: same, inputs: trunk}]
"""


def network(text: str = CONFIG) -> tuple[Any, Any, np.ndarray]:
    """Return a detector with fresh weights, its preprocessing, and images."""
    from cnncli.engine.input_pipeline.preprocessing import Preprocessing
    from cnncli.engine.network.model import build

    config = loads(text)
    images = np.random.default_rng(3).integers(0, 256, (4, 32, 32, 3)).astype(np.uint8)
    return build(config), Preprocessing(config.data), images


def scores(model: Any, preprocessing: Any, images: np.ndarray, label: str | None = None) -> Any:
    """Return the weights of the cell that is explained of each image."""
    from cnncli.engine.evaluation.predictor import Predictor

    return DetectionPages().score(Predictor(model, preprocessing).logits(images), ("a", "b", "c"), label).weights


def test_gradcam_is_of_the_layer_before_the_heatmap() -> None:
    """A head of one 1×1 layer makes it the class's weights times the channels, cut at 0: not the heatmap itself."""
    import tensorflow as tf

    from cnncli.engine.inspection.attribution import gradcam, gradcam_layer

    model, preprocessing, images = network()
    kernel = np.random.default_rng(4).normal(0.5, 1, (1, 1, 6, 3))
    model.get_layer("classes").kernel.assign(kernel)
    weights = scores(model, preprocessing, images, "b")
    assert gradcam_layer(model, weights).name == "trunk"
    found = gradcam(model, preprocessing, images, weights)
    maps = np.asarray(model.get_layer("trunk")(preprocessing.to_float(tf.constant(images))))
    expected = np.maximum(maps @ kernel[0, 0, :, 1], 0)
    enlarged = np.asarray(tf.image.resize(expected[..., None], (32, 32)))[..., 0]
    assert found.max(axis=(1, 2)) == pytest.approx(1)
    assert found == pytest.approx(enlarged / enlarged.max(axis=(1, 2), keepdims=True), abs=1e-4)


def test_a_layer_of_the_other_head_is_refused() -> None:
    """The score of a cell says nothing of its box, so there is nothing to show."""
    from cnncli.engine.inspection.attribution import finer_layer, gradcam

    model, preprocessing, images = network()
    weights = scores(model, preprocessing, images)
    with pytest.raises(CnnError, match='does not depend on layer "edges"') as caught:
        gradcam(model, preprocessing, images, weights, "edges")
    assert caught.value.hint == "Choose a layer that leads to heatmap."
    assert gradcam(model, preprocessing, images, weights, "classes").shape == (4, 32, 32)
    assert finer_layer(model) is None


def test_images_whose_cells_are_of_other_planes() -> None:
    """Each follows from the layers before both."""
    from cnncli.engine.inspection.attribution import gradcam, gradcam_layer

    model, preprocessing, images = network(CONFIG + COARSE.lstrip("\n"))
    weights = scores(model, preprocessing, images)
    for name, plane in weights.items():
        if name.startswith("heatmap"):
            plane[:] = 0
    weights["heatmap"][:2, 1, 1, 0] = weights["heatmap_8"][2:, 1, 1, 2] = 1
    assert gradcam_layer(model, weights).name == "trunk"
    found = gradcam(model, preprocessing, images, weights)
    alone = gradcam(model, preprocessing, images[2:], {name: plane[2:] for name, plane in weights.items()})
    assert found[2:] == pytest.approx(alone, abs=1e-6)
