"""Images computed in tiles: the same classes as those of the whole image, and what has no such tiles."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from cnncli.analysis import tiling as module
from cnncli.analysis.tiling import Tiling, tiling
from cnncli.config.load import load
from cnncli.datasets.pictures import Picture
from cnncli.errors import CnnError
from cnncli.serving.predict import predict
from cnncli.tasks.ood import BLANK

pytestmark = pytest.mark.engine

CONFIG = """
name: tiny
task: segmentation
data: {{source: digit_scenes, image_size: [32, 32], channels: 3}}
model:
  layers: [{layers}]
train: {{epochs: 1}}
"""

CONV = "{{Conv2D: {{filters: {}, kernel_size: {}, padding: same, activation: relu{}}}}}"
END = "{Conv2D: {filters: 11, kernel_size: 1}}"

POOLED = [
    CONV.format(4, 3, ", name: fine"),
    "{MaxPooling2D: {pool_size: 2}}",
    CONV.format(6, 3, ""),
    "{MaxPooling2D: {pool_size: 2}}",
    CONV.format(6, 3, ""),
    "{UpSampling2D: {size: 4, name: up}}",
    "{Concatenate: {inputs: [fine, up]}}",
    END,
]
STRIDED = [CONV.format(4, 3, ", strides: 2"), CONV.format(6, 5, ", strides: 2"), CONV.format(6, 3, ""), END]
DILATED = [
    CONV.format(4, 4, ", strides: 2"),
    CONV.format(6, 3, ", dilation_rate: 3"),
    "{Conv2DTranspose: {filters: 5, kernel_size: 3, strides: 2, padding: same}}",
    "{UpSampling2D: {size: 2, interpolation: bilinear}}",
    "{AveragePooling2D: {pool_size: 2}}",
    END,
]


RESIZED = [
    CONV.format(4, 3, ", name: fine"),
    "{MaxPooling2D: {pool_size: 2}}",
    CONV.format(6, 3, ", name: middle"),
    "{MaxPooling2D: {pool_size: 2}}",
    CONV.format(6, 3, ""),
    "{Resizing: {like: middle, name: up}}",
    "{Concatenate: {inputs: [middle, up]}}",
    "{Resizing: {like: fine, interpolation: nearest}}",
    END,
]


def pooled(keras: Any, image: Any) -> Any:
    """The first network in plain Keras."""
    layers = keras.layers
    fine = layers.Conv2D(4, 3, padding="same", activation="relu")(image)
    plane = layers.Conv2D(6, 3, padding="same", activation="relu")(layers.MaxPooling2D(2)(fine))
    plane = layers.Conv2D(6, 3, padding="same", activation="relu")(layers.MaxPooling2D(2)(plane))
    return layers.Conv2D(11, 1)(layers.Concatenate()([fine, layers.UpSampling2D(4)(plane)]))


def strided(keras: Any, image: Any) -> Any:
    """The second, whose output is a quarter as large as the image."""
    layers = keras.layers
    plane = layers.Conv2D(4, 3, 2, padding="same", activation="relu")(image)
    plane = layers.Conv2D(6, 5, 2, padding="same", activation="relu")(plane)
    return layers.Conv2D(11, 1)(layers.Conv2D(6, 3, padding="same", activation="relu")(plane))


def dilated(keras: Any, image: Any) -> Any:
    """The third, which enlarges in two ways."""
    layers = keras.layers
    plane = layers.Conv2D(4, 4, 2, padding="same", activation="relu")(image)
    plane = layers.Conv2D(6, 3, dilation_rate=3, padding="same", activation="relu")(plane)
    plane = layers.UpSampling2D(2, interpolation="bilinear")(layers.Conv2DTranspose(5, 3, 2, padding="same")(plane))
    return layers.Conv2D(11, 1)(layers.AveragePooling2D(2)(plane))


def resized(keras: Any, image: Any) -> Any:
    """The fourth, which enlarges to the size of a layer above."""
    layers = keras.layers
    fine = layers.Conv2D(4, 3, padding="same", activation="relu")(image)
    middle = layers.Conv2D(6, 3, padding="same", activation="relu")(layers.MaxPooling2D(2)(fine))
    plane = layers.Conv2D(6, 3, padding="same", activation="relu")(layers.MaxPooling2D(2)(middle))
    plane = layers.Concatenate()([middle, layers.UpSampling2D(2, interpolation="bilinear")(plane)])
    return layers.Conv2D(11, 1)(layers.UpSampling2D(2)(plane))


@pytest.fixture
def config_of(tmp_path: Path) -> Callable[[list[str]], Any]:
    """Return a function that makes the config of a network."""

    def make(layers: list[str], size: str = "[32, 32]") -> Any:
        path = tmp_path / "tiny.yaml"
        path.write_text(CONFIG.format(layers=", ".join(layers)).replace("[32, 32]", size), encoding="utf-8")
        return load(path)

    return make


def encoded(pixels: np.ndarray) -> bytes:
    """Return an image as a PNG file."""
    content = io.BytesIO()
    Image.fromarray(pixels).save(content, "PNG")
    return content.getvalue()


@pytest.mark.parametrize("size", [(96, 160), (91, 157), (20, 150)])
@pytest.mark.parametrize(
    ("layers", "plain"), [(POOLED, pooled), (STRIDED, strided), (DILATED, dilated), (RESIZED, resized)]
)
def test_tiles_are_the_whole(
    config_of: Callable[[list[str]], Any],
    monkeypatch: pytest.MonkeyPatch,
    layers: list[str],
    plain: Callable[[Any, Any], Any],
    size: tuple[int, int],
) -> None:
    """Every pixel has the class that plain Keras gives it for the whole image, up to its border."""
    import keras
    import tensorflow as tf

    from cnncli.engine.evaluation.tiles import TiledNetwork
    from cnncli.engine.evaluation.trained import Trained
    from cnncli.engine.input_pipeline.preprocessing import Preprocessing
    from cnncli.engine.network.model import build

    monkeypatch.setattr(module, "LEAST", 32)
    config = config_of(layers, "[33, 45]" if layers is RESIZED else "[32, 32]")
    model = build(config)
    generator = np.random.default_rng(1)
    for variable in model.variables:
        variable.assign(generator.normal(0, 0.5, variable.shape))
    classes = tuple(f"class {i}" for i in range(11))
    network = TiledNetwork(Trained(config, classes, model, Preprocessing(config.data), "fresh"))
    assert network.tiling.side < 96 + 4 * network.tiling.margin

    pixels = generator.integers(0, 256, (*size, 3), np.uint8)
    (found,) = predict(network, [Picture("a.png", piped=encoded(pixels))])

    enlarged = [-length % network.tiling.period for length in size]
    padded = np.pad(pixels, ((0, enlarged[0]), (0, enlarged[1]), (0, 0)), "edge")
    image = keras.Input(padded.shape)
    reference = keras.Model(image, plain(keras, image))
    reference.set_weights(model.get_weights())
    logits = reference(padded[None].astype("float32") / 255, training=False)
    logits = tf.image.resize(logits, padded.shape[:2])[0].numpy()[: size[0], : size[1]]
    ordered = np.sort(logits, axis=-1)
    clear = ordered[..., -1] - ordered[..., -2] > 1e-4 * np.abs(ordered).max()
    assert clear.mean() > 0.99
    assert (found.prediction.mask == logits.argmax(axis=-1))[clear].all()
    shares = np.exp(logits - ordered[..., -1:])
    assert found.prediction.confidence == pytest.approx((1 / shares.sum(axis=-1)).mean(), rel=1e-4)


@pytest.mark.parametrize(
    ("layers", "reason"),
    [
        ([CONV.format(4, 3, ""), "{GroupNormalization: {groups: 2}}", END], "what group_normalization makes"),
        (
            [
                CONV.format(4, 3, ", name: plane"),
                "{GlobalAveragePooling2D: {keepdims: true, name: mean}}",
                "{Multiply: {inputs: [plane, mean]}}",
                END,
            ],
            "what mean makes",
        ),
        ([CONV.format(4, 3, ""), "{Resizing: {height: 16, width: 16}}", END], "of 32 pixels it makes 16 places"),
        (["{Conv2D: {filters: 4, kernel_size: 3}}", END], "of 33 pixels 31"),
        (
            ["{Resizing: {height: 16, width: 16}}", CONV.format(4, 3, ""), "{Resizing: {like: input}}", END],
            "what resizing makes of a place depends on the image's size",
        ),
        (
            ["{Conv2D: {filters: 4, kernel_size: 3}}", "{Resizing: {like: input, name: up}}", END],
            "what up makes of a place depends on the image's size",
        ),
    ],
)
def test_what_depends_on_the_whole_image_has_no_tiles(
    config_of: Callable[[list[str]], Any], layers: list[str], reason: str
) -> None:
    """One error names the layer, or the sizes."""
    with pytest.raises(CnnError, match=f"in tiles: .*{reason}"):
        tiling(config_of(layers))


@pytest.mark.parametrize("length", [8, 40, 44, 48, 100, 1000])
def test_cuts_keep_every_pixel_once(length: int) -> None:
    """Tiles begin at multiples of the period, stay within the image, and keep nothing next to an inner edge."""
    cuts = list(Tiling(side=44, margin=8, period=4).cuts(length))
    side = min(44, length)
    assert [pixel for cut in cuts for pixel in range(cut.first, cut.end)] == list(range(length))
    for cut in cuts:
        assert cut.start % 4 == 0
        assert cut.start + side <= length
        assert cut.first - cut.start >= 8 or cut.start == 0
        assert cut.start + side - cut.end >= 8 or cut.end == length


def test_odd_sizes_have_the_tiles_of_even_ones(config_of: Callable[[list[str], str], Any]) -> None:
    """How far a network sees does not depend on the image's size, which need not be a multiple of its strides."""
    assert tiling(config_of(RESIZED, "[33, 45]")) == tiling(config_of(RESIZED, "[32, 48]"))


