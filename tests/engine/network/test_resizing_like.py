"""A layer that has the size of another one, in Keras."""

from __future__ import annotations

import numpy as np
import pytest

from cnncli.config.load import loads

pytestmark = pytest.mark.engine

NET = """
name: decoder
task: segmentation
data: {source: digit_scenes, image_size: [21, 18], channels: 3}
model:
  layers:
    - Conv2D: {filters: 4, kernel_size: 3, padding: same, activation: relu, name: fine}
    - MaxPooling2D
    - Conv2D: {filters: 4, kernel_size: 3, padding: same, activation: relu, name: coarse}
    - Resizing: {like: fine, name: up}
    - Concatenate: {inputs: [fine, up]}
    - Conv2D: {filters: 11, kernel_size: 1, name: classes}
"""


@pytest.mark.parametrize("size", [(21, 18), (32, 15)])
def test_keras_resizes_to_numbers(size: tuple[int, int]) -> None:
    """At every size of the image the network is the one that plain Keras makes with that size in numbers."""
    import keras

    from cnncli.engine.network.model import build

    config = loads(NET)
    data = config.data.model_copy(update={"image_size": size})
    model = build(config.model_copy(update={"data": data}))
    layers, image = keras.layers, keras.Input((*size, 3))
    fine = layers.Conv2D(4, 3, padding="same", activation="relu")(image)
    coarse = layers.Conv2D(4, 3, padding="same", activation="relu")(layers.MaxPooling2D()(fine))
    plane = layers.Conv2D(11, 1)(layers.Concatenate()([fine, layers.Resizing(*size)(coarse)]))
    reference = keras.Model(image, plane)
    reference.set_weights(model.get_weights())
    images = np.random.default_rng(0).uniform(size=(2, *size, 3)).astype(np.float32)
    np.testing.assert_array_equal(np.asarray(model(images)), np.asarray(reference(images)))
    kept = model.get_layer("up").get_config()
    assert (kept["height"], kept["width"], kept["interpolation"]) == (*size, "bilinear")
