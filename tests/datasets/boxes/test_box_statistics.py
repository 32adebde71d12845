"""What a passport tells of objects, against loops over them."""

from __future__ import annotations

from collections import Counter
from types import SimpleNamespace

import numpy as np
import pytest

from cnncli.analysis.cells import Cells
from cnncli.config.schema.schema import Data, Resize
from cnncli.datasets.boxes.statistics import in_network
from cnncli.datasets.boxes.targets import Boxes, Objects
from cnncli.datasets.passport import _of_targets
from cnncli.datasets.problems import findings
from cnncli.files.form import Unexpected
from cnncli.runs import documents

EMPTY = {
    "bad_files": [],
    "ignored_folders": [],
    "constant": {"num_images": 0},
    "missing_classes": {},
    "counts": {"train": {}},
    "duplicates": {"across": {}, "within": {}},
    "near_duplicates": {},
    "contradictions": {"num_images": 0},
    "looks": {"train": {}},
}
"""As much of a passport as findings need."""


def objects(boxes, size=(40, 60), labels=None, crowd=None):
    """Return the objects of an image from rows of edges."""
    corners = np.array(boxes, np.float64).reshape(-1, 4)
    number = len(corners)
    none = np.zeros(number, np.bool_)
    areas = (corners[:, 2] - corners[:, 0]) * (corners[:, 3] - corners[:, 1])
    labels = np.zeros(number, np.int64) if labels is None else np.array(labels)
    return Objects(corners, labels, none, none if crowd is None else np.array(crowd), areas, size)


def random_boxes(number=40, seed=0):
    """Return images with none to twelve objects of three classes."""
    generator = np.random.default_rng(seed)
    images = []
    for _ in range(number):
        many = int(generator.integers(0, 13))
        low = generator.uniform(0, 30, (many, 2))
        images.append(
            objects(np.hstack([low, low + generator.uniform(1, 10, (many, 2))]), labels=generator.integers(0, 3, many))
        )
    return Boxes.of(images)


def test_numbers_and_sizes():
    """Of classes, of images, of boxes by their areas; height comes before width."""
    boxes = Boxes.of([objects([[0, 0, 10, 20], [5, 5, 6, 8]], labels=[1, 1]), objects([]), objects([[0, 0, 30, 4]])])
    told = boxes.passport(("rbc", "wbc", "platelet"), ("a", "b", "c"))
    assert told["objects"] == {"rbc": 1, "wbc": 2, "platelet": 0}
    assert told["objects_per_image"] == {"min": 0, "median": 1.0, "max": 2}
    assert told["box_sizes"] == {
        "rbc": {"smallest": [4, 30], "median": [4, 30], "largest": [4, 30]},
        "wbc": {"smallest": [3, 1], "median": [11.5, 5.5], "largest": [20, 10]},
    }
    assert told["repeated"] == {"num_images": 0, "examples": []}
    assert told["empty"] == {"num_images": 1, "examples": ["b"]}
    assert boxes.counts(("rbc", "wbc", "platelet")) == {"rbc": 1, "wbc": 1, "platelet": 0}
    assert Boxes.of([]).passport(("rbc",), ())["objects_per_image"] == {"min": 0, "median": 0.0, "max": 0}


def test_an_object_that_is_there_twice():
    """The same box of another class is another object, and so is the same in another image."""
    twice = objects([[0, 0, 9, 9], [1, 1, 2, 2], [0, 0, 9, 9]])
    boxes = Boxes.of([objects([[0, 0, 9, 9]] * 2, labels=[0, 1]), twice, objects([[1, 1, 2, 2]])])
    assert boxes.passport(("a", "b"), ("x", "y", "z"))["repeated"] == {"num_images": 1, "examples": ["y"]}


def seen(boxes, data, stride=(4.0, 4.0), field=(100, 100)):
    """Return what the objects are for a network with such cells."""
    return in_network(boxes.fit(data), data, ("a", "b", "c"), Cells(stride, field))


@pytest.mark.parametrize("stride", [(4.0, 4.0), (8.0, 6.4)])
def test_objects_in_the_same_cell(stride):
    """As many as a dictionary of cells counts, for a network that reads the images enlarged."""
    boxes = random_boxes()
    data = Data(source="digit_boxes", image_size=(64, 96), resize=Resize(fit="stretch"))
    all_of_them, of_class = 0, 0
    for own in boxes.objects:
        cells, cells_of_class = Counter(), Counter()
        for (xmin, ymin, xmax, ymax), label in zip(own.corners.tolist(), own.labels.tolist(), strict=True):
            place = int((xmin + xmax) / 2 * 96 / 60 / stride[1]), int((ymin + ymax) / 2 * 64 / 40 / stride[0])
            cells[place] += 1
            cells_of_class[place, label] += 1
        all_of_them += sum(number - 1 for number in cells.values())
        of_class += sum(number - 1 for number in cells_of_class.values())
    found = seen(boxes, data, stride)
    assert (found["same_cell"], found["same_cell_and_class"]) == (all_of_them, of_class)
    assert all_of_them > of_class > 0
    assert found["stride"] == list(stride)


