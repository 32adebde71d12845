"""Segmentation under changes of its images: views averaged over at test time, and the samples of an augmentation."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from sklearn import metrics

from cnncli.config.load import load
from cnncli.datasets.masks.scan import MaskFacts
from cnncli.datasets.masks.targets import MaskArray, Masks
from cnncli.datasets.splits import Split

pytestmark = pytest.mark.engine

CLASSES = tuple(f"class {i}" for i in range(11))
HEIGHT, WIDTH, NUMBER = 16, 24, 5

CONFIG = """
name: tiny
task: segmentation
data:
  source: digit_scenes
  image_size: [16, 24]
  channels: 3
  augmentation: [{changes}]
model: {{layers: [{{Conv2D: {{filters: 11, kernel_size: 1}}}}]}}
train: {{epochs: 1}}
"""


@pytest.fixture
def config_with(tmp_path: Path) -> Callable[[str], Any]:
    """Return a function that makes a config with some augmentation."""

    def make(changes: str) -> Any:
        path = tmp_path / "tiny.yaml"
        path.write_text(CONFIG.format(changes=changes), encoding="utf-8")
        return load(path)

    return make


@pytest.fixture(scope="module")
def split() -> Split:
    """Return images whose red is 20 times the number of each pixel's class."""
    generator = np.random.default_rng(0)
    masks = generator.integers(0, 11, (NUMBER, HEIGHT, WIDTH)).astype(np.uint8)
    images = generator.integers(0, 256, (NUMBER, HEIGHT, WIDTH, 3)).astype(np.uint8)
    images[..., 0] = 20 * masks
    facts = MaskFacts.empty(NUMBER, 11)
    for row, mask in enumerate(masks):
        facts.set(row, mask)
    return Split("test", images, Masks(MaskArray(masks), facts.pixels, facts.hashes), list(map(str, range(NUMBER))))


def network(config: Any, of_pixel: np.ndarray, of_place: np.ndarray) -> Any:
    """Return a network whose logits are a linear function of the pixel, and numbers that the place alone decides."""
    import keras

    from cnncli.engine.evaluation.trained import Trained
    from cnncli.engine.input_pipeline.preprocessing import Preprocessing

    image = keras.Input((HEIGHT, WIDTH, 3))
    convolution = keras.layers.Conv2D(11, 1, use_bias=False)
    logits = keras.layers.Add()([convolution(image), keras.layers.Rescaling(0.0, of_place)(convolution(image))])
    convolution.set_weights([of_pixel[None, None]])
    return Trained(config, CLASSES, keras.Model(image, logits), Preprocessing(config.data), "fresh")


@pytest.mark.parametrize(("pixel", "place"), [(3.0, 0.0), (0.0, 1.0), (3.0, 1.0)])
@pytest.mark.parametrize(("mode", "axis"), [("horizontal", 1), ("vertical", 0)])
def test_views_are_mirrored_back(
    config_with: Callable[[str], Any], split: Split, pixel: float, place: float, mode: str, axis: int
) -> None:
    """Mirrored images have the mirrored logits of the same network, which are mirrored back before the mean.

    Of a network that looks at pixels alone, views change nothing; of one that knows places alone, the mean is
    symmetric.
    """
    from cnncli.engine.evaluation.evaluate import measure
    from cnncli.engine.evaluation.tta import views_of

    config = config_with(f"{{RandomFlip: {{mode: {mode}}}}}")
    generator = np.random.default_rng(1)
    of_pixel = (pixel * generator.normal(size=(3, 11))).astype(np.float32)
    of_place = (place * generator.normal(size=(HEIGHT, WIDTH, 11))).astype(np.float32)
    trained = network(config, of_pixel, of_place)
    views = views_of(config)
    assert len(views) == 2
    still, averaged = measure(trained, split), measure(trained, split, views)

    values = split.images.astype(np.float64) / 255 @ of_pixel
    expected = {"still": values + of_place, "averaged": values + (of_place + np.flip(of_place, axis)) / 2}
    truth = np.stack([split.targets.read(row) for row in range(NUMBER)]).astype(np.int64)
    for found, logits in ((still, expected["still"]), (averaged, expected["averaged"])):
        matrix = metrics.confusion_matrix(truth.ravel(), logits.argmax(axis=-1).ravel(), labels=range(11))
        assert (found.confusion == matrix).all()
        shares = np.exp(logits - logits.max(axis=-1, keepdims=True))
        losses = -np.log(np.take_along_axis(shares, truth[..., None], -1)[..., 0] / shares.sum(axis=-1))
        assert found.loss == pytest.approx(losses.mean(), rel=1e-5)
    assert (place == 0.0) == (still.confusion == averaged.confusion).all()


