"""Boxes from a network's planes, against a loop over cells."""

from __future__ import annotations

import math

import numpy as np
import pytest

from cnncli.tasks.detection.decoding import decode, sigmoid

SIZE = (24, 48)


def loop(heatmap: np.ndarray, box: np.ndarray, size: tuple[int, int]) -> list[tuple[float, int, list[float]]]:
    """Return score, class and box of every cell and class of one image that is a peak, in the order of the cells."""
    rows, columns, num_classes = heatmap.shape
    down, along = size[0] / rows, size[1] / columns
    found = []
    for i in range(rows):
        for j in range(columns):
            for label in range(num_classes):
                around = heatmap[max(i - 1, 0) : i + 2, max(j - 1, 0) : j + 2, label]
                if heatmap[i, j, label] < around.max():
                    continue
                left, top, right, bottom = (math.exp(min(max(value, -6), 6)) for value in box[i, j].tolist())
                x, y = (j + 0.5) * along, (i + 0.5) * down
                corners = [x - left * along, y - top * down, x + right * along, y + bottom * down]
                found.append((1 / (1 + math.exp(-heatmap[i, j, label])), label, corners))
    return found


def planes(seed: int, number: int = 3, rows: int = 6, columns: int = 12) -> dict[str, np.ndarray]:
    """Return random planes of three classes; some logits are equal, some distances beyond their limits."""
    generator = np.random.default_rng(seed)
    heatmap = generator.integers(-12, 12, (number, rows, columns, 3)) / 4
    return {
        "heatmap": heatmap.astype(np.float32),
        "box": generator.normal(0, 3, (number, rows, columns, 4)).astype(np.float32),
    }


def test_against_a_loop_over_cells() -> None:
    """Peaks, the order of equal scores, classes and boxes; the fewest cells that a plane has limit their number."""
    logits = planes(3)
    found = decode(logits, SIZE)
    assert found["boxes"].shape == (3, 72, 4)
    assert [found[name].dtype for name in ("boxes", "classes", "scores")] == [np.float32, np.int32, np.float32]
    for row in range(3):
        expected = sorted(loop(logits["heatmap"][row], logits["box"][row], SIZE), key=lambda one: -one[0])[:72]
        scores, labels, corners = zip(*expected, strict=True)
        number = len(scores)
        assert np.allclose(found["scores"][row, :number], scores, atol=1e-6)
        assert (found["scores"][row, number:] == 0).all()
        assert found["classes"][row, :number].tolist() == list(labels)
        assert np.allclose(found["boxes"][row, :number], corners, rtol=1e-5, atol=1e-4)


def test_only_the_highest_are_returned() -> None:
    """Of many peaks, the first hundred; fewer where fewer are asked for."""
    logits = planes(4, 1, 40, 40)
    every = decode(logits, SIZE, most=1600)
    assert (every["scores"] > 0).sum() > 100
    for most in (100, 7):
        found = decode(logits, SIZE, most=most)
        for name in ("boxes", "classes", "scores"):
            assert (found[name] == every[name][:, :most]).all()


def test_several_scales_are_decoded_together() -> None:
    """Each with its own strides; the highest score of all comes first."""
    fine, coarse = planes(5), planes(6, rows=3, columns=6)
    both = decode({**fine, **{f"{name}_coarse": values for name, values in coarse.items()}}, SIZE)
    assert both["scores"].shape == (3, 90)
    parts = [decode(one, SIZE) for one in (fine, coarse)]
    for row in range(3):
        expected = sorted(np.concatenate([part["scores"][row] for part in parts]).tolist(), reverse=True)
        assert both["scores"][row].tolist() == expected
        highest = max(parts, key=lambda part: part["scores"][row, 0])
        assert (both["boxes"][row, 0] == highest["boxes"][row, 0]).all()


def test_sigmoid_does_not_overflow() -> None:
    """Values of SciPy's expit, and the ends of the range."""
    from scipy.special import expit

    logits = np.array([-200, -90, -4.6, 0, 3, 90, 200], np.float32)
    assert sigmoid(logits) == pytest.approx(expit(logits.astype(np.float64)), abs=1e-7)
    assert sigmoid(logits).dtype == np.float32
