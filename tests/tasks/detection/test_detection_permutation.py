"""The paired permutation test of two detectors, against exchanging the images' boxes, and the file that it reads."""

from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from cnncli.datasets.boxes.targets import Objects
from cnncli.errors import RunError
from cnncli.tasks.detection import permutation as module
from cnncli.tasks.detection.average_precision import coco_scores
from cnncli.tasks.detection.evaluation import Evaluation
from cnncli.tasks.detection.matching import match
from cnncli.tasks.detection.overlap import Contents, Detections
from cnncli.tasks.detection.permutation import permutation_test
from cnncli.tasks.detection.rows import Rows, read_rows

if TYPE_CHECKING:
    from .conftest import Detected

CLASSES = ("a", "b")


def contents(number: int, noise: float, seed: int) -> Contents:
    """Return images with a few objects, the same for every seed, and detections near them; the last has nothing."""
    truth, generator = np.random.default_rng(1), np.random.default_rng(seed)
    objects, detections = [], []
    for image in range(number):
        many = 0 if image == number - 1 else 4
        corner = truth.uniform(0, 80, (many, 2))
        corners = np.concatenate([corner, corner + truth.uniform(10, 30, (many, 2))], axis=1)
        labels, off = truth.integers(0, 2, many), np.zeros(many, np.bool_)
        areas = (corners[:, 2:] - corners[:, :2]).prod(axis=1)
        objects.append(Objects(corners, labels, off, off, areas, (120, 120)))
        moved = corners + generator.normal(0, noise, (many, 4))
        moved[:, 2:] = np.maximum(moved[:, 2:], moved[:, :2] + 1)
        detections.append(Detections(moved, labels, generator.random(many)))
    return Contents(objects, detections)


def rows(found: Contents, folder: Path) -> Rows:
    """Return what is read back of the file that an evaluation writes."""
    ids = [f"{image}.png" for image in range(len(found.objects))]
    file = folder / "predictions.csv"
    file.write_text(Evaluation("test", CLASSES, found, np.zeros(0), ids).csv(), encoding="utf-8")
    read = read_rows(file)
    assert read is not None
    return read


def ap50(found: Contents) -> float:
    """Return the AP at IoU 0.5."""
    return coco_scores(match(found, 2)).ap(0)


@pytest.mark.parametrize("noise", [2.5, 3.5])
def test_against_all_exchanges(noise: float, tmp_path: Path) -> None:
    """Of eight images, the share of the 256 exchanges, each evaluated anew; the random ones come near it."""
    first, second = contents(8, 4, 2), contents(8, noise, 3)
    differences = []
    for choice in product((0, 1), repeat=8):
        both = first.detections, second.detections
        one, two = (Contents(first.objects, [both[side ^ c][i] for i, c in enumerate(choice)]) for side in (0, 1))
        differences.append(ap50(two) - ap50(one))
    found = permutation_test(rows(first, tmp_path), rows(second, tmp_path))
    assert found is not None
    assert found.difference == pytest.approx(differences[0], abs=1e-12)
    exact = float(np.mean(np.abs(differences) >= abs(differences[0]) - 1e-12))
    error = 4 * (exact * (1 - exact) / module.NUM_PERMUTATIONS) ** 0.5
    assert abs(found.p_value - exact) <= error + 2 / module.NUM_PERMUTATIONS
    assert found.to_json() == {"difference": found.difference, "p_value": found.p_value}


def test_equal_runs_do_not_differ(tmp_path: Path) -> None:
    """Of the same detections every exchange is as large as the difference, which is none."""
    same = rows(contents(8, 3, 2), tmp_path)
    found = permutation_test(same, same)
    assert found is not None
    assert (found.difference, found.p_value) == (0.0, 1.0)
    assert found.cells() == {"AP50, 2nd − 1st": "+0.0000", "p": "1"}


def test_other_images_are_not_compared(tmp_path: Path) -> None:
    """Neither fewer images, nor the same names with other objects; nor where there is no object at all."""
    first = contents(8, 3, 2)
    own = rows(first, tmp_path)
    assert permutation_test(own, rows(contents(7, 3, 2), tmp_path)) is None
    moved = [part._replace(corners=part.corners + 1) for part in first.objects]
    assert permutation_test(own, rows(Contents(moved, first.detections), tmp_path)) is None
    difficult = first.objects[0]._replace(difficult=np.arange(4) == 2)
    assert permutation_test(own, rows(Contents([difficult, *first.objects[1:]], first.detections), tmp_path)) is None
    nothing = rows(contents(1, 3, 2), tmp_path)
    assert permutation_test(nothing, nothing) is None


def test_the_file_of_predictions_is_read_back(detected: Detected, tmp_path: Path) -> None:
    """Objects and detections to the last bit; the same AP; none where there is no file."""
    found = read_rows(detected.predictions_file)
    assert found is not None
    assert found.examples == tuple(detected.examples.ids)
    read, expected = found.contents(detected.evaluation.classes), detected.evaluation.contents
    for one, other in zip(read.objects, expected.objects, strict=True):
        for place in range(4):
            assert np.array_equal(one[place], other[place])
    for one, other in zip(read.detections, expected.detections, strict=True):
        assert all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))
    for a, b in zip(found.ranked(detected.evaluation.classes), detected.evaluation.ranked, strict=True):
        assert np.array_equal(a, b)
    assert read_rows(tmp_path / "none.csv") is None
    last = rows(contents(3, 2, 4), tmp_path)
    assert (last.examples[-1], last.kinds[-1]) == ("2.png", "none")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("outcome", "other"),
        (",right", ",maybe"),
        (",object,", ",thing,"),
        ("0.9", "x"),
        (",0.9", ",inf"),
        ("kind", "a"),
    ],
)
def test_a_file_of_something_else_is_refused(detected: Detected, tmp_path: Path, old: str, new: str) -> None:
    """Another column, an unknown word, what is not a finite number: the error names the columns."""
    text = detected.predictions_file.read_text(encoding="utf-8")
    assert old in text
    file = tmp_path / "predictions.csv"
    file.write_text(text.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(RunError, match=r"expected the columns example, kind, .* a line for each object and detection"):
        read_rows(file)
