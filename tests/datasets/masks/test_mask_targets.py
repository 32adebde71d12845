"""Masks in the size that the network reads."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from cnncli.config.schema.schema import Data, Resize
from cnncli.datasets import digit_scenes
from cnncli.datasets.masks.targets import MaskArray, Masks, fit_mask, padded_place

GENERATOR = np.random.default_rng(8)


def by_loop(mask, size):
    """Return a mask in another size: each pixel is that in which its centre lies, a pixel at a time."""
    height, width = size
    resized = np.empty(size, np.uint8)
    for row in range(height):
        for column in range(width):
            y, x = (row + 0.5) * mask.shape[0] / height, (column + 0.5) * mask.shape[1] / width
            resized[row, column] = mask[int(y), int(x)]
    return resized


@pytest.mark.parametrize("size", [(6, 8), (3, 4), (12, 16), (7, 5), (1, 1), (20, 3)])
def test_stretched(size):
    """By nearest neighbour; for whole factors Pillow's own gives the same."""
    mask = GENERATOR.integers(0, 4, (6, 8), np.uint8)
    found = fit_mask(mask, size, "stretch")
    assert np.array_equal(found, by_loop(mask, size))
    if size[0] % 6 == 0 and size[1] % 8 == 0:
        by_pillow = Image.fromarray(mask).resize(size[::-1], Image.Resampling.NEAREST)
        assert np.array_equal(found, np.asarray(by_pillow))


@pytest.mark.parametrize(
    ("shape", "size", "inner", "place"),
    [
        ((6, 8), (8, 8), (6, 8), (1, 0)),
        ((6, 8), (12, 12), (9, 12), (1, 0)),
        ((8, 4), (8, 8), (8, 4), (0, 2)),
        ((10, 10), (5, 9), (5, 5), (0, 2)),
        ((100, 1), (4, 4), (4, 1), (0, 1)),
        ((5, 5), (5, 5), (5, 5), (0, 0)),
    ],
)
def test_padded(shape, size, inner, place):
    """As large as fits, in the middle; what is added belongs to no class."""
    mask = GENERATOR.integers(0, 4, shape, np.uint8)
    assert padded_place(shape, size) == (inner, place)
    expected = np.full(size, 255, np.uint8)
    expected[place[0] : place[0] + inner[0], place[1] : place[1] + inner[1]] = by_loop(mask, inner)
    assert np.array_equal(fit_mask(mask, size, "pad"), expected)


@pytest.mark.engine
@pytest.mark.parametrize("fit", ["stretch", "pad"])
def test_a_mask_goes_where_its_image_goes(fit):
    """An image painted like its mask is resized to the mask that is resized, padding aside."""
    from cnncli.engine.input_pipeline.preprocessing import Preprocessing

    mask = GENERATOR.integers(0, 2, (9, 14), np.uint8)
    for size in ((9, 14), (18, 28), (27, 27), (11, 7)):
        data = Data(source="digit_scenes", image_size=size, channels=1, resize=Resize(method="nearest", fit=fit))
        image = Preprocessing(data).resize_uint8((mask * 200 + 50)[None, ..., None]).numpy()[0, ..., 0]
        expected = np.choose(np.minimum(fit_mask(mask, size, fit), 2), [50, 250, 0])
        assert np.array_equal(image, expected), size


def test_all_masks_are_fitted():
    """Those of any size, each by itself, in their order; as class numbers of one shape."""
    masks = GENERATOR.integers(0, 3, (4, 6, 8), np.uint8)
    targets = Masks(MaskArray(masks), np.zeros((4, 4), np.int64), np.zeros((4, 16), np.uint8))
    data = Data(source="digit_scenes", image_size=(3, 4), channels=1)
    found = targets.take(np.array([2, 0])).fit(data)
    assert (found.dtype, found.shape) == (np.uint8, (2, 3, 4))
    assert np.array_equal(found, np.stack([by_loop(masks[row], (3, 4)) for row in (2, 0)]))


def test_scenes_of_digits(make_config):
    """The same each time; digits of the test split in its scenes alone; ink brighter than the background."""
    config = make_config(source="digit_scenes", channels=3, image_size=(48, 48))
    first, second = (digit_scenes.collect(config.data) for _ in range(2))
    assert first.classes == ("background", *"0123456789")
    for name, number in digit_scenes.NUMBERS.items():
        split, again = first.parts[name].split, second.parts[name].split
        assert len(split) == number
        assert np.array_equal(split.images, again.images)
        masks = np.stack([split.targets.read(row) for row in range(number)])
        assert np.array_equal(masks, np.stack([again.targets.read(row) for row in range(number)]))
        assert set(np.unique(masks)) == set(range(11))
        assert split.targets.pixels[:, :11].tolist() == [
            np.bincount(mask.ravel(), minlength=11).tolist() for mask in masks
        ]
        assert split.images[masks > 0].mean() > 1.5 * split.images[masks == 0].mean()
        assert 0.05 < (masks > 0).mean() < 0.4
