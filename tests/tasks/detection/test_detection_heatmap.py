"""The predicted heatmap laid over images, against loops over its cells."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pytest

from cnncli.report.figures import to_png
from cnncli.tasks.colours import class_colours
from cnncli.tasks.detection.heatmap import HeatExample, heat, heat_examples, legend
from cnncli.tasks.detection.pages import DetectionPages

if TYPE_CHECKING:
    from .conftest import Detected


def test_every_pixel_has_the_score_of_its_cell() -> None:
    """The highest of all classes and planes, as a loop over pixels finds it; also where sizes do not come out even."""
    generator = np.random.default_rng(5)
    logits = {
        "box": np.zeros((2, 5, 7, 4), np.float32),
        "heatmap": generator.normal(0, 2, (2, 5, 7, 3)).astype(np.float32),
        "heatmap_16": generator.normal(0, 2, (2, 2, 3, 3)).astype(np.float32),
        "box_16": np.zeros((2, 2, 3, 4), np.float32),
    }
    found = heat(logits, (19, 27))
    assert found.shape == (2, 19, 27)
    for image, y, x in np.ndindex(found.shape):
        values = [
            logits[name][image, int(y / 19 * rows), int(x / 27 * columns), label]
            for name, rows, columns in (("heatmap", 5, 7), ("heatmap_16", 2, 3))
            for label in range(3)
        ]
        assert found[image, y, x] == pytest.approx(1 / (1 + math.exp(-max(values))), rel=1e-5)


def test_high_scores_are_seen_and_low_ones_are_not() -> None:
    """Yellow where a score is 1, whatever the image is there; the dimmed grey image where it is 0."""
    pixels = np.tile(np.array([30, 60, 90], np.uint8), (480, 480, 1))
    scores = np.zeros((480, 480), np.float32)
    scores[100:104, 200:204] = 1
    drawn = HeatExample("a", pixels, np.full((1, 6), -1, np.float32), scores).laid_over(2)
    assert drawn[102, 202].tolist() == [253, 231, 37]
    assert drawn[0, 0].tolist() == [36, 36, 36]
    assert (drawn == [36, 36, 36]).all(axis=-1).sum() == 480 * 480 - 16


def test_centres_of_objects() -> None:
    """A square of the class's colour around the middle of a box, on both pictures; none where there is no object."""
    objects = np.array([[100, 40, 300, 120, 1, 1], [0, 0, 0, 0, -1, 0]], np.float32)
    example = HeatExample("a", np.zeros((400, 480, 3), np.uint8), objects, np.zeros((400, 480), np.float32))
    colour = class_colours(3)[1]
    for drawn, has_box in ((example.centres(3), True), (example.laid_over(3), False)):
        rows, columns = np.nonzero((drawn[50:111, 110:291] == colour).all(axis=-1))
        assert (rows.min() + rows.max()) / 2 + 50 == pytest.approx(80, abs=1)
        assert (columns.min() + columns.max()) / 2 + 110 == pytest.approx(200, abs=1)
        assert (drawn[40, 100:300] == colour).all(axis=-1).any() == has_box
    assert legend([example], ("a", "b", "c")) == [("b", tuple(colour.tolist()))]


def test_the_picture_of_a_split(detected: Detected) -> None:
    """Each image twice, the first ones, with its name; a bar of the scores, and the classes' colours."""
    figure = DetectionPages().figures()["heatmap"](detected, 3)
    titles = [axes.get_title(loc="left") for axes in figure.axes[:8]]
    found = heat_examples(detected, range(3))
    scores = 1 / (1 + np.exp(-detected.logits["heatmap"][:3].max(axis=(1, 2, 3))))
    assert [own.heat.max() for own in found] == pytest.approx(scores.tolist())
    expected = [(f"folder/{row}.png", f"highest score {scores[row]:.2f}") for row in range(3)]
    assert titles == [*(text for pair in expected for text in pair), "", ""]
    assert figure.axes[8].get_ylabel() == "highest score of all classes"
    assert to_png(figure).startswith(b"\x89PNG")
