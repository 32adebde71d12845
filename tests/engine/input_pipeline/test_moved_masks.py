"""Masks move as their images do: painted shapes, by a thousand draws of every change."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from cnncli.config.schema import augmentation as specs

pytestmark = pytest.mark.engine

HEIGHT, WIDTH, NUMBER = 24, 20, 1000

NEAREST = {"interpolation": "nearest", "fill_mode": "constant", "fill_value": 255.0}
"""An image whose values are class numbers is moved like a mask: white is what has no class."""

MOVES: dict[str, specs.Augmentation] = {
    "flip": specs.RandomFlip(),
    "translation": specs.RandomTranslation(height_factor=0.4, width_factor=0.4, **NEAREST),
    "rotation": specs.RandomRotation(factor=0.5, **NEAREST),
    "quarter turns": specs.RandomRotate90(fill_value=255.0),
    "zoom": specs.RandomZoom(height_factor=0.5, width_factor=0.3, **NEAREST),
    "scale": specs.RandomScale(factor=(0.5, 2.0), **NEAREST),
    "elastic": specs.RandomElasticTransform(factor=(1.0, 1.0), scale=(1.0, 1.0), **NEAREST),
    "mosaic": specs.Mosaic(**NEAREST),
    "reflected": specs.RandomTranslation(height_factor=0.4, width_factor=0.4, interpolation="nearest"),
    "wrapped": specs.RandomRotation(factor=0.5, interpolation="nearest", fill_mode="wrap"),
    "repeated": specs.RandomZoom(height_factor=(0.1, 0.8), interpolation="nearest", fill_mode="nearest"),
}


FILLED = ("translation", "rotation", "quarter turns", "zoom", "scale", "elastic", "mosaic")
"""Those that fill with what has no class."""


def painted() -> np.ndarray:
    """Return masks of rectangles and discs in classes 1 to 5 on class 0: uint8 (images, height, width)."""
    generator = np.random.default_rng(0)
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    masks = np.zeros((50, HEIGHT, WIDTH), np.uint8)
    for mask in masks:
        for label in range(1, 6):
            top, left = generator.integers(0, HEIGHT - 6), generator.integers(0, WIDTH - 6)
            inside = (y >= top) & (y < top + 6) & (x >= left) & (x < left + 6)
            if label % 2:
                inside = np.hypot(y - top - 3, x - left - 3) < 4
            mask[inside] = label
    return masks


def draws() -> Any:
    """Return the same draws for every image, each time from their beginning."""
    import tensorflow as tf

    from cnncli.engine.input_pipeline.augmentation.random_draws import Draws

    return Draws(tf.constant([3, 1]), 0, NUMBER)


@pytest.fixture(scope="module")
def masks() -> np.ndarray:
    """A thousand masks."""
    return np.tile(painted(), (NUMBER // 50, 1, 1))


@pytest.mark.parametrize("name", MOVES)
def test_a_painted_mask_moves_as_an_image_of_its_numbers(masks: np.ndarray, name: str) -> None:
    """The moved image's values are the moved mask's classes, pixel by pixel."""
    import tensorflow as tf

    from cnncli.engine.input_pipeline.augmentation.augmentation import _IMAGE_CHANGES
    from cnncli.engine.input_pipeline.augmentation.masks import move

    change = MOVES[name]
    image = tf.constant(masks[..., None] / np.float32(255))
    moved = _IMAGE_CHANGES[type(change)](change, image, draws())
    found = move(change, tf.constant(masks), draws()).numpy()
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(np.rint(np.asarray(moved)[..., 0] * 255), found)
    assert (found != masks).any(axis=(1, 2)).mean() > 0.5
    assert set(np.unique(found)) <= {0, 1, 2, 3, 4, 5, 255}
    assert (255 in found) == (name in FILLED)


@pytest.mark.parametrize("name", [*FILLED, "crop"])
def test_an_interpolated_image_shows_what_its_mask_says(masks: np.ndarray, name: str) -> None:
    """Away from outlines, where interpolation mixes two classes, an image of colours agrees with the moved mask."""
    import tensorflow as tf
    from scipy import ndimage

    from cnncli.engine.input_pipeline.augmentation.augmentation import _IMAGE_CHANGES
    from cnncli.engine.input_pipeline.augmentation.masks import move

    change = specs.RandomCrop(height=16, width=15, padding=2) if name == "crop" else MOVES[name]
    if isinstance(change, specs.Filled):
        change = change.model_copy(update={"fill_value": 0.0})
    if isinstance(change, specs.Moved):
        change = change.model_copy(update={"interpolation": "bilinear"})
    levels = np.array([0.1, 0.25, 0.4, 0.55, 0.7, 0.85], np.float32)
    moved = _IMAGE_CHANGES[type(change)](change, tf.constant(levels[masks][..., None]), draws())
    found = move(change, tf.constant(masks), draws()).numpy()
    inner = np.stack([ndimage.grey_dilation(m, 3) == ndimage.grey_erosion(m, 3) for m in found]) & (found != 255)
    shown = np.abs(np.asarray(moved)[..., :1] - levels).argmin(axis=-1)
    assert inner.mean() > 0.15
    # Two outlines of one class may lie closer together than interpolation reaches.
    assert (shown == found)[inner].mean() > 0.99


def test_rand_augment_moves_masks_by_its_moves_alone(masks: np.ndarray) -> None:
    """With nearest neighbours, images that only its first three changes touched have the values of their masks."""
    import tensorflow as tf

    from cnncli.engine.input_pipeline.augmentation.masks import move
    from cnncli.engine.input_pipeline.augmentation.rand_augment import rand_augment

    change = specs.RandAugment(num_ops=1, factor=1.0, interpolation="nearest")
    images = tf.constant(np.repeat(masks[..., None] / np.float32(255), 3, axis=-1))
    moved = np.rint(np.asarray(rand_augment(change, images, draws()))[..., 0] * 255)
    found = move(change, tf.constant(masks), draws()).numpy()
    chosen = draws().choice(11).numpy()
    assert (chosen < 3).sum() > 200
    np.testing.assert_array_equal(moved[chosen < 3], found[chosen < 3])
    np.testing.assert_array_equal(found[chosen >= 3], masks[chosen >= 3])


def test_changes_of_values_leave_masks_alone(masks: np.ndarray) -> None:
    """Brightness, contrast and erased rectangles move nothing."""
    import tensorflow as tf

    from cnncli.engine.input_pipeline.augmentation.masks import move

    for change in (specs.RandomBrightness(factor=0.5), specs.RandomContrast(factor=0.5), specs.RandomErasing()):
        np.testing.assert_array_equal(move(change, tf.constant(masks[:10]), draws()), masks[:10])


def test_a_scaled_image(masks: np.ndarray) -> None:
    """Enlarged about a corner, an image is its part doubled; shrunk, it lies among ignored pixels."""
    import tensorflow as tf

    from cnncli.engine.input_pipeline.augmentation import geometry

    class Corner:
        """Draws the factor, then the top left corner."""

        def __init__(self, factor: float) -> None:
            self.shares = [factor, 0.0, 0.0]

        def uniform(self, low: float, high: float) -> Any:
            """Return the next number."""
            return tf.fill([len(masks)], np.float32(self.shares.pop(0)))

    spec = specs.RandomScale(interpolation="nearest", fill_value=255.0)
    image = tf.constant(masks[..., None] / np.float32(255))
    double = np.rint(np.asarray(geometry.scale(spec, image, Corner(2.0)))[..., 0] * 255)
    np.testing.assert_array_equal(double, masks[:, : HEIGHT // 2, : WIDTH // 2].repeat(2, axis=1).repeat(2, axis=2))
    half = np.rint(np.asarray(geometry.scale(spec, image, Corner(0.5)))[..., 0] * 255)
    assert (half[:, HEIGHT // 2 :] == 255).all()
    part = specs.RandomScale(interpolation="nearest", fill_value=255.0, size=(HEIGHT // 2, WIDTH // 3))
    shown = np.rint(np.asarray(geometry.scale(part, image, Corner(1.0)))[..., 0] * 255)
    np.testing.assert_array_equal(shown, masks[:, : HEIGHT // 2, : WIDTH // 3])
    assert (half[:, :, WIDTH // 2 :] == 255).all()
    assert (half[:, : HEIGHT // 2, : WIDTH // 2] != 255).all()
