"""Looks inside a network, against what is known of it."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from cnncli.config.load import loads
from cnncli.errors import CnnError
from cnncli.runs.events import Silence

pytestmark = pytest.mark.engine

# Without biases, and with targets that no certainty reaches, each class needs something that speaks for it: none can be
# answered for want of the other's stripes.
CORNER = """
name: corner
data: {{source: npz, path: {path}, image_size: [32, 32], channels: 3, validation: 0.1}}
model:
  layers:
    - Conv2D: {{filters: 8, kernel_size: 3, padding: same, activation: relu, use_bias: false}}
    - MaxPooling2D: {{pool_size: 2}}
    - Conv2D: {{filters: 8, kernel_size: 3, padding: same, activation: relu, use_bias: false, name: last}}
    - GlobalAveragePooling2D
    - Dense: {{units: 2, use_bias: false}}
train: {{epochs: 20, batch_size: 50, loss: {{label_smoothing: 0.1}}, optimizer: {{Adam: {{learning_rate: 0.01}}}}}}
"""

PLAIN = """
name: plain
data: {source: digits, image_size: [12, 12], channels: 1}
model:
  layers:
    - Conv2D: {kernel: [sobel_x, laplacian, [[0, 0, 0], [0, 2, 0], [0, 0, 0]]], use_bias: false, name: fixed}
    - DepthwiseConv2D: {kernel_size: 3, depth_multiplier: 2, name: depthwise}
    - SeparableConv2D: {filters: 5, kernel_size: 3, name: separable}
    - Conv2DTranspose: {filters: 4, kernel_size: 2, strides: 2, name: up}
    - Activation: {activation: tanh, name: bend}
    - Flatten: {name: flat}
    - Dense: {units: 10, name: logits}
"""


def corner_images(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return images with blue spots, whose class is the direction of the red stripes in the lower right quadrant."""
    generator = np.random.default_rng(seed)
    images = np.zeros((count, 32, 32, 3))
    labels = generator.integers(0, 2, count)
    rows, columns = np.mgrid[:32, :32]
    for image, label in zip(images, labels, strict=True):
        for place in generator.permutation(3)[: generator.integers(0, 4)]:
            row, column = ((8, 8), (8, 24), (24, 8))[place]
            top, left = row + generator.integers(-3, 4), column + generator.integers(-3, 4)
            spot = np.exp(-((rows - top) ** 2 + (columns - left) ** 2) / 18)
            image[..., 2] += generator.integers(30, 250) * spot
        stripes = np.zeros((10, 10))
        stripes[::4] = stripes[1::4] = 230
        image[19:29, 19:29, 0] = stripes if label else stripes.T
    return images.clip(0, 255).astype(np.uint8), labels


