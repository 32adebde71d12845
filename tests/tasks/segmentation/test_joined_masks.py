"""One evaluation over the held-out images of all folds, against NumPy, SciPy and scikit-learn on the masks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import ndimage
from sklearn import metrics

from cnncli.datasets.masks.scan import MaskFacts
from cnncli.datasets.masks.targets import MaskArray, Masks
from cnncli.errors import RunError
from cnncli.runs.evaluations import KeptEvaluation
from cnncli.tasks.predictions import PredictionOptions
from cnncli.tasks.segmentation.evaluator import SegmentationEvaluator
from cnncli.tasks.task import get_task

SIZE = (14, 18)
FOLDS = ([0, 4, 5, 9], [1, 2, 8], [3, 6, 7])
"""Rows of the images."""


def evaluated(truth: np.ndarray, probabilities: np.ndarray, rows: list[int]) -> Any:
    """Evaluate some of the images."""
    classes = ("background", "cell", "edge", "never")[: probabilities.shape[-1]]
    facts = MaskFacts.empty(len(rows), len(classes))
    for place, row in enumerate(rows):
        facts.set(place, truth[row])
    evaluator = SegmentationEvaluator("validation", PredictionOptions(classes, SIZE, "stretch"), list(map(str, rows)))
    targets = Masks(MaskArray(truth[rows]), facts.pixels, facts.hashes)
    evaluator.update_exported({"probabilities": probabilities[rows]}, targets)
    return evaluator.result()


def scene(num_classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Return masks with blocks of classes, some pixels ignored, and probabilities that are mostly right."""
    generator = np.random.default_rng(num_classes)
    used = min(num_classes, 3)
    blocks = generator.integers(0, used, (10, 7, 6))
    truth = blocks.repeat(2, axis=1).repeat(3, axis=2).astype(np.uint8)
    logits = generator.normal(size=(*truth.shape, num_classes)) + 1.5 * np.eye(num_classes)[truth]
    logits[..., used:] -= 40
    truth[:, 0, :5] = 255
    truth[7] = 0
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=-1, keepdims=True)
    return truth, probabilities.astype(np.float32)


@pytest.fixture(params=[2, 4])
def joined(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[np.ndarray, np.ndarray, Any, list[KeptEvaluation]]:
    """Return masks, probabilities, the evaluation joined of three folds, and what each fold keeps."""
    truth, probabilities = scene(request.param)
    folds = []
    for number, rows in enumerate(FOLDS):
        found, file = evaluated(truth, probabilities, rows), tmp_path / f"{number}.csv"
        file.write_text(found.csv(), encoding="utf-8")
        folds.append(KeptEvaluation({**found.to_json(), "checkpoint": "e0001"}, file))
    return truth, probabilities, get_task("segmentation").out_of_fold(folds), folds


def test_all_folds_are_counted_as_one(joined: Any) -> None:
    """One confusion matrix of all pixels, and the scores of NumPy and scikit-learn over it."""
    truth, probabilities, found, _ = joined
    document, predicted = found.to_json(), probabilities.argmax(axis=-1)
    counted = truth < probabilities.shape[-1]
    labels = range(probabilities.shape[-1])
    matrix = metrics.confusion_matrix(truth[counted], predicted[counted], labels=labels)
    assert document["confusion_matrix"] == matrix.tolist()
    known = [k for k in labels if ((truth == k) | (predicted == k))[counted].any()]
    ious = [
        ((truth == k) & (predicted == k))[counted].sum() / ((truth == k) | (predicted == k))[counted].sum()
        for k in known
    ]
    assert document["mean_iou"] == pytest.approx(np.mean(ious), abs=1e-12)
    assert document["mean_iou"] != pytest.approx(
        np.mean([evaluated(truth, probabilities, rows).mean_iou for rows in FOLDS])
    )
    assert document["pixel_accuracy"] == metrics.accuracy_score(truth[counted], predicted[counted])
    assert document["num_examples"] == len(truth)
    assert document["num_pixels"] == counted.sum()
    ones = (np.minimum(probabilities[counted].max(axis=-1) * 15, 14)).astype(int)
    assert [row["count"] for row in document["calibration"]["bins"]] == [n for n in np.bincount(ones).tolist() if n]
    get_task("segmentation").pages.form({**document, "checkpoint": "best"})


def test_objects_are_compared_image_by_image(joined: Any) -> None:
    """Two classes have the mean adapted Rand error of all images with objects; more have none."""
    truth, probabilities, found, _ = joined
    if probabilities.shape[-1] > 2:
        assert "adapted_rand_error" not in found.to_json()
        return
    predicted = (probabilities.argmax(axis=-1) == 1) & (truth < 2)
    errors = [rand_error(*pair) for pair in zip(truth == 1, predicted, strict=True) if pair[0].any()]
    assert len(errors) == len(truth) - 1
    assert found.to_json()["adapted_rand_error"] == pytest.approx(np.mean(errors), abs=1e-12)


def rand_error(truth: np.ndarray, predicted: np.ndarray) -> float:
    """Return 1 − the F-score over all pairs of true foreground pixels, with SciPy's connected components."""
    one, other = (ndimage.label(mask, np.ones((3, 3)))[0][truth] for mask in (truth, predicted))
    same, found = (np.triu(labels[:, None] == labels, 1) for labels in (one, other))
    return 1 - 2 * (same & found).sum() / (same.sum() + found.sum())


def test_nothing_is_lost_between_the_folds(joined: Any) -> None:
    """Every number is that of an evaluation of all images at once, also of the outlines, losses and confidences."""
    truth, probabilities, found, _ = joined
    whole = evaluated(truth, probabilities, [row for rows in FOLDS for row in rows])
    assert found.csv() == whole.csv()
    close(found.to_json(), whole.to_json())


def test_missing_predictions_are_told(joined: Any) -> None:
    """Without them the images cannot be put together."""
    *_, folds = joined
    folds[1].predictions_file.unlink()
    with pytest.raises(RunError, match=r"1\.csv cannot be read: there is no such file"):
        get_task("segmentation").out_of_fold(folds)


def close(found: Any, expected: Any) -> None:
    """Compare documents; numbers nearly."""
    if isinstance(expected, dict):
        assert found.keys() == expected.keys()
        for key in expected:
            close(found[key], expected[key])
    elif isinstance(expected, list):
        assert len(found) == len(expected)
        for one, other in zip(found, expected, strict=True):
            close(one, other)
    else:
        assert found == (pytest.approx(expected, abs=1e-12) if isinstance(expected, float) else expected)
