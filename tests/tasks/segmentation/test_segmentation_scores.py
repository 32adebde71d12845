"""The scores of a segmentation, counted again from the masks by loops, SciPy and scikit-learn."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import ndimage, special
from sklearn import metrics

from cnncli.datasets.masks.scan import MaskFacts
from cnncli.datasets.masks.targets import MaskArray, Masks
from cnncli.errors import DataError
from cnncli.tasks.predictions import PredictionOptions
from cnncli.tasks.segmentation.boundaries import boundary_counts
from cnncli.tasks.segmentation.evaluation import Evaluation
from cnncli.tasks.segmentation.evaluator import SegmentationEvaluator
from cnncli.tasks.segmentation.planes import resized

CLASSES = ("sky", "road", "car", "tree", "train")
NUMBER, SIZE = len(CLASSES), (18, 22)


def targets(masks: np.ndarray) -> Masks:
    """Return masks as targets."""
    facts = MaskFacts.empty(len(masks), NUMBER)
    for row, mask in enumerate(masks):
        facts.set(row, mask)
    return Masks(MaskArray(masks), facts.pixels, facts.hashes)


@pytest.fixture(scope="module")
def masks() -> np.ndarray:
    """Six masks of patches, "train" in none of them, a tenth of the pixels without a class."""
    generator = np.random.default_rng(0)
    coarse = generator.integers(0, NUMBER - 1, (6, 6, 8)).astype(np.uint8)
    drawn = coarse.repeat(3, axis=1).repeat(3, axis=2)[:, :, : SIZE[1]]
    drawn[generator.random(drawn.shape) < 0.1] = 255
    return drawn


@pytest.fixture(scope="module")
def logits(masks: np.ndarray) -> np.ndarray:
    """Logits that are right more often than not, never largest for "train"."""
    drawn = np.random.default_rng(1).normal(0, 1, (*masks.shape, NUMBER)).astype(np.float32)
    drawn += 1.5 * np.eye(NUMBER + 1, dtype=np.float32)[np.where(masks == 255, NUMBER, masks)][..., :NUMBER]
    drawn[..., -1] = -9
    return drawn


@pytest.fixture(scope="module")
def evaluation(masks: np.ndarray, logits: np.ndarray) -> Evaluation:
    """Both batches, scored."""
    ids = [f"{row}.png" for row in range(6)]
    evaluator = SegmentationEvaluator("test", PredictionOptions(CLASSES, SIZE, "stretch"), ids)
    found = targets(masks)
    evaluator.update(logits[:4], found.take(np.arange(4)))
    evaluator.update(logits[4:], found.take(np.arange(4, 6)))
    return evaluator.result()


def test_scores_are_those_of_a_count(masks: np.ndarray, logits: np.ndarray, evaluation: Evaluation) -> None:
    """IoU, accuracies and F1 from one count of all pixels; a class that is nowhere is left out, not 0."""
    counted = masks != 255
    truth, predicted = masks[counted], logits.argmax(-1)[counted]
    ious = metrics.jaccard_score(truth, predicted, labels=range(NUMBER - 1), average=None)
    assert evaluation.mean_iou == pytest.approx(ious.mean(), abs=1e-15)
    assert evaluation.pixel_accuracy == metrics.accuracy_score(truth, predicted)
    assert evaluation.mean_accuracy == pytest.approx(metrics.balanced_accuracy_score(truth, predicted), abs=1e-15)
    precision, recall, f1, support = metrics.precision_recall_fscore_support(truth, predicted, labels=range(NUMBER - 1))
    rows = evaluation.per_class()
    for name, values in (("iou", ious), ("precision", precision), ("recall", recall), ("f1", f1), ("pixels", support)):
        np.testing.assert_allclose([row[name] for row in rows[:-1]], values, rtol=1e-12)
    assert [rows[-1][name] for name in ("iou", "precision", "recall", "f1", "pixels", "images")] == [None] * 4 + [0, 0]
    np.testing.assert_array_equal(
        evaluation.confusion, metrics.confusion_matrix(truth, predicted, labels=range(NUMBER))
    )
    weighted = metrics.jaccard_score(truth, predicted, average="weighted")
    assert evaluation.frequency_weighted_iou == pytest.approx(weighted, abs=1e-15)


def test_loss_and_calibration(masks: np.ndarray, logits: np.ndarray, evaluation: Evaluation) -> None:
    """The loss is the mean over images; the calibration error compares confidence and accuracy of all pixels."""
    log_probabilities = special.log_softmax(logits.astype(np.float64), axis=-1)
    losses = []
    for mask, values in zip(masks, log_probabilities, strict=True):
        losses.append(-np.mean([values[y, x, mask[y, x]] for y, x in np.argwhere(mask != 255)]))
    assert evaluation.loss == pytest.approx(np.mean(losses), rel=1e-5)
    counted = masks != 255
    confidences = np.exp(log_probabilities.max(axis=-1))[counted]
    right = (logits.argmax(-1) == masks)[counted]
    places = np.minimum((confidences.astype(np.float32) * 15).astype(int), 14)
    error = sum(abs(confidences[places == i].sum() - right[places == i].sum()) for i in range(15)) / len(right)
    assert evaluation.calibration()["ece"] == pytest.approx(error, abs=1e-6)
    assert sum(row["count"] for row in evaluation.calibration()["bins"]) == counted.sum()


def test_interval_is_a_bootstrap_over_images(masks: np.ndarray, logits: np.ndarray, evaluation: Evaluation) -> None:
    """A bootstrap of another generator, drawn image by image, has about the same percentiles."""
    generator, predicted, means = np.random.default_rng(7), logits.argmax(-1), []
    for _ in range(1500):
        rows = generator.integers(0, 6, 6)
        counted = masks[rows] != 255
        truth, found = masks[rows][counted], predicted[rows][counted]
        counts = [(np.sum((truth == c) & (found == c)), np.sum((truth == c) | (found == c))) for c in range(NUMBER)]
        means.append(np.mean([both / either for both, either in counts if either]))
    np.testing.assert_allclose(evaluation.interval(), np.percentile(means, (2.5, 97.5)), atol=0.01)
    low, high = evaluation.interval()
    assert low < evaluation.mean_iou < high


def test_exported_outputs_score_the_same(masks: np.ndarray, logits: np.ndarray, evaluation: Evaluation) -> None:
    """Probabilities instead of logits lead to the same counts and the same loss."""
    evaluator = SegmentationEvaluator("test", PredictionOptions(CLASSES, SIZE, "stretch"), ["a"] * 6)
    probabilities = special.softmax(logits, axis=-1)
    evaluator.update_exported({"mask": probabilities.argmax(-1), "probabilities": probabilities}, targets(masks))
    found = evaluator.result()
    np.testing.assert_array_equal(found.confusion, evaluation.confusion)
    assert found.loss == pytest.approx(evaluation.loss, rel=1e-4)


def test_masks_of_other_sizes_are_measured_in_their_own_pixels() -> None:
    """A plane of four quarters, brought to 40 × 30 pixels, meets a mask of four quarters; padding is cut off before."""
    plane = np.full((1, 2, 2, NUMBER), -20, np.float32)
    for label, (y, x) in enumerate(np.ndindex(2, 2)):
        plane[0, y, x, label] = 20
    quarters = np.arange(4, dtype=np.uint8).reshape(2, 2)
    large = quarters.repeat(20, axis=0).repeat(15, axis=1)
    evaluator = SegmentationEvaluator("test", PredictionOptions(CLASSES, (8, 8), "stretch"))
    evaluator.update(plane, targets(large[None]))
    assert evaluator.result().pixel_accuracy == 1.0
    # 40 × 20 pixels are shown in the middle 4 columns of 8 × 8.
    padded = np.zeros((1, 8, 8, NUMBER), np.float32)
    padded[..., 4] = 9
    padded[0, :, 2:6, 4] = -9
    padded[0, :4, 2:6, 0] = padded[0, 4:, 2:6, 1] = 9
    tall = np.array([[0], [1]], np.uint8).repeat(20, axis=0).repeat(20, axis=1)
    evaluator = SegmentationEvaluator("test", PredictionOptions(CLASSES, (8, 8), "pad"))
    evaluator.update(padded, targets(tall[None]))
    assert evaluator.result().pixel_accuracy == 1.0


def test_planes_are_resized_as_tensorflow_does() -> None:
    """Larger and smaller, odd and even: bilinear with aligned pixel centres."""
    tf = pytest.importorskip("tensorflow")
    planes = np.random.default_rng(3).normal(size=(5, 7, 6)).astype(np.float32)
    for size in ((14, 12), (11, 17), (3, 4), (7, 6), (1, 1), (361, 479)):
        expected = tf.image.resize(planes.transpose(1, 2, 0), size).numpy().transpose(2, 0, 1)
        np.testing.assert_allclose(resized(planes, size), expected, rtol=1e-5, atol=1e-6)


def test_boundaries_are_those_of_a_distance(masks: np.ndarray) -> None:
    """Outline pixels near another outline, up to 0.75 % of the diagonal, by SciPy's distance transform."""
    generator = np.random.default_rng(4)
    truth = ndimage.zoom(masks[0], 8, order=0)
    predicted = ndimage.shift(np.where(truth == 255, 0, truth), (1, 2), order=0, mode="nearest")
    predicted[generator.random(predicted.shape) < 0.01] = 3
    radius = max(1, round(0.0075 * np.hypot(*truth.shape)))
    assert radius > 1
    counts = boundary_counts(truth, predicted, NUMBER)
    for label in range(NUMBER):
        of_truth = _outline(truth == label)
        of_prediction = _outline((predicted == label) & (truth != 255))
        near_truth = ndimage.distance_transform_edt(~of_truth) <= radius if of_truth.any() else of_truth
        near_prediction = ndimage.distance_transform_edt(~of_prediction) <= radius
        assert counts.true[label] == of_truth.sum()
        assert counts.predicted[label] == of_prediction.sum()
        assert counts.found[label] == (of_prediction & near_truth).sum()
        assert counts.met[label] == ((of_truth & near_prediction).sum() if of_prediction.any() else 0)
    precision, recall = counts.found[:4] / counts.predicted[:4], counts.met[:4] / counts.true[:4]
    f1 = counts.f1()
    np.testing.assert_allclose(f1[:4], 2 * precision * recall / (precision + recall))
    assert np.isnan(f1[4])


