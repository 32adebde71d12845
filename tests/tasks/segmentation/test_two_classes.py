"""Scores that only a task of two classes has, against scikit-learn, SciPy and loops over pairs of objects."""

from __future__ import annotations

import json
from collections.abc import Mapping

import numpy as np
import pytest
from scipy import ndimage
from sklearn import metrics

from cnncli.datasets.masks.scan import MaskFacts
from cnncli.datasets.masks.targets import MaskArray, Masks
from cnncli.tasks.predictions import PredictionOptions
from cnncli.tasks.segmentation.evaluator import SegmentationEvaluator
from cnncli.tasks.segmentation.form import EVALUATION
from cnncli.tasks.segmentation.page import evaluation_page
from cnncli.tasks.segmentation.pages import SegmentationPages
from cnncli.tasks.segmentation.rand_error import adapted_rand_error, components

CORNERS = np.ones((3, 3))
"""Pixels that touch at a corner are neighbours too."""


def blobs(seed: int, share: float = 0.5) -> np.ndarray:
    """Return four masks of round objects, some of which touch."""
    noise = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=(4, 40, 30)), (0, 1.5, 1.5))
    return noise < np.quantile(noise, share)


def rand_error(truth: np.ndarray, predicted: np.ndarray) -> float:
    """Return scikit-image 0.25's adapted_rand_error of two labelled images, its table of pixels as a loop."""
    table: dict[tuple[int, int], int] = {}
    for true, found in zip(truth.ravel().tolist(), predicted.ravel().tolist(), strict=True):
        if true != 0:
            table[true, found] = table.get((true, found), 0) + 1
    total = sum(table.values())
    rows, columns = {}, {}
    for (true, found), count in table.items():
        rows[true] = rows.get(true, 0) + count
        columns[found] = columns.get(found, 0) + count
    both, of_truth, of_prediction = (sum(n * n for n in t.values()) - total for t in (table, rows, columns))
    return 1.0 - both / (0.5 * of_prediction + 0.5 * of_truth) if of_prediction + of_truth else float("nan")


def scored(
    truth: np.ndarray, predicted: np.ndarray, classes: tuple[str, ...] = ("paper", "ink")
) -> Mapping[str, object]:
    """Return what `cnn eval --json` prints of masks of class numbers, 255 where nothing counts."""
    facts = MaskFacts.empty(len(truth), len(classes))
    for row, mask in enumerate(truth):
        facts.set(row, mask)
    ids = [str(row) for row in range(len(truth))]
    evaluator = SegmentationEvaluator("test", PredictionOptions(classes, truth.shape[1:], "stretch"), ids)
    logits = 5 * np.eye(len(classes), dtype=np.float32)[predicted]
    evaluator.update(logits, Masks(MaskArray(truth), facts.pixels, facts.hashes))
    document = {**evaluator.result().to_json(), "checkpoint": "step-00000001"}
    EVALUATION(json.loads(json.dumps(document)))
    return document


def test_objects_are_connected_at_sides_and_corners() -> None:
    """Components are SciPy's, of sparse, dense, empty and full masks of many shapes, and of single rows and columns."""
    generator = np.random.default_rng(0)
    for _ in range(300):
        mask = generator.random(generator.integers(1, 14, 2)) < generator.choice([0, 0.1, 0.4, 0.6, 0.9, 1])
        labels, (expected, number) = components(mask), ndimage.label(mask, CORNERS)
        assert labels.max() == number
        assert len(set(zip(labels.flat, expected.flat, strict=True))) == len(np.unique(labels))
        assert ((labels == 0) == ~mask).all()


def test_rand_error_is_that_of_a_loop() -> None:
    """Objects that are merged, split, missed and invented; masks without objects have no error."""
    for truth, predicted in zip(blobs(1), blobs(2, 0.6), strict=True):
        expected = rand_error(ndimage.label(truth, CORNERS)[0], ndimage.label(predicted, CORNERS)[0])
        assert 0 < expected < 1
        assert adapted_rand_error(truth, predicted) == pytest.approx(expected, rel=1e-12)
        assert adapted_rand_error(truth, truth) == 0
    assert np.isnan(adapted_rand_error(np.zeros((3, 4), bool), np.ones((3, 4), bool)))


@pytest.mark.parametrize("classes", [("paper", "ink"), ("Background", "cell"), ("cell", "background")])
def test_foreground_is_scored(classes: tuple[str, ...]) -> None:
    """Dice is scikit-learn's F1 over all pixels; the Rand error is a mean over images; ignored pixels count nowhere."""
    label = int(classes != ("cell", "background"))
    truth, predicted = (np.where(masks, label, 1 - label) for masks in (blobs(3), blobs(4)))
    truth[3] = 1 - label  # An image without objects.
    counted = np.ones(truth.shape, bool)
    counted[:, 12:14] = False
    found = scored(np.where(counted, truth, 255).astype(np.uint8), predicted, classes)
    f1 = metrics.f1_score(truth[counted], predicted[counted], pos_label=label)
    assert found["dice"] == pytest.approx(f1, abs=1e-15)
    errors = [
        rand_error(*(ndimage.label((masks[row] == label) & counted[row], CORNERS)[0] for masks in (truth, predicted)))
        for row in range(3)
    ]
    assert found["adapted_rand_error"] == pytest.approx(np.mean(errors), rel=1e-12)
    assert found["foreground"] == classes[label]
    text = evaluation_page(found).text()
    assert f"Dice           {f1:.4f} of {classes[label]}, over all pixels" in text
    (tile,) = [tile for tile in SegmentationPages().tiles(found) if tile.term.startswith("Dice")]
    shown = f"Dice of {classes[label]} on test", f"{f1:.4f}", f"adapted Rand error of its objects {np.mean(errors):.4f}"
    assert (tile.term, tile.value, tile.remark) == shown
    assert f"Rand error     {np.mean(errors):.4f}, adapted: of the objects of {classes[label]}" in text


def test_what_is_not_there_is_not_scored() -> None:
    """Without foreground there is no score, with three classes not even a key."""
    nothing = np.zeros((1, 4, 4), np.uint8)
    found = scored(nothing, nothing)
    assert (found["dice"], found["adapted_rand_error"]) == (None, None)
    assert "Dice" not in evaluation_page(found).text()
    assert not {"dice", "adapted_rand_error", "foreground"} & scored(nothing, nothing, ("a", "b", "c")).keys()
