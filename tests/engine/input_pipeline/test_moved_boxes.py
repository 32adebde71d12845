"""Boxes move as their images do: painted rectangles, by a thousand draws of every change."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest

from cnncli.config.schema import augmentation as specs

pytestmark = pytest.mark.engine

HEIGHT, WIDTH, NUMBER = 40, 32, 1000

CONSTANT = {"fill_mode": "constant"}

MOVES: dict[str, specs.Augmentation] = {
    "flip": specs.RandomFlip(),
    "horizontal flip": specs.RandomFlip(mode="horizontal"),
    "vertical flip": specs.RandomFlip(mode="vertical"),
    "translation": specs.RandomTranslation(height_factor=0.4, width_factor=(-0.1, 0.5), **CONSTANT),
    "zoom": specs.RandomZoom(height_factor=0.5, width_factor=0.3, **CONSTANT),
    "even zoom": specs.RandomZoom(height_factor=(-0.6, 0.4), **CONSTANT),
    "scale": specs.RandomScale(factor=(0.5, 2.0)),
    "parts": specs.RandomScale(factor=(0.8, 2.0), size=(24, 20)),
    "crop": specs.RandomCrop(padding=6),
    "smaller crop": specs.RandomCrop(height=20, width=24),
    "rotation": specs.RandomRotation(factor=0.5, **CONSTANT),
    "quarter turns": specs.RandomRotate90(),
}

UNMOVED: dict[str, specs.Augmentation] = {
    "brightness": specs.RandomBrightness(factor=0.2),
    "contrast": specs.RandomContrast(factor=0.2),
    "erasing": specs.RandomErasing(),
}


def draws() -> Any:
    """Return the same draws for every image, each time from their beginning."""
    import tensorflow as tf

    from cnncli.engine.input_pipeline.augmentation.random_draws import Draws

    return Draws(tf.constant([3, 1]), 0, NUMBER)


@pytest.fixture(scope="module")
def targets() -> np.ndarray:
    """Return one box for each of a thousand images: float32 (images, 1, 6)."""
    generator = np.random.default_rng(0)
    boxes = np.zeros((NUMBER, 1, 6), np.float32)
    for box in boxes[:, 0]:
        left, top = generator.integers(0, WIDTH - 8), generator.integers(0, HEIGHT - 8)
        box[:4] = left, top, generator.integers(left + 6, WIDTH + 1), generator.integers(top + 6, HEIGHT + 1)
        box[4:] = generator.integers(3), 1
    return boxes


def painted(targets: np.ndarray) -> np.ndarray:
    """Return images that are white in their box: float32 (images, height, width, 1)."""
    y, x = (np.arange(length) + 0.5 for length in (HEIGHT, WIDTH))
    left, top, right, bottom = (targets[:, 0, edge, None] for edge in range(4))
    across, down = (x > left) & (x < right), (y > top) & (y < bottom)
    return (down[:, :, None] & across[:, None]).astype(np.float32)[..., None]


def moved(change: specs.Augmentation, targets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return what is left of the painted boxes, bool (images, height, width), and the moved targets."""
    import tensorflow as tf

    from cnncli.engine.input_pipeline.augmentation.augmentation import _IMAGE_CHANGES
    from cnncli.engine.input_pipeline.augmentation.boxes import move

    images = _IMAGE_CHANGES[type(change)](change, tf.constant(painted(targets)), draws())
    found = move(change, tf.constant(targets), (HEIGHT, WIDTH), draws()).numpy()
    assert found.dtype == np.float32
    return np.asarray(images)[..., 0] > 0.5, found


