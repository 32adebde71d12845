"""What a passport tells of objects, against loops over them."""

from __future__ import annotations

from collections import Counter
from types import SimpleNamespace

import numpy as np

from cnncli.config.schema.schema import Data, Resize
from cnncli.datasets.boxes.statistics import in_same_cell
from cnncli.datasets.boxes.targets import Boxes, Objects
from cnncli.datasets.passport import _of_targets
from cnncli.datasets.problems import findings

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


def test_objects_in_the_same_cell():
    """As many as a dictionary of cells counts, for a network that reads the images enlarged."""
    boxes = random_boxes()
    data = Data(source="digit_boxes", image_size=(64, 96), resize=Resize(fit="stretch"))
    expected = 0
    for own in boxes.objects:
        cells = Counter()
        for xmin, ymin, xmax, ymax in own.corners.tolist():
            cells[int((xmin + xmax) / 2 * 96 / 60 / 4), int((ymin + ymax) / 2 * 64 / 40 / 4)] += 1
        expected += sum(number - 1 for number in cells.values())
    assert in_same_cell(boxes.fit(data)) == expected > 5


def test_crowds_share_cells_with_everything():
    """They are not trained on."""
    boxes = Boxes.of([objects([[0, 0, 8, 8]] * 3, crowd=[True, False, True])])
    data = Data(source="digit_boxes", image_size=(40, 60))
    assert in_same_cell(boxes.fit(data)) == 0


def test_too_many_in_the_same_cell_are_a_warning():
    """Where there is a network whose size says where the cells are, and not without one."""
    part = SimpleNamespace(split=SimpleNamespace(targets=random_boxes(), ids=[str(number) for number in range(40)]))
    data = Data(source="digit_boxes", image_size=(20, 30))
    found = _of_targets(("a", "b", "c"), {"train": part}, data)
    passport = {**EMPTY, **found}
    (warning,) = findings(SimpleNamespace(data=data, nodes=()), passport)
    number, total = (
        found["targets"]["train"]["same_cell"]["num_objects"],
        sum(found["targets"]["train"]["objects"].values()),
    )
    assert warning.code == "W416"
    assert f"centres of {number} objects of the train split, of {total}," in warning.message
    assert "same_cell" not in _of_targets(("a", "b", "c"), {"train": part}, None)["targets"]["train"]


def test_rare_classes_have_no_weights():
    """The warning of imbalance names the score of each class, not an option that detection does not have."""
    many = Boxes.of([objects([[0, 0, 9, 9]], labels=[0])] * 30 + [objects([[0, 0, 9, 9]], labels=[1])] * 2)
    part = SimpleNamespace(split=SimpleNamespace(targets=many, ids=[str(number) for number in range(32)]))
    passport = {**EMPTY, **_of_targets(("a", "b"), {"train": part}, None), "counts": {"train": many.counts(("a", "b"))}}
    data = Data(source="digit_boxes", image_size=(40, 60))
    (warning,) = findings(SimpleNamespace(data=data, nodes=()), passport)
    assert (warning.code, warning.hint) == ("W405", "Look at the average precision of each class.")
