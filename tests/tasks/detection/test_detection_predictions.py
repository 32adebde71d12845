"""What `cnn predict` says and draws of an image: JSON, CSV, the terminal's table, boxes over the image."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from cnncli.tasks.detection.marks import Mark, draw, drawn
from cnncli.tasks.detection.predictions import DetectedImage
from cnncli.tasks.detection.task import DetectionTask
from cnncli.tasks.predictions import PredictedFile, PredictionOptions, predictions_csv, predictions_table

if TYPE_CHECKING:
    from .conftest import Detected

OPTIONS = PredictionOptions(("=cell", "ring", "rod"), (64, 64), "pad")
OUTPUTS = {
    "boxes": np.array([[[8, 16, 24, 48], [0, 0, 64, 64], [40, 20, 56, 30], [1, 1, 2, 2]]], np.float32),
    "classes": np.array([[1, 0, 1, 2]], np.int32),
    "scores": np.array([[0.875, 0.5, 0.25, 0]], np.float32),
}


def predicted(threshold: float = 0.25, size: tuple[int, int] = (100, 200)) -> DetectedImage:
    """Return what is found in an image of 100×200, of which the network saw 32×64 with a margin of 16 rows."""
    options = PredictionOptions(OPTIONS.classes, OPTIONS.image_size, OPTIONS.fit, threshold=threshold)
    (found,) = DetectionTask().predictions(OUTPUTS, [size], options)
    return found


def test_boxes_in_the_images_own_pixels() -> None:
    """Margins are taken off, edges cut off at the image's; nothing below the threshold, and no score of 0."""
    found = predicted()
    assert found.to_json() == {
        "width": 200,
        "height": 100,
        "boxes": [
            {"class": "ring", "score": 0.875, "box": [25, 0, 75, 100]},
            {"class": "=cell", "score": 0.5, "box": [0, 0, 200, 100]},
            {"class": "ring", "score": 0.25, "box": [125, 12.5, 175, 43.75]},
        ],
        "counts": {"ring": 2, "=cell": 1},
    }
    assert len(predicted(0.3).to_json()["boxes"]) == 2
    assert len(predicted(0).to_json()["boxes"]) == 3
    # Where nobody says otherwise, from 0.3 on.
    (default,) = DetectionTask().predictions(OUTPUTS, [(100, 200)], OPTIONS)
    assert default.to_json() == predicted(0.3).to_json()


def test_a_line_for_each_box() -> None:
    """An image without boxes has a line too; names are no formulas; the table has a row for each image."""
    files = [PredictedFile("a.png", predicted(0.4)), PredictedFile("b.png", predicted(0.9))]
    assert predictions_csv(files).splitlines() == [
        "file,class,score,xmin,ymin,xmax,ymax,warning,error",
        "a.png,ring,0.875,25.0,0.0,75.0,100.0,,",
        "a.png,'=cell,0.5,0.0,0.0,200.0,100.0,,",
        "b.png,,,,,,,,",
    ]
    table = predictions_table(files)
    assert [column.title for column in table.columns] == ["File", "=cell", "ring", "rod", "Objects", "Highest score"]
    assert list(table.rows) == [("a.png", "1", "1", "–", "2", "0.88"), ("b.png", "–", "–", "–", "0", "–")]
    many = [replace(predicted(score), classes=[f"a long name {label}" for label in range(9)]) for score in (0.4, 0.9)]
    table = predictions_table([PredictedFile("a.png", own) for own in many])
    assert [column.title for column in table.columns] == ["File", "Objects", "Highest score"]
    assert [row[1:] for row in table.rows] == [("1 a long name 0, 1 a long name 1", "0.88"), ("none", "–")]
    document = files[0].to_json()
    assert list(document) == ["file", "width", "height", "boxes", "counts", "doubts", "out_of_distribution", "error"]
    assert PredictedFile("c.png", error="cannot be read").to_json()["predictions"] == []