def test_sizes_and_what_is_larger_than_seen():
    """Height before width, in the network's pixels; one that is only wider than what a cell sees is larger too."""
    boxes = Boxes.of([objects([[0, 0, 10, 20], [0, 0, 30, 4]]), objects([[0, 0, 12, 30]], labels=[2])])
    data = Data(source="digit_boxes", image_size=(80, 60), resize=Resize(fit="stretch"))
    found = seen(boxes, data, field=(50, 20))
    assert found["box_sizes"] == {
        "a": {"smallest": [8, 30], "median": [24, 20], "largest": [40, 10]},
        "c": {"smallest": [60, 12], "median": [60, 12], "largest": [60, 12]},
    }
    assert (found["num_objects"], found["larger_than_field"]) == (3, 2)
    assert seen(boxes, data, field=(60, 30))["larger_than_field"] == 0
    assert seen(boxes, data, field=None)["larger_than_field"] == 0


def test_crowds_are_nothing_for_a_network():
    """They are not trained on."""
    boxes = Boxes.of([objects([[0, 0, 8, 8]] * 3, crowd=[True, False, True])])
    found = seen(boxes, Data(source="digit_boxes", image_size=(40, 60)), field=(4, 4))
    assert (found["same_cell"], found["num_objects"], found["larger_than_field"]) == (0, 1, 1)


LIMITS = {
    "two of 200 in the cell of another": [[4, 4, 16, 16 - n] for n in range(3)],
    "three of 200 in the cell of another": [[4, 4, 16, 16 - n] for n in range(4)],
    "8 × 8 pixels are 2 × 2 cells": [[20 * n, 0, 20 * n + 8, 8] for n in range(200)],
    "8 × 7.9 are fewer": [[20 * n, 0, 20 * n + 7.9, 8] for n in range(200)],
    "two of 200 larger than seen": [[20 * n, 0, 20 * n + 17, 16] for n in range(2)],
    "three of 200 larger than seen": [[20 * n, 0, 20 * n + 16, 17] for n in range(3)],
}
"""Objects just inside and just beyond each limit; the others of the 200 are 16 × 16 pixels, as much as is seen."""


def test_what_a_detector_cannot_learn(golden):
    """Beside its golden text; nothing on the other side of a limit. Only collisions are told of other splits too."""
    lines = []
    data = Data(source="digit_boxes", image_size=(40, 4000), resize=Resize(fit="stretch"))
    for name, boxes in LIMITS.items():
        others = [[20 * n, 0, 20 * n + 16, 16] for n in range(len(boxes), 200)]
        targets = Boxes.of([objects([*boxes, *others], (40, 4000), labels=[n % 2 for n in range(200)])])
        part = SimpleNamespace(split=SimpleNamespace(targets=targets, ids=["x"]))
        found = _of_targets(("a", "b"), {"train": part, "test": part}, data, Cells((4.0, 4.0), (16, 16)))
        lines.append(name)
        for finding in findings(SimpleNamespace(data=data, nodes=()), {**EMPTY, **found}):
            lines += [f"    {finding.code} {finding.path}: {finding.message}", f"        {finding.hint}"]
    golden("objects_in_cells", "\n".join(lines))


def test_without_a_detector_there_are_no_cells():
    """Where nothing is known of a network, nothing is told of it."""
    part = SimpleNamespace(split=SimpleNamespace(targets=random_boxes(), ids=[str(number) for number in range(40)]))
    told = _of_targets(("a", "b", "c"), {"train": part}, Data(source="digit_boxes", image_size=(20, 30)), None)
    assert "in_network" not in told["targets"]["train"]


def test_runs_can_be_read_with_and_without_cells():
    """What is written is of the form that `data.json` must have, and so is what was written before there were cells."""
    found = seen(random_boxes(), Data(source="digit_boxes", image_size=(20, 30)))
    told = random_boxes().passport(("a", "b", "c"), [str(number) for number in range(40)])
    for more in ({"in_network": found}, {"in_network": {**found, "field": None}}, {"same_cell": {"stride": 4}}):
        documents._targets({**told, **more})
    with pytest.raises(Unexpected):
        documents._targets({**told, "in_network": {**found, "stride": 4}})


def test_rare_classes_have_no_weights():
    """The warning of imbalance names the score of each class, not an option that detection does not have."""
    many = Boxes.of([objects([[0, 0, 9, 9]], labels=[0])] * 30 + [objects([[0, 0, 9, 9]], labels=[1])] * 2)
    part = SimpleNamespace(split=SimpleNamespace(targets=many, ids=[str(number) for number in range(32)]))
    data = Data(source="digit_boxes", image_size=(40, 60))
    told = _of_targets(("a", "b"), {"train": part}, data, None)
    passport = {**EMPTY, **told, "counts": {"train": many.counts(("a", "b"))}}
    (warning,) = findings(SimpleNamespace(data=data, nodes=()), passport)
    assert (warning.code, warning.hint) == ("W405", "Look at the average precision of each class.")