def _outline(inside: np.ndarray) -> np.ndarray:
    padded = np.pad(inside, 1, mode="edge")
    cross = ndimage.generate_binary_structure(2, 1)
    return inside & ~ndimage.binary_erosion(padded, cross, border_value=1)[1:-1, 1:-1]


@pytest.mark.parametrize(("shape", "radius"), [((30, 26), 1), ((150, 220), 2), ((8, 660), 5)])
def test_boundaries_agree_within_a_disc(shape: tuple[int, int], radius: int) -> None:
    """Scattered patches, at the image's edges too: they are near where SciPy's dilation by a disc covers them."""
    drawn = np.random.default_rng(5).random((2, *shape))
    truth, predicted = np.where(drawn < 0.01, 1, np.where(drawn > 0.985, 2, 0)).astype(np.uint8)
    counts = boundary_counts(truth, predicted, 3)
    y, x = np.mgrid[-radius : radius + 1, -radius : radius + 1]
    disc = y**2 + x**2 <= radius**2
    for label in range(3):
        of_truth, of_prediction = _outline(truth == label), _outline(predicted == label)
        assert counts.true[label] == of_truth.sum()
        assert counts.found[label] == (of_prediction & ndimage.binary_dilation(of_truth, disc)).sum()
        assert counts.met[label] == (of_truth & ndimage.binary_dilation(of_prediction, disc)).sum() > 0


