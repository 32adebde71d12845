"""Every shipped network is, layer by layer, what Keras builds; some also against networks built independently."""

from __future__ import annotations

from typing import Any

import pytest

from cnncli.analysis.summary import summarize
from cnncli.config import zoo
from cnncli.config.load import load

pytestmark = pytest.mark.engine


def count(weights: Any) -> int:
    """Count the values of Keras variables."""
    import math

    return sum(math.prod(weight.shape) for weight in weights)


@pytest.mark.parametrize("name", zoo.names())
def test_layers_equal_keras(name: str) -> None:
    """Names, output shapes, trainable and other counts of every layer equal Keras's."""
    from cnncli.engine.network.model import build_network

    config = load(name)
    model = build_network(config.nodes, config.input_shape, config.seed)
    for row in summarize(config).rows:
        layer = model.get_layer(row.name)
        assert tuple(layer.output.shape[1:]) == row.output_shape
        assert count(layer.trainable_weights) == row.trainable_params
        assert count(layer.non_trainable_weights) == row.non_trainable_params
    assert model.count_params() == summarize(config).total_params


def test_vgg16_equals_keras_applications() -> None:
    """Our VGG-16 has the layers of Keras's own, in shape and count."""
    import keras

    theirs = keras.applications.VGG16(weights=None)
    ours = [row for row in summarize(load("vgg16")).rows if row.type != "Dropout"]
    shapes = [(tuple(layer.output.shape[1:]), layer.count_params()) for layer in theirs.layers[1:]]
    assert [(row.output_shape, row.params) for row in ours] == shapes


def test_resnet50_differs_from_keras_applications_by_biases() -> None:
    """Keras's ResNet50 has a bias in every convolution; without them the counts are the same."""
    import keras

    theirs = keras.applications.ResNet50(weights=None)
    assert theirs.count_params() == 25_636_712
    biases = sum(layer.filters for layer in theirs.layers if isinstance(layer, keras.layers.Conv2D))
    assert summarize(load("resnet50")).total_params == 25_636_712 - biases
