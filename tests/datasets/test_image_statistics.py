"""Whether incoming images look like the training images."""

from __future__ import annotations

import numpy as np
import pytest

from cnncli import datasets
from cnncli.datasets import facts
from cnncli.datasets.image_statistics import differences, image_statistics


@pytest.fixture
def digits(make_config):
    """The embedded digits."""
    return datasets.load(make_config(source="digits"))


def seen(images):
    """Summarise an array of images."""
    return image_statistics(facts.of_array(images))


@pytest.mark.parametrize("number", [1, 20, 355])
def test_similar_images_give_no_warning(number, digits):
    """Test images of the same kind fit, one by one or all together."""
    trained = digits.passport["looks"]["train"]
    for start in range(0, 355 - number + 1, max(number, 20)):
        assert differences(seen(digits.test.images[start : start + number]), trained) == ()


@pytest.mark.parametrize(
    ("spoil", "word"),
    [
        (lambda x: 255 - x, "inverted"),
        (lambda x: (x > 127).astype(np.uint8), "0 to 1"),
        (lambda x: x // 40, "darker"),
        (lambda x: np.full_like(x, 77), "contrast"),
        (lambda x: np.maximum(x, 200), "inverted|brighter"),
    ],
)
@pytest.mark.parametrize("number", [5, 355])
def test_corrupted_images_give_a_warning(spoil, word, number, digits):
    """Inverted images, 0 to 1 instead of 0 to 255, and the like give a warning."""
    import re

    warnings = differences(seen(spoil(digits.test.images[:number])), digits.passport["looks"]["train"])
    assert any(re.search(word, warning) for warning in warnings), warnings


def test_small_differences_give_no_warning():
    """Where all training images are alike, a little more light gives no warning."""
    even = np.tile(np.arange(100, 150, dtype=np.uint8).reshape(1, 5, 10, 1), (30, 1, 1, 1))
    assert differences(seen(even + 10), seen(even)) == ()
    assert differences(seen(even + 60), seen(even)) != ()


def test_grey_against_colour(make_folder, make_config):
    """Grey images give a warning where training had colour, and the other way round, even read in grey."""
    colour = make_folder({"a": 20, "b": 20})
    config = make_config(source="folder", path=str(colour), channels=1)
    trained = datasets.load(config).passport["looks"]["train"]
    grey = seen(np.random.default_rng(0).integers(0, 256, (20, 9, 7, 1), np.uint8))
    assert differences(grey, trained) == ("the images are grey; the training images had colour",)
    assert differences(trained, grey) == ("the images have colour; the training images were grey",)
