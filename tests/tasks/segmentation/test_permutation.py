"""The paired permutation test of two segmentations, against a direct loop, and the file that it reads."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from cnncli.errors import RunError
from cnncli.tasks.segmentation import permutation as module
from cnncli.tasks.segmentation.permutation import permutation_test
from cnncli.tasks.segmentation.rows import Rows, read_rows

if TYPE_CHECKING:
    from .conftest import Segmented


def counts(number: int, skill: float, seed: int) -> Rows:
    """Return the counts of images of 40 pixels of three classes, of which a share is right; the truth is the same."""
    truth = np.random.default_rng(1).integers(0, 3, (number, 40))
    generator = np.random.default_rng(seed)
    predicted = np.where(generator.random(truth.shape) < skill, truth, generator.integers(0, 3, truth.shape))
    labels = np.arange(3)
    return Rows(
        tuple(map(str, range(number))),
        np.stack(
            [
                ((truth == predicted)[..., None] & (truth[..., None] == labels)).sum(axis=1),
                (truth[..., None] == labels).sum(axis=1),
                (predicted[..., None] == labels).sum(axis=1),
            ]
        ),
        np.ones(number),
    )


def mean_iou(shared: np.ndarray, true: np.ndarray, predicted: np.ndarray) -> float:
    """Return the mean IoU of summed counts, class by class."""
    found = [s / (t + p - s) for s, t, p in zip(shared, true, predicted, strict=True) if t + p - s]
    return sum(found) / len(found)


def exact_p(first: Rows, second: Rows) -> tuple[float, float]:
    """Return the difference, and the share of all exchanges that lead to one at least so large."""
    pairs = np.stack([first.counts, second.counts])
    number = pairs.shape[2]
    images = np.arange(number)
    differences = []
    for choice in product((0, 1), repeat=number):
        chosen = np.array(choice)
        one, two = (pairs[picked, :, images].sum(axis=0) for picked in (chosen, 1 - chosen))
        differences.append(mean_iou(*two) - mean_iou(*one))
    return differences[0], float(np.mean(np.abs(differences) >= abs(differences[0]) - 1e-12))


@pytest.mark.parametrize("skill", [0.62, 0.7, 0.8])
def test_against_all_exchanges(skill: float) -> None:
    """Of ten images, the share of the 1,024 exchanges; the random ones come within four standard errors."""
    first, second = counts(10, 0.6, 2), counts(10, skill, 3)
    difference, exact = exact_p(first, second)
    found = permutation_test(first, second)
    assert found is not None
    assert found.difference == pytest.approx(difference, abs=1e-12)
    error = 4 * (exact * (1 - exact) / module.NUM_PERMUTATIONS) ** 0.5
    assert abs(found.p_value - exact) <= error + 2 / module.NUM_PERMUTATIONS


def test_equal_runs_do_not_differ() -> None:
    """Of the same predictions every exchange is as large as the difference, which is none."""
    same = counts(30, 0.6, 2)
    found = permutation_test(same, same)
    assert found is not None
    assert (found.difference, found.p_value) == (0.0, 1.0)
    assert found.cells() == {"mean IoU, 2nd − 1st": "+0.0000", "p": "1"}


def test_other_images_are_not_compared() -> None:
    """Neither images of other names, nor fewer, nor the same names with another truth."""
    first = counts(10, 0.6, 2)
    assert permutation_test(first, counts(9, 0.6, 2)) is None
    assert permutation_test(first, replace(first, examples=tuple("abcdefghij"))) is None
    other = first.counts.copy()
    other[1, 0, :2] += [1, -1]
    assert permutation_test(first, replace(first, counts=other)) is None


def test_the_file_of_predictions_is_read_back(segmented: Segmented, tmp_path: Path) -> None:
    """The counts that an evaluation wrote; none where there is no file; an error for one that is something else."""
    found = read_rows(segmented.predictions_file)
    assert found is not None
    assert found.examples == tuple(segmented.examples.ids)
    evaluation = segmented.evaluation
    assert (found.counts == np.stack([evaluation.shared, evaluation.true, evaluation.predicted])).all()
    assert (found.losses == evaluation.losses).all()
    assert evaluation.boundary_scores is not None
    np.testing.assert_array_equal(found.boundary_scores, evaluation.boundary_scores)
    assert found.rand_errors is None
    assert read_rows(tmp_path / "none.csv") is None
    text = segmented.predictions_file.read_text(encoding="utf-8")
    lost = text.replace(" nan,", ",")
    assert lost != text
    for wrong in (
        text.replace("shared", "other"),
        text.replace(" 0 ", " x "),
        text[: text.rindex(" ")],
        "a\nb\n",
        lost,
    ):
        file = tmp_path / "predictions.csv"
        file.write_text(wrong, encoding="utf-8")
        with pytest.raises(RunError, match=r"expected the columns .* a number of pixels for each class"):
            read_rows(file)


def test_a_file_of_an_earlier_version_is_read(segmented: Segmented, tmp_path: Path) -> None:
    """It ends with the numbers of pixels."""
    lines = segmented.predictions_file.read_text(encoding="utf-8").splitlines()
    file = tmp_path / "predictions.csv"
    file.write_text("".join(",".join(line.split(",")[:7]) + "\n" for line in lines), encoding="utf-8")
    found, expected = read_rows(file), read_rows(segmented.predictions_file)
    assert found is not None
    assert expected is not None
    assert found.boundary_scores is None
    assert permutation_test(found, expected) == permutation_test(expected, expected)