def test_lines_of_the_table(evaluation: Evaluation) -> None:
    """A line for each image, with its scores and the pixels of each class."""
    lines = evaluation.csv().splitlines()
    assert lines[0] == "example,mean_iou,pixel_accuracy,loss,shared,true,predicted,boundary_f1,adapted_rand_error"
    assert len(lines) == 7
    name, iou, accuracy, _, shared, true, _, boundary, rand_error = lines[1].split(",")
    assert name == "0.png"
    assert [int(n) for n in shared.split()] == evaluation.shared[0].tolist()
    assert float(accuracy) == evaluation.shared[0].sum() / sum(int(n) for n in true.split())
    assert 0 < float(iou) < 1
    assert evaluation.boundary_scores is not None
    np.testing.assert_array_equal([float(n) for n in boundary.split()], evaluation.boundary_scores[0])
    assert rand_error == ""  # of two classes only


def test_what_has_no_pixels_that_count() -> None:
    """Masks without any class are measured as nothing; a split without images is an error."""
    empty = SegmentationEvaluator("test", PredictionOptions(CLASSES, (4, 4), "stretch"), ["a"])
    with pytest.raises(DataError, match="no examples"):
        empty.result()
    empty.update(np.zeros((1, 4, 4, NUMBER), np.float32), targets(np.full((1, 4, 4), 255, np.uint8)))
    document: dict[str, Any] = empty.result().to_json()
    assert (document["mean_iou"], document["loss"], document["num_pixels"]) == (0.0, 0.0, 0)
    assert [row["iou"] for row in document["per_class"]] == [None] * NUMBER