def around(mask: np.ndarray) -> np.ndarray:
    """Return the edges around what a mask shows."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1])


@pytest.mark.parametrize("name", MOVES)
def test_a_moved_box_is_that_of_the_moved_mask(targets: np.ndarray, name: str) -> None:
    """Within a pixel, for interpolation; what is turned over the edge lies within its box."""
    masks, found = moved(MOVES[name], targets)
    kept = 0
    for mask, box in zip(masks, found[:, 0], strict=True):
        if box[4] < 0:
            continue
        kept += 1
        height, width = mask.shape
        assert (box[:4] >= 0).all()
        assert (box[:4] <= (width, height, width, height)).all()
        off = around(mask) - box[:4]
        is_cut = (box[:2] == 0).any() or box[2] == width or box[3] == height
        if name == "rotation" and is_cut:
            assert (off[:2] > -1.01).all()
            assert (off[2:] < 1.01).all()
        else:
            np.testing.assert_allclose(off, 0, atol=1.01)
    assert kept > NUMBER / 3


MOSAICS = {
    "as large as they are": specs.Mosaic(scale=(1.0, 1.0), interpolation="nearest"),
    "at every scale": specs.Mosaic(offset=(0.0, 1.0), scale=(0.5, 2.0), interpolation="nearest"),
    "now and then": specs.Mosaic(probability=0.5, interpolation="nearest"),
}


def with_neighbours() -> Any:
    """Return draws that combine an image with the three after it, so that none is there twice."""
    made, next_one = draws(), itertools.count(1)
    made.order = lambda: (np.arange(NUMBER, dtype=np.int32) + next(next_one)) % NUMBER
    return made


@pytest.mark.parametrize("name", MOSAICS)
def test_a_mosaic_has_the_boxes_of_what_it_shows(targets: np.ndarray, name: str) -> None:
    """Each image is painted in a value of its own: that tells whose box it is; one that is hardly seen has none."""
    import tensorflow as tf

    from cnncli.engine.input_pipeline.augmentation.boxes import move
    from cnncli.engine.input_pipeline.augmentation.mosaic import mosaic

    change, own = MOSAICS[name], np.arange(NUMBER, dtype=np.float32)
    numbered = targets.copy()
    numbered[:, 0, 4] = own
    images = mosaic(change, tf.constant(painted(targets) * (own + 1)[:, None, None, None]), with_neighbours())
    images = np.asarray(images)[..., 0]
    found = move(change, tf.constant(numbered), (HEIGHT, WIDTH), with_neighbours()).numpy()
    assert found.shape == (NUMBER, 4, 6)
    sizes = np.prod(targets[:, 0, 2:4] - targets[:, 0, :2], axis=1)
    combined = kept = dropped = 0
    for row, (image, boxes) in enumerate(zip(images, found, strict=True)):
        boxes = {int(box[4]): box[:4] for box in boxes if box[4] >= 0}
        shown = {int(value) - 1: image == value for value in np.unique(image) if value}
        combined += set(shown) != {row}
        for number, box in boxes.items():
            kept += 1
            np.testing.assert_allclose(around(shown[number]) - box, 0, atol=1.01)
        for number in shown.keys() - boxes.keys():
            dropped += 1
            assert shown[number].sum() < (0.3 * change.scale[1] ** 2 + 0.15) * sizes[number]
        if change.scale == (1.0, 1.0):
            assert all(shown[number].sum() > 0.15 * sizes[number] for number in boxes)
    assert combined > NUMBER / 3
    assert kept > NUMBER
    assert dropped > NUMBER / 20


def test_an_image_that_is_no_mosaic_keeps_its_boxes(targets: np.ndarray) -> None:
    """To the last bit, before rows without an object; two mosaics one after the other have rows for sixteen times."""
    import tensorflow as tf

    from cnncli.engine.input_pipeline.augmentation.boxes import move

    found = move(specs.Mosaic(probability=0.0), tf.constant(targets), (HEIGHT, WIDTH), draws()).numpy()
    np.testing.assert_array_equal(found[:, :1], targets)
    assert (found[:, 1:, 4] == -1).all()
    again = move(specs.Mosaic(), tf.constant(found), (HEIGHT, WIDTH), draws()).numpy()
    assert again.shape == (NUMBER, 16, 6)


SHIFTS = {
    "translation": specs.RandomTranslation(height_factor=0.9, width_factor=0.9, **CONSTANT),
    "crop": specs.RandomCrop(padding=24),
}


@pytest.mark.parametrize("name", SHIFTS)
def test_boxes_of_which_little_is_seen_are_left_out(targets: np.ndarray, name: str) -> None:
    """Those that show less than 30 % of their pixels; a crowd stays while anything of it is seen."""
    masks, found = moved(SHIFTS[name], targets)
    _, crowds = moved(SHIFTS[name], targets * np.array([1, 1, 1, 1, 1, 0], np.float32))
    shares = masks.sum(axis=(1, 2)) / painted(targets).sum(axis=(1, 2, 3))
    kept, kept_crowds = (boxes[:, 0, 4] >= 0 for boxes in (found, crowds))
    # A pixel at the edge may be seen or not: a quarter of the smallest box.
    assert not kept[shares < 0.15].any()
    assert kept[shares > 0.45].all()
    assert kept_crowds[shares > 0].all()
    assert (kept_crowds & ~kept).sum() > 50
    whole = shares > 0.999
    np.testing.assert_array_equal(found[whole], crowds[whole] + np.array([0, 0, 0, 0, 0, 1], np.float32))


FILLED = ("translation", "zoom", "scale", "crop", "rotation", "quarter turns")


@pytest.mark.parametrize("name", FILLED)
@pytest.mark.parametrize("fill_value", [51.0, "mean"])
def test_nothing_is_in_what_was_filled(targets: np.ndarray, name: str, fill_value: float | str) -> None:
    """Beside a moved image there is one colour, its own mean or the one that is told, and no box reaches there."""
    import tensorflow as tf

    from cnncli.engine.input_pipeline.augmentation.augmentation import _IMAGE_CHANGES
    from cnncli.engine.input_pipeline.augmentation.boxes import move

    noise = np.random.default_rng(0).random((NUMBER, HEIGHT, WIDTH, 2)).astype(np.float32)
    empty = MOVES[name]
    filled = empty.model_copy(update={"fill_value": fill_value})
    shown, black, found = (
        np.asarray(_IMAGE_CHANGES[type(filled)](change, tf.constant(image), draws()))
        for change, image in ((empty, np.ones_like(noise)), (empty, noise), (filled, noise))
    )
    fill = noise.mean((1, 2), keepdims=True) if fill_value == "mean" else np.float32(0.2)
    np.testing.assert_allclose(found, black + (1 - shown) * fill, atol=1e-5)
    outside = shown[..., 0] < 1e-6
    assert outside.any(axis=(1, 2)).mean() > 0.2
    for is_outside, box in zip(outside, move(filled, tf.constant(targets), (HEIGHT, WIDTH), draws()), strict=True):
        left, top, right, bottom, label, _ = box[0].numpy()
        if label >= 0 and name != "rotation":
            assert not is_outside[math.ceil(top) : int(bottom), math.ceil(left) : int(right)].any()


@pytest.mark.parametrize("name", UNMOVED)
def test_tones_and_erased_rectangles_leave_boxes(targets: np.ndarray, name: str) -> None:
    """Nothing of them changes."""
    import tensorflow as tf

    from cnncli.engine.input_pipeline.augmentation.boxes import move

    found = move(UNMOVED[name], tf.constant(targets), (HEIGHT, WIDTH), draws())
    np.testing.assert_array_equal(found, targets)


def test_rows_without_an_object_stay_so(targets: np.ndarray) -> None:
    """Wherever their place comes to lie."""
    none = targets.copy()
    none[..., 4] = -1
    for change in MOVES.values():
        _, found = moved(change, none)
        np.testing.assert_array_equal(found[..., 4], -1)


def test_changes_one_after_another_know_the_size(targets: np.ndarray) -> None:
    """After a part is cut out, the next change moves boxes within the part, and images and boxes still agree."""
    import tensorflow as tf

    from cnncli.engine.input_pipeline.augmentation import Augmentation
    from cnncli.engine.tasks.detection import CenterHeatmap

    changes = (
        specs.RandomScale(factor=(0.8, 1.25), size=(24, 20)),
        specs.RandomFlip(),
        specs.RandomBrightness(factor=0),
    )
    objective = CenterHeatmap({"heatmap": (10, 8, 3), "box": (10, 8, 4)}, (HEIGHT, WIDTH), 1)
    images, found = Augmentation(changes, objective)(
        tf.constant(painted(targets)), tf.constant(targets), tf.constant([1, 2])
    )
    assert images.shape[1:3] == (24, 20)
    kept = found.numpy()[:, 0, 4] >= 0
    assert kept.mean() > 0.3
    for image, box in zip(images.numpy()[kept], found.numpy()[kept, 0], strict=True):
        np.testing.assert_allclose(around(image[..., 0] > 0.5), box[:4], atol=1.01)