def test_a_network_that_sees_far_has_larger_tiles(config_of: Callable[[list[str]], Any]) -> None:
    """The margin is that of the receptive field, up to the strides; memory bounds what is kept beside it."""
    far = config_of([CONV.format(4, 3, ", dilation_rate: 100"), END])
    assert tiling(far) == Tiling(side=456, margin=100, period=1)
    wide = config_of([CONV.format(2000, 3, ""), END])
    found = tiling(wide)
    assert (found.margin, found.period) == (1, 1)
    assert found.side < 200


def test_a_file_that_is_no_image_is_told(config_of: Callable[[list[str]], Any]) -> None:
    """The other images have their masks."""
    from cnncli.engine.evaluation.tiles import TiledNetwork
    from cnncli.engine.evaluation.trained import Trained
    from cnncli.engine.input_pipeline.preprocessing import Preprocessing
    from cnncli.engine.network.model import build

    config = config_of(STRIDED)
    classes = tuple(f"class {i}" for i in range(11))
    network = TiledNetwork(Trained(config, classes, build(config), Preprocessing(config.data), "fresh"))
    black = encoded(np.zeros((40, 50), np.uint8))
    bad, good = predict(network, [Picture("bad", b"no"), Picture("good", black)], thumbnails=True)
    assert bad.error == "not an image of a known format (JPEG, PNG, BMP, GIF, WEBP, TIFF, PPM)"
    assert good.prediction.mask.shape == (40, 50)
    assert good.doubts == (BLANK,)
    assert good.pixels.shape == (40, 50, 3)