@pytest.mark.parametrize(
    "changes",
    [
        "{RandomFlip: {mode: horizontal_and_vertical}}",
        "{RandomTranslation: {height_factor: 0.3, width_factor: 0.3, fill_mode: constant, interpolation: nearest}}",
        "{RandomRotation: {factor: 0.2, fill_mode: constant, interpolation: nearest}}",
        "CutMix",
        "{RandomFlip: {mode: horizontal}}, {RandomErasing: {scale: [0.1, 0.2], fill_value: 0.0}}, CutMix",
    ],
)
def test_samples_have_their_masks_moved_with_them(
    config_with: Callable[[str], Any], split: Split, changes: str
) -> None:
    """Wherever a pixel counts, its class is the one that its colour says; what is filled in from outside has none."""
    from cnncli.engine.input_pipeline.augmentation.augmentation import samples
    from cnncli.engine.tasks.objective import make_objective

    config = config_with(changes)
    found = samples(config, split, make_objective(config))
    assert found.images.shape == (NUMBER, 9, HEIGHT, WIDTH, 3)
    assert found.targets is not None
    counted = (found.targets != 255) & ((found.images > 0).any(axis=-1))  # Erased places keep their class.
    assert (found.images[..., 0] == 20 * found.targets)[counted].all()
    assert counted.mean() > 0.5
    assert (found.images[:, 0] == split.images).all()
    assert not (found.targets[:, 1:] == found.targets[:, :1]).all()


@pytest.mark.parametrize(("height", "width"), [(8, 20), (HEIGHT, 12)])
def test_samples_that_are_parts_have_a_white_margin(
    config_with: Callable[[str], Any], split: Split, height: int, width: int
) -> None:
    """They begin at the upper left corner of what the image itself takes; in the margin nothing counts."""
    from cnncli.engine.input_pipeline.augmentation.augmentation import samples
    from cnncli.engine.tasks.objective import make_objective

    config = config_with(f"{{RandomScale: {{factor: [0.5, 0.5], size: [{height}, {width}]}}}}")
    found = samples(config, split, make_objective(config))
    assert found.images.shape == (NUMBER, 9, HEIGHT, WIDTH, 3)
    assert found.targets is not None
    assert (found.images[:, 0] == split.images).all()
    beside = np.ones((HEIGHT, WIDTH), np.bool_)
    beside[:height, :width] = False
    assert (found.images[:, 1:, beside] == 255).all()
    assert (found.targets[:, 1:, beside] == 255).all()
    assert ((found.targets[:, 1:, ~beside] != 255).sum(axis=-1) == min(height, 8) * min(width, 12)).all()


def test_samples_are_drawn_with_their_masks(config_with: Callable[[str], Any], split: Split) -> None:
    """`cnn show CONFIG augmentation` lays each mask over its image, with a legend of the classes that are there."""
    from cnncli.engine.inspection.figures import Choice, draw
    from cnncli.tasks.colours import class_colours
    from cnncli.tasks.segmentation.pages import SegmentationPages

    config = config_with("{RandomFlip: {mode: horizontal}}")
    inspected = SimpleNamespace(
        config=config, splits=SimpleNamespace(train=split, classes=CLASSES), pages=SegmentationPages()
    )
    figure = draw("augmentation", inspected, Choice())
    original = figure.axes[0].images[0].get_array()
    grey = split.images[0].mean(axis=-1, keepdims=True)
    expected = 0.6 * grey + 0.4 * class_colours(11)[split.targets.read(0)]
    assert np.abs(original - expected).max() <= 0.5
    assert [text.get_text() for text in figure.legends[0].get_texts()] == list(CLASSES)