@pytest.fixture(scope="module")
def corner(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Train a network on the corner's stripes; return it with 100 new images and their labels."""
    from cnncli.engine.evaluation.trained import load_trained
    from cnncli.engine.training.train import train
    from cnncli.runs.run import Run

    folder = tmp_path_factory.mktemp("corner")
    (x_train, y_train), (x_test, y_test) = corner_images(600, 1), corner_images(100, 2)
    np.savez(folder / "corner.npz", x_train=x_train, y_train=y_train, x_test=x_test, y_test=y_test)
    result = train(loads(CORNER.format(path=folder / "corner.npz")), folder / "runs", Silence())
    return load_trained(Run.open(Path(result.run)), "last"), x_test, y_test


@pytest.fixture
def plain() -> Any:
    """Return an untrained network with every kind of filter, its preprocessing, and two images."""
    from cnncli.datasets import load
    from cnncli.engine.input_pipeline.preprocessing import Preprocessing
    from cnncli.engine.network.model import build

    config = loads(PLAIN)
    preprocessing = Preprocessing(config.data)
    images = np.asarray(preprocessing.resize_uint8(load(config).train.images[:2]))
    return build(config), preprocessing, images


def one_hot(classes: Any, number: int) -> np.ndarray:
    """Return the weights with which a sum of logits is the logit of one class."""
    return np.eye(number, dtype=np.float32)[classes]


def test_gradcam_finds_the_corner(corner: Any) -> None:
    """On images whose class hangs on one quadrant, at least 90 % of each image's heat lies in it."""
    from cnncli.engine.evaluation.predictor import Predictor
    from cnncli.engine.inspection.attribution import gradcam

    trained, images, labels = corner
    said = Predictor(trained.model, trained.preprocessing).logits(images).argmax(axis=1)
    assert (said == labels).mean() >= 0.98
    heat = gradcam(trained.model, trained.preprocessing, images, one_hot(said, 2))
    assert heat.shape == (100, 32, 32)
    assert heat.max() == pytest.approx(1)
    shares = heat[:, 16:, 16:].sum(axis=(1, 2)) / heat.sum(axis=(1, 2))
    assert shares.min() >= 0.9


def test_saliency_finds_the_corner(corner: Any) -> None:
    """The most influential pixel lies in that quadrant, for most images: a gradient is a rough guide."""
    from cnncli.engine.inspection.attribution import saliency

    trained, images, labels = corner
    heat = saliency(trained.model, trained.preprocessing, images, one_hot(labels, 2))
    strongest = heat.reshape(len(heat), -1).argmax(axis=1)
    rows, columns = np.unravel_index(strongest, heat.shape[1:])
    assert ((rows >= 15) & (columns >= 15)).mean() >= 0.8


def test_gradcam_equals_the_paper_s_formula(corner: Any) -> None:
    """With global average pooling and one dense layer, Grad-CAM is the class's weights times the maps, cut at 0."""
    import tensorflow as tf

    from cnncli.engine.inspection.attribution import gradcam
    from cnncli.engine.network.activations import feature_maps

    trained, images, _ = corner
    maps = next(m.values for m in feature_maps(trained.model, trained.preprocessing, images[0]) if m.layer == "last")
    weights = np.asarray(trained.model.get_layer("dense").kernel)[:, 1]
    expected = np.maximum((maps * weights).sum(axis=-1), 0)
    enlarged = np.asarray(tf.image.resize(expected[..., None], (32, 32)))[..., 0]
    found = gradcam(trained.model, trained.preprocessing, images[:1], one_hot([1], 2))[0]
    assert found == pytest.approx(enlarged / max(enlarged.max(), 1e-12), abs=1e-4)


def test_saliency_equals_finite_differences(plain: Any) -> None:
    """The gradient of a logit, measured by changing single inputs."""
    import tensorflow as tf

    from cnncli.engine.inspection.attribution import saliency

    model, preprocessing, images = plain
    heat = saliency(model, preprocessing, images[:1], one_hot([4], 10))[0]
    inputs = np.asarray(preprocessing.to_float(tf.constant(images[:1])))
    slopes = np.zeros((12, 12))
    for row in range(12):
        for column in range(12):
            step = np.zeros_like(inputs)
            step[0, row, column, 0] = 1e-2
            logits = np.asarray(model(np.concatenate([inputs + step, inputs - step]), training=False))
            ends = logits[:, 4]
            slopes[row, column] = abs(ends[0] - ends[1]) / 2e-2
    assert heat == pytest.approx(slopes / slopes.max(), abs=0.02)


def test_kernels_of_every_kind(plain: Any) -> None:
    """Filters come as height, width, channels seen, filters, whatever the layer keeps them as."""
    from cnncli.engine.network.activations import all_kernels

    found = {kernels.layer: kernels for kernels in all_kernels(plain[0])}
    shapes = {name: kernels.weights.shape for name, kernels in found.items()}
    expected = {"fixed": (3, 3, 1, 3), "depthwise": (3, 3, 1, 6), "separable": (3, 3, 1, 6), "up": (2, 2, 5, 4)}
    assert shapes == expected
    assert found["fixed"].weights[:, :, 0, 0].tolist() == [[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]]
    keras_up = np.asarray(plain[0].get_layer("up").kernel)
    assert (found["up"].weights[:, :, 1, 2] == keras_up[:, :, 2, 1]).all()


def test_feature_maps_are_the_layers_outputs(plain: Any) -> None:
    """What a fixed kernel makes of an image follows from it by hand; the last maps are the network's answer."""
    from cnncli.engine.network.activations import feature_maps

    model, preprocessing, images = plain
    maps = {found.layer: found.values for found in feature_maps(model, preprocessing, images[0])}
    assert list(maps) == ["fixed", "depthwise", "separable", "up", "bend", "logits"]
    assert maps["fixed"][..., 2] == pytest.approx(images[0, 1:-1, 1:-1, 0] / 127.5, abs=1e-6)
    answer = np.asarray(model(preprocessing.to_float(images[:1]), training=False))[0]
    assert maps["logits"] == pytest.approx(answer, abs=1e-5)


def test_grad_cam_of_a_dense_network_is_an_error() -> None:
    """A network that keeps no plane is told so."""
    from cnncli.engine.inspection.attribution import last_plane
    from cnncli.engine.network.model import build

    dense = PLAIN[: PLAIN.index("    - Conv2D")] + "    - Flatten\n    - Dense: {units: 10}\n"
    with pytest.raises(CnnError, match="spatial"):
        last_plane(build(loads(dense)))


@pytest.mark.parametrize(("size", "pool", "last"), [(4, 1, "b"), (2, 1, "b"), (1, 1, "a"), (2, 2, "b")])
def test_last_plane_is_the_last_with_two_places(size: int, pool: int, last: str) -> None:
    """A single position is no plane, two are; poolings do not count."""
    from cnncli.engine.inspection.attribution import last_plane
    from cnncli.engine.network.model import build

    layers = f"""
    - Conv2D: {{filters: 2, kernel_size: 3, strides: 3, name: a}}
    - Conv2D: {{filters: 2, kernel_size: [4, {5 - size}], name: b}}
    - MaxPooling2D: {{pool_size: [1, {pool}]}}
    - Flatten
    - Dense: {{units: 10}}
"""
    config = loads(PLAIN[: PLAIN.index("    - Conv2D")] + layers, overrides=["data.image_size=[12,12]"])
    assert last_plane(build(config)).name == last


def test_feature_maps_of_a_deep_network_are_spread_over_it() -> None:
    """Of fifteen layers with a plane twelve are shown, the first and the last among them, eight channels of each."""
    from cnncli.engine.inspection.html_images import feature_maps
    from cnncli.engine.inspection.network import InspectedNetwork

    convolutions = "".join(f"    - Conv2D: {{filters: {8 + i % 2}, kernel_size: 1, name: c{i}}}\n" for i in range(15))
    rest = "    - GlobalAveragePooling2D\n    - Dense: {units: 10}\n"
    config = loads(PLAIN[: PLAIN.index("    - Conv2D")] + convolutions + rest)
    images = feature_maps(InspectedNetwork(config, None), np.full((12, 12, 1), 9, np.uint8))
    expected = []
    for i in (round(k * 14 / 11) for k in range(12)):
        told = "12×12×9: the first 8 of 9" if i % 2 else "12×12×8: all"
        expected.append(f"c{i} Conv2D, {told} channels, yellow strongest")
    assert [image.caption for image in images] == expected


@pytest.mark.parametrize(
    ("stored", "shown"),
    [
        ((96, 100), (96, 100)),
        ((95, 100), (190, 200)),
        ((24, 30), (96, 120)),
        ((384, 200), (192, 100)),
        ((1, 2), (96, 192)),
    ],
)
def test_size_of_pictures(stored: tuple[int, int], shown: tuple[int, int]) -> None:
    """Small images are repeated until the shorter side has 96 pixels, large ones shrunk until the longer has 192."""
    from io import BytesIO

    from PIL import Image

    from cnncli.engine.inspection.html_images import picture

    found = picture(np.random.default_rng(0).integers(0, 256, (*stored, 3), dtype=np.uint8), "caption")
    assert Image.open(BytesIO(found.content)).size == shown[::-1]
    assert found.caption == "caption"


def test_images_of_the_user_s_own(tmp_path: Path) -> None:
    """A file is shown as it was decoded, under its name, without a class; one that is no image is told."""
    from PIL import Image

    from cnncli.engine.inspection.network import InspectedNetwork

    pixels = np.random.default_rng(0).integers(0, 256, (12, 12), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "my own.png")
    network = InspectedNetwork(loads(PLAIN), None)
    shown = network.file(tmp_path / "my own.png")
    assert np.array_equal(shown.pixels, pixels[None, ..., None])
    assert (shown.names, shown.truths) == (("my own.png",), (None,))
    assert network.outputs(shown).shape == (1, 10)
    (tmp_path / "none.png").write_bytes(b"none")
    with pytest.raises(CnnError, match=r"none\.png"):
        network.file(tmp_path / "none.png")


def test_unknown_layers_are_answered(plain: Any) -> None:
    """A misspelt layer gets the nearest name."""
    from cnncli.engine.network.activations import find_layer

    with pytest.raises(CnnError) as caught:
        find_layer(plain[0], "seperable")
    assert caught.value.hint == "Did you mean separable?"


def test_a_tiny_map_has_a_finer_one_named() -> None:
    """Where Grad-CAM's own layer has at most 4×4 places, the last layer with more is named; else nothing."""
    import keras

    from cnncli.engine.inspection.attribution import finer_layer

    def network(size: int) -> keras.Model:
        inputs = keras.Input((size, size, 1))
        x = keras.layers.Conv2D(2, 3, padding="same", name="first")(inputs)
        x = keras.layers.MaxPooling2D(2, name="half")(x)
        x = keras.layers.Conv2D(2, 3, padding="same", strides=4, name="last")(x)
        return keras.Model(inputs, keras.layers.Flatten()(x))

    assert finer_layer(network(32)) == ("4×4", "half")
    assert finer_layer(network(64)) is None


def test_the_hint_is_for_grad_cam_without_a_layer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever chose a layer, or looks at something else, is not told of a finer map."""
    from cnncli.engine.inspection import attribution, figures

    monkeypatch.setattr(attribution, "finer_layer", lambda _: ("4×4", "half"))
    network = SimpleNamespace(trained=SimpleNamespace(model=None))
    told = {
        (kind, layer): figures.hint(kind, network, figures.Choice(None, None, None, layer, None, 1))
        for kind in ("gradcam", "kernels")
        for layer in (None, "c1")
    }
    assert "4×4" in told["gradcam", None]
    assert "--layer half" in told["gradcam", None]
    assert list(told.values())[1:] == [None, None, None]