def test_boxes_over_the_image() -> None:
    """The edge of each box in its class's colour, at any size; the image elsewhere; the legend names the colours."""
    found = predicted(0.4)
    assert [name for name, _ in found.legend()] == ["=cell", "ring"]
    colours = dict(found.legend())
    grey = np.full((50, 100, 1), 90, np.uint8)
    small = found.over(grey)
    assert small.shape == (50, 100, 3)
    edge = [(0, 13), (0, 37), (49, 13), (25, 13), (25, 37)]
    assert {tuple(small[place].tolist()) for place in edge} == {colours["ring"]}
    assert tuple(small[20, 0].tolist()) == tuple(small[20, 99].tolist()) == colours["=cell"]
    assert (small[1:-1, 15:36] == 90).all()
    image = Image.fromarray(np.full((200, 400, 3), 90, np.uint8))
    found.lay_over(image)
    large = np.asarray(image)
    assert tuple(large[150, 50].tolist()) == tuple(large[150, 149].tolist()) == colours["ring"]
    # A label of the class's colour lies inside, for there is no room above.
    assert (large[2:10, 54:100] == colours["ring"]).all(axis=-1).mean() > 0.4
    assert found.classes_csv().splitlines()[1:] == ["0,'=cell,0,114,178", "1,ring,230,159,0", "2,rod,0,158,115"]


@pytest.mark.parametrize("box", [(-5, -5, 500, 500), (30, 30, 30, 30), (59.9, 0, 60, 0.1), (200, 200, 300, 300)])
@pytest.mark.parametrize("is_dashed", [True, False])
def test_any_box_can_be_drawn(box: tuple[float, float, float, float], is_dashed: bool) -> None:
    """Larger than the image, without area, smaller than a pixel, outside; with a label longer than the image."""
    image = Image.new("RGB", (60, 40), (255, 255, 255))
    draw(image, [Mark(box, (0, 0, 0), "a label that is longer than the image", is_dashed)])
    assert (np.asarray(image) < 50).any()


def test_labels_do_not_cover_each_other() -> None:
    """Of boxes in one place, the last drawn has its label above, the others in and below; what is left has none."""
    colours = [(200, 10 * number, 0) for number in range(6)]
    pixels = drawn(
        np.full((480, 600, 3), 255, np.uint8), [Mark((200, 200, 300, 300), each, "name") for each in colours]
    )
    around = pixels.reshape(-1, 3).tolist()
    numbers = [around.count(list(colour)) for colour in colours]
    assert min(numbers[2:]) > 200
    # These have neither a label nor an edge that no other lies over.
    assert numbers[:2] == [0, 0]
    rows = [int(np.flatnonzero((pixels == colour).all(axis=-1).any(axis=1))[0]) for colour in colours[2:]]
    assert rows[3] < 200 == rows[2] < rows[0] < 300 <= rows[1]


def test_small_images_have_no_labels() -> None:
    """They would cover what is to be seen: there is nothing but the edge."""
    image = Image.new("RGB", (64, 64), (255, 255, 255))
    draw(image, [Mark((20, 20, 40, 40), (0, 0, 0), "a")])
    assert (np.asarray(image) == 0).all(axis=-1).sum() == 4 * 19


def test_dashed_and_solid_edges() -> None:
    """A dashed edge alternates between its colour and a dark one, a solid edge has its colour alone."""
    blank = np.full((500, 700, 3), 255, np.uint8)
    solid, dashed = (drawn(blank, [Mark((100, 100, 600, 400), (240, 228, 66), is_dashed=own)]) for own in (False, True))
    assert {tuple(pixel) for pixel in solid[100, 100:600].tolist()} == {(240, 228, 66)}
    for line in (dashed[100, 100:600], dashed[399, 100:600], dashed[100:400, 100], dashed[100:400, 599]):
        assert {tuple(pixel) for pixel in line.tolist()} == {(240, 228, 66), (40, 40, 40)}
    assert (dashed[:100] == 255).all()
    assert (dashed[400:] == 255).all()
    assert (dashed[110:390, 110:590] == 255).all()


def test_outputs_are_those_of_the_exported_graph(detected: Detected) -> None:
    """The names and types that a spec of detection has."""
    outputs = DetectionTask().outputs(detected.logits, (96, 128))
    assert {name: (values.dtype.name, values.shape) for name, values in outputs.items()} == {
        "boxes": ("float32", (9, 100, 4)),
        "classes": ("int32", (9, 100)),
        "scores": ("float32", (9, 100)),
    }
    drawing = DetectionTask().drawing(predicted())
    assert drawing.legend() == predicted().legend()
