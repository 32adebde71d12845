"""The picture of training images with their masks."""

from __future__ import annotations

import re

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from cnncli.cli.app import app
from cnncli.datasets.masks.targets import MaskArray, Masks
from cnncli.datasets.splits import Split, Splits
from cnncli.tasks.colours import class_colours
from cnncli.tasks.segmentation import samples
from cnncli.tasks.segmentation.samples import chosen_rows, draw_samples

CLASSES = ("sky", "$road_1$", "car")


def masks_of(arrays, turned_alone=None):
    """Return masks with their counts."""
    pixels = [np.bincount(np.minimum(mask.ravel(), 3), minlength=4) for mask in arrays]
    return Masks(MaskArray(arrays), np.array(pixels), np.zeros((len(arrays), 16), np.uint8), turned_alone)


@pytest.fixture
def figure(monkeypatch, tmp_path):
    """Return a function that draws masks and returns images, figure and the rows that are shown."""

    def drawn(arrays):
        images = np.random.default_rng(0).integers(0, 256, (*arrays.shape, 3), np.uint8)
        split = Split("train", images, masks_of(arrays), [f"{row:04}" for row in range(len(arrays))])
        made = []
        monkeypatch.setattr(samples, "save", lambda figure, path: made.append(figure) or path)
        assert draw_samples(Splits(CLASSES, split, None, None), tmp_path / "s.png") == tmp_path / "s.png"
        return images, made[0]

    return drawn


def test_images_beside_themselves_with_masks(figure):
    """Two pictures an example under its name; the second grey with the classes' colours, but where nothing counts."""
    arrays = np.random.default_rng(1).integers(0, 3, (5, 6, 8), np.uint8)
    arrays[:, 0] = 255
    images, drawn = figure(arrays)
    shown = [axes for axes in drawn.axes if axes.images]
    assert len(shown) == 10
    rows = [int(axes.get_title(loc="left")) for axes in shown[::2]]
    assert sorted(rows) == list(range(5))
    colours = class_colours(3).astype(float)
    for row, plain, painted in zip(rows, shown[::2], shown[1::2], strict=True):
        assert np.array_equal(plain.images[0].get_array(), images[row])
        found = painted.images[0].get_array()
        assert np.array_equal(found[0], images[row, 0])
        grey = images[row, 1:].mean(axis=-1, keepdims=True)
        expected = 0.35 * grey + 0.65 * colours[arrays[row, 1:]]
        assert np.abs(found[1:] - expected).max() <= 0.5 + 1e-9


def test_the_legend(figure):
    """Each class with its share of the pixels that count, as it is written; and what is not painted."""
    arrays = np.array([[[0, 0, 0, 1], [1, 2, 255, 255]]], np.uint8)
    _, drawn = figure(arrays)
    (legend,) = drawn.legends
    texts = [text.get_text() for text in legend.get_texts()]
    assert texts == ["sky: 50.0 %", "$road_1$: 33.3 %", "car: 16.7 %", "not painted: counts nowhere"]
    assert not any(text.get_parse_math() for text in legend.get_texts())
    faces = [patch.get_facecolor()[:3] for patch in legend.get_patches()[:3]]
    assert np.allclose(faces, class_colours(3) / 255)


def test_rare_classes_and_doubtful_turns_are_shown():
    """Of a thousand images, those that EXIF turned alone come first, then the largest of each class; twelve at most."""
    arrays = np.zeros((1000, 2, 3), np.uint8)
    arrays[700, 0] = 2
    arrays[600, 0, 0] = 2
    arrays[500:550, 1] = 1
    turned = np.arange(1000) == 900
    rows = chosen_rows(masks_of(arrays, turned))
    assert rows[:3] == [900, 700, 500]
    assert len(rows) == len(set(rows)) == 12
    assert len(chosen_rows(masks_of(arrays, np.ones(1000, np.bool_)))) == 12


def test_the_command_writes_the_picture(tmp_path, monkeypatch):
    """Of the scenes of digits, whose passport has the pixels of each class beside the images."""
    monkeypatch.setenv("COLUMNS", "80")  # too few for bars
    result = CliRunner().invoke(
        app, ["data", "shapes_unet", "--samples", str(tmp_path / "s.png")], catch_exceptions=False
    )
    assert result.exit_code == 0
    assert re.search(r"\n *background +1,275 +85\.65 % +225 +85\.54 % +300 +85\.01 %\n", result.output)
    assert "Ignored        0.00 % of train, " in result.output
    with Image.open(tmp_path / "s.png") as image:
        assert image.width == 1440
