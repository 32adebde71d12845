"""The set of digits with boxes that comes along: always the same, quickly, every box as tight as can be."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from cnncli.config.schema.schema import Data
from cnncli.datasets import arrays, builtin
from cnncli.datasets.boxes import digit_boxes
from cnncli.report.passport import passport_page

IMAGES, BOXES = "4090d6790bd9a11f", "c25e303de2c81282"
"""First digits of SHA-256."""

DIGITS = arrays.read(builtin.EMBEDDED)


@pytest.fixture(scope="module")
def collected():
    """Return all of it, in colour."""
    return digit_boxes.collect(Data(source="digit_boxes", image_size=(64, 64), channels=3))


def test_numbers_and_digests(collected):
    """1 to 8 digits an image, all ten of them; the pixels and the boxes are those of every other machine."""
    train, test = (collected.parts[name].split for name in ("train", "test"))
    assert (len(train), len(test)) == (1500, 300)
    assert train.images.shape == (1500, 64, 64, 3)
    numbers = [len(own.labels) for own in train.targets.objects]
    assert (min(numbers), max(numbers), train.targets.capacity) == (1, 8, 8)
    labels = np.concatenate([own.labels for own in train.targets.objects])
    assert (np.bincount(labels, minlength=10) > 400).all()
    assert hashlib.sha256(train.images.tobytes()).hexdigest()[:16] == IMAGES
    assert hashlib.sha256(train.targets.content()).hexdigest()[:16] == BOXES


def test_boxes_are_tight(monkeypatch):
    """Without background and noise, what is bright in a box touches its four edges, and nothing is bright outside."""
    monkeypatch.setattr(digit_boxes, "background", lambda generator, size: np.zeros((size, size, 3), np.uint8))
    monkeypatch.setattr(digit_boxes, "add_noise", lambda image, generator: None)
    drawn = digit_boxes.draw(DIGITS.images["test"], DIGITS.labels["test"], 50, seed=3)
    for image, own in zip(drawn.images, drawn.objects, strict=True):
        outside = image.any(axis=-1)
        for xmin, ymin, xmax, ymax in own.corners.astype(int).tolist():
            inside = image[ymin:ymax, xmin:xmax].any(axis=-1)
            assert inside[[0, -1]].any(axis=1).all()
            assert inside[:, [0, -1]].any(axis=0).all()
            outside[ymin:ymax, xmin:xmax] = False
        assert not outside.any()


def test_the_passport_as_a_page(load_boxes):
    """Objects of each class, an image, and their sizes; in grey, the boxes are the same."""
    splits = load_boxes(None, source="digit_boxes", image_size=(64, 64), channels=1)
    assert splits.train.images.shape == (1500, 64, 64, 1)
    assert hashlib.sha256(splits.train.targets.content()).hexdigest()[:16] == BOXES
    text = passport_page("digits", splits.passport).text()
    assert "Objects        6,120 in train, 1 to 8 an image, median 4; 0 images without\n" in text
    assert "7: smallest 16 × 8, median 16 × 12, largest 24 × 21\n" in text


def test_the_targets_of_a_network(collected):
    """Edges in pixels of the image, which keep their size."""
    targets = collected.parts["test"].split.targets
    fitted = targets.fit(Data(source="digit_boxes", image_size=(64, 64)))
    assert fitted.shape == (300, 8, 6)
    own = targets.read(0)
    assert fitted[0, : len(own.labels), :4].tolist() == own.corners.tolist()
