"""The picture of all objects of a split: what is drawn, against loops over the boxes."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from cnncli.datasets.boxes.targets import Boxes, Objects
from cnncli.datasets.splits import Split, Splits
from cnncli.errors import CnnError
from cnncli.report.html_material import Material, Pictures
from cnncli.tasks.colours import class_colours
from cnncli.tasks.detection.html import labels as labels_section
from cnncli.tasks.detection.labels import MOST_CLASSES, Labels, labels_figure
from cnncli.tasks.detection.pages import DetectionPages
from cnncli.tasks.detection.task import DetectionTask
from cnncli.tasks.task import get_task

if TYPE_CHECKING:
    from .conftest import Detected


def objects(rows: list[tuple[float, ...]], size: tuple[int, int]) -> Objects:
    """Return the objects of an image from rows of xmin, ymin, xmax, ymax, class."""
    table = np.array(rows, np.float64).reshape(-1, 5)
    none = np.zeros(len(table), np.bool_)
    corners = table[:, :4]
    return Objects(corners, table[:, 4].astype(np.int64), none, none, np.ones(len(table)), size)


def split(images: list[Objects]) -> Split:
    """Return a split of objects without images."""
    pixels = np.zeros((len(images), 1, 1, 3), np.uint8)
    return Split("train", pixels, Boxes.of(images), [str(row) for row in range(len(images))])


def texts(figure: Figure) -> set[str]:
    """Return all that is written in a figure."""
    figure.canvas.draw()
    return {text.get_text() for text in figure.findobj(match=lambda found: hasattr(found, "get_text"))}


def test_places_of_centres() -> None:
    """Counted in as many places as a loop finds, rows downwards, in images of any size by their shares."""
    generator = np.random.default_rng(2)
    images = []
    for number in range(30):
        height, width = (60, 120) if number % 3 else (33, 66)
        rows = []
        for _ in range(number % 7):
            x, y = generator.uniform(0, width - 9), generator.uniform(0, height - 5)
            rows.append((x, y, x + generator.uniform(1, 9), y + generator.uniform(1, 5), 0.0))
        images.append(objects(rows, (height, width)))
    found = Labels.of(Boxes.of(images))
    expected = np.zeros((20, 40))
    for own in images:
        for left, top, right, bottom in own.corners:
            row, column = (top + bottom) / 2 / own.size[0], (left + right) / 2 / own.size[1]
            expected[int(20 * row), int(40 * column)] += 1
    assert found.aspect == 0.5
    assert np.array_equal(found.density(), expected)
    assert expected.sum() == len(found.labels) > 60


def test_what_is_drawn() -> None:
    """A point for each box in its class's colour, width to the right; a bar for each class, with its number."""
    drawn = split([objects([(0, 0, 10, 20, 0), (5, 5, 9, 6, 1), (5, 5, 12, 6, 1)], (50, 100)), objects([], (50, 100))])
    figure = labels_figure(drawn, ("</b>$a", "b", "never"))
    places, sizes, counts = figure.axes[:3]
    points = {tuple(np.rint(found.get_facecolor()[0, :3] * 255)): found.get_offsets() for found in sizes.collections}
    first, second, _ = (tuple(colour) for colour in class_colours(3).astype(float))
    assert np.array_equal(points[first], [[10, 20]])
    assert np.array_equal(points[second], [[4, 1], [7, 1]])
    assert [bar.get_width() for bar in counts.patches] == [1, 2, 0]
    assert places.images[0].get_array().sum() == 3
    assert {"</b>$a", "b", "never", "3 objects in the 2 images of train"} <= texts(figure)
    assert counts.get_ylim()[0] > counts.get_ylim()[1]


def test_wide_ranges_have_logarithmic_axes() -> None:
    """Sizes that differ much would otherwise lie in a corner."""
    small, large = (0, 0, 4, 4, 0), (0, 0, 99, 99, 0)
    for rows, expected in (([small, large], "linear"), ([small, (0, 0, 101, 9, 0)], "log")):
        assert labels_figure(split([objects(rows, (200, 200))]), ("a",)).axes[1].get_xscale() == expected


def test_many_classes_and_no_objects() -> None:
    """The most frequent classes are drawn, in their order; a split without objects is drawn as one."""
    rows = [(0, 0, 5, 5, label) for label in range(30) for _ in range(1 + (label * 7) % 30)]
    counts = labels_figure(split([objects(rows, (9, 9))]), tuple(f"n{label}" for label in range(30))).axes[2]
    drawn = [text.get_text() for text in counts.get_yticklabels()]
    assert drawn == [f"n{label}" for label in range(30) if (label * 7) % 30 >= 30 - MOST_CLASSES]
    assert counts.get_title() == "Classes (and 6 more)"
    markers = {line.get_marker() for line in counts.lines}
    assert len(markers) == 4
    empty = labels_figure(split([objects([], (9, 9))]), ("a",))
    assert empty.axes[2].get_xlim()[0] == 0
    assert empty.axes[0].images[0].get_clim() == (0, 1)


def test_the_picture_is_written(detected: Detected, tmp_path: Path) -> None:
    """By the task; those of other tasks are refused in words."""
    splits = Splits(detected.evaluation.classes, detected.examples, None, None)
    with Image.open(DetectionTask().draw_labels(splits, tmp_path / "labels.png")) as image:
        assert image.width > 1000
    with pytest.raises(CnnError, match="--labels is for boxes"):
        get_task("classification").draw_labels(splits, tmp_path / "none.png")


def test_the_report_has_it(detected: Detected) -> None:
    """As a section; not where the examples are not at hand, and not of other tasks."""
    found = DetectionPages().labels(detected.examples, detected.evaluation.classes)
    material = cast("Material", SimpleNamespace(pictures=Pictures(labels=found)))
    text = str(labels_section(material))
    assert 'id="labels"' in text
    assert "Centres, sizes and numbers of the objects of test" in text
    assert labels_section(cast("Material", SimpleNamespace(pictures=Pictures()))) is None
    other: Any = get_task("classification").pages
    assert other.labels(detected.examples, ()) is None
