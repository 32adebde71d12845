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
    model = build_network(config.nodes, config.input_shape, config.seed, config.outputs)
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
    assert summarize(load("resnet50_keras")).total_params == 25_636_712


@pytest.mark.parametrize(
    ("name", "theirs", "scaled"),
    [
        ("resnet50_keras", "ResNet50", lambda x: 255 * x - [123.68, 116.779, 103.939]),
        ("densenet121", "DenseNet121", lambda x: (x - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]),
        ("mobilenet_v2", "MobileNetV2", lambda x: 2 * x - 1),
        ("efficientnet_b0", "EfficientNetB0", lambda x: 255 * x),
    ],
)
def test_networks_compute_what_keras_applications_do(name: str, theirs: str, scaled: Any) -> None:
    """Our network has the weights of Keras's own in shape and order, and with the same values gives the same logits."""
    import keras
    import numpy as np

    from cnncli.engine.network.model import build_network
    from cnncli.importing.keras.applications import in_keras_order, weights_of

    config = load(name, ["data.image_size=[64, 64]"])
    networks = [
        build_network(config.nodes, config.input_shape, config.seed),
        getattr(keras.applications, theirs)(
            weights=None, include_top=True, input_shape=(64, 64, 3), classifier_activation=None
        ),
    ]
    of_layer = weights_of(config)
    layers = [node.name for node in in_keras_order(config) if node.name in of_layer]
    assert [(weight.shape, weight.trainable) for name in layers for weight in of_layer[name]] == [
        (tuple(weight.shape), weight.trainable) for weight in networks[1].weights if "seed" not in weight.path
    ]
    assert summarize(config).total_params == networks[1].count_params()
    draws = np.random.default_rng(0)
    ours = [weight for name in layers for weight in networks[0].get_layer(name).weights]
    for mine, weight in zip(ours, (w for w in networks[1].weights if "seed" not in w.path), strict=True):
        array = _random(weight, draws)
        mine.assign(array)
        weight.assign(array)
    for network in networks:
        for layer in network.layers:
            if isinstance(layer, keras.layers.Normalization):
                layer.finalize_state()
    images = draws.uniform(size=(4, 64, 64, 3))
    found, expected = np.asarray(networks[0](images)), np.asarray(networks[1](scaled(images)))
    assert expected.std() > 0.01
    assert np.allclose(found, expected, rtol=0, atol=1e-4 * max(1.0, expected.std()))


def _random(weight: Any, draws: Any) -> Any:
    """Return a value near a weight's own; variances stay above 0."""
    start = draws.uniform(0.5, 1.5, weight.shape) if "variance" in weight.path else weight.numpy()
    return (start + draws.normal(0, 0.02, weight.shape)).astype(weight.dtype)


def test_unet_has_the_parameters_of_keras() -> None:
    """A U-Net written with `inputs` has the paper's count, and is layer by layer what Keras builds."""
    from cnncli.engine.network.model import build_network

    config = load("unet", ["data.image_size=[64, 96]"])
    found = summarize(config)
    model = build_network(config.nodes, config.input_shape, config.seed)
    assert found.total_params == model.count_params() == 31_030_658
    assert [tuple(layer.output.shape[1:]) for layer in model.layers[1:]] == [row.output_shape for row in found.rows]
    assert model.output_shape == (None, 64, 96, 2)
