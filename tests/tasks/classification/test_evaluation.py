"""Every number of an evaluation, against scikit-learn, SciPy and plain NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import special, stats
from sklearn import metrics

from cnncli.datasets.targets import ClassNumbers
from cnncli.errors import DataError
from cnncli.tasks.classification.calibration import Bin, calibration
from cnncli.tasks.classification.evaluation import Evaluation
from cnncli.tasks.classification.evaluator import ClassificationEvaluator, evaluate_logits, log_softmax
from cnncli.tasks.significance import wilson_interval

CASES = {
    "balanced": {"seed": 0, "examples": 500, "classes": 10, "sharpness": 2.0},
    "two classes": {"seed": 1, "examples": 300, "classes": 2, "sharpness": 1.0},
    "few examples, many classes": {"seed": 2, "examples": 30, "classes": 40, "sharpness": 4.0},
    "nearly always right": {"seed": 3, "examples": 2000, "classes": 5, "sharpness": 12.0},
    "one example": {"seed": 4, "examples": 1, "classes": 3, "sharpness": 1.0},
}


def answers(seed: int, examples: int, classes: int, sharpness: float) -> tuple[Evaluation, np.ndarray]:
    """Return an evaluation of random logits that lean towards the truth, and the logits."""
    generator = np.random.default_rng(seed)
    labels = generator.integers(0, classes, examples)
    logits = generator.normal(size=(examples, classes)).astype(np.float32)
    logits[np.arange(examples), labels] += generator.normal(sharpness, 1.0, examples)
    names = tuple(f"class {i}" for i in range(classes))
    return evaluate_logits("test", names, labels, logits, [str(i) for i in range(examples)]), logits


@pytest.fixture(params=CASES.values(), ids=CASES.keys())
def case(request: pytest.FixtureRequest) -> tuple[Evaluation, np.ndarray]:
    """Return one of the cases."""
    return answers(**request.param)


def test_loss_is_cross_entropy(case: tuple[Evaluation, np.ndarray]) -> None:
    """The loss is what SciPy's log-softmax and scikit-learn's log loss give."""
    evaluation, logits = case
    exact = special.log_softmax(logits.astype(np.float64), axis=1)
    expected = -exact[np.arange(len(evaluation)), evaluation.labels].mean()
    assert evaluation.loss == pytest.approx(expected, abs=1e-12)
    labels = list(range(len(evaluation.classes)))
    probabilities = special.softmax(logits.astype(np.float64), axis=1)
    assert evaluation.loss == pytest.approx(metrics.log_loss(evaluation.labels, probabilities, labels=labels), abs=1e-6)


def test_shares_equal_scikit_learn(case: tuple[Evaluation, np.ndarray]) -> None:
    """Accuracy, balanced accuracy and top-k accuracy."""
    evaluation, logits = case
    labels = list(range(len(evaluation.classes)))
    assert evaluation.accuracy == pytest.approx(metrics.accuracy_score(evaluation.labels, evaluation.predicted))
    recalls = metrics.recall_score(
        evaluation.labels, evaluation.predicted, average=None, labels=labels, zero_division=0
    )
    occurring = np.isin(labels, evaluation.labels)
    assert evaluation.balanced_accuracy == pytest.approx(recalls[occurring].mean(), abs=1e-12)
    if len(labels) > 2:
        for k in range(1, min(6, len(labels))):
            expected = metrics.top_k_accuracy_score(evaluation.labels, logits, k=k, labels=labels)
            assert evaluation.top_k_accuracy(k) == pytest.approx(expected, abs=1e-12)


def test_classes_equal_scikit_learn(case: tuple[Evaluation, np.ndarray]) -> None:
    """Precision, recall, F1 and support of each class, macro and weighted; the confusion matrix."""
    evaluation, _ = case
    labels = list(range(len(evaluation.classes)))
    truth, predicted = evaluation.labels, evaluation.predicted
    expected = metrics.precision_recall_fscore_support(truth, predicted, labels=labels, zero_division=0)
    rows = evaluation.per_class()
    for name, values in zip(("precision", "recall", "f1", "support"), expected, strict=True):
        assert [row[name] for row in rows] == pytest.approx(values, abs=1e-12), name
    for kind in ("macro", "weighted"):
        scores = metrics.precision_recall_fscore_support(truth, predicted, average=kind, zero_division=0)[:3]
        assert list(evaluation.averages()[kind].values()) == pytest.approx(scores, abs=1e-12), kind
    assert (evaluation.confusion_matrix() == metrics.confusion_matrix(truth, predicted, labels=labels)).all()


def test_calibration_equals_a_plain_loop(case: tuple[Evaluation, np.ndarray]) -> None:
    """The expected calibration error, bin by bin in plain Python."""
    evaluation, _ = case
    found = evaluation.calibration(bins=15)
    expected, counted = 0.0, 0
    for number in range(15):
        low, high = number / 15, (number + 1) / 15
        inside = [
            (p, c)
            for p, c in zip(evaluation.confidences, evaluation.correct, strict=True)
            if low < p <= high or p == low == 0
        ]
        if inside:
            confidence = sum(p for p, _ in inside) / len(inside)
            accuracy = sum(bool(c) for _, c in inside) / len(inside)
            expected += len(inside) / len(evaluation) * abs(confidence - accuracy)
            counted += 1
    assert found.expected_error == pytest.approx(expected, abs=1e-12)
    assert len(found.bins) == counted
    assert sum(part.count for part in found.bins) == len(evaluation)


def test_a_bin_holds_its_upper_bound() -> None:
    """Confidences on the bounds and at both ends, bin by bin."""
    confidences = np.array([0.0, 0.25, 0.2500001, 0.5, 0.5, 1.0])
    correct = np.array([True, False, True, True, False, False])
    found = calibration(confidences, correct, num_bins=4)
    assert found.bins == (
        Bin(0.0, 0.25, 2, 0.125, 0.5),
        Bin(0.25, 0.5, 3, pytest.approx((0.2500001 + 1) / 3), pytest.approx(2 / 3)),
        Bin(0.75, 1.0, 1, 1.0, 0.0),
    )
    assert found.num_bins == 4
    gaps = [0.375, abs((0.2500001 + 1) / 3 - 2 / 3), 1.0]
    assert found.expected_error == pytest.approx((2 * gaps[0] + 3 * gaps[1] + gaps[2]) / 6)
    assert found.largest_error == 1.0
    assert found.to_json() == {
        "ece": found.expected_error,
        "largest_error": 1.0,
        "num_bins": 4,
        "bins": [
            {"low": b.low, "high": b.high, "count": b.count, "confidence": b.confidence, "accuracy": b.accuracy}
            for b in found.bins
        ],
    }
    assert calibration(confidences, correct).num_bins == 15


def test_ties_go_to_the_first_class() -> None:
    """Of 100 classes that are equally probable, the first are the most probable ones."""
    logits = np.zeros((100, 100), np.float32)
    evaluation = evaluate_logits("test", tuple(map(str, range(100))), np.arange(100), logits)
    assert evaluation.predicted.tolist() == [0] * 100
    assert [evaluation.top_k_accuracy(k) for k in (1, 5, 50, 100)] == [0.01, 0.05, 0.5, 1.0]


def test_brier_score_of_two_classes_is_twice_scikit_learn() -> None:
    """Scikit-learn's score of two classes counts one of them; ours, as Brier's, both."""
    evaluation, logits = answers(**CASES["two classes"])
    expected = 2 * metrics.brier_score_loss(evaluation.labels, special.softmax(logits.astype(np.float64), axis=1)[:, 1])
    assert evaluation.brier_score() == pytest.approx(expected, abs=1e-12)


def test_margin_is_the_gap_to_the_next_class(case: tuple[Evaluation, np.ndarray]) -> None:
    """The margin equals the difference of the two largest probabilities, sorted."""
    evaluation, logits = case
    ordered = np.sort(special.softmax(logits.astype(np.float64), axis=1), axis=1)
    assert evaluation.margins == pytest.approx(ordered[:, -1] - ordered[:, -2], abs=1e-15)


@pytest.mark.parametrize("size", [1, 7, 256])
def test_batches_add_up_to_the_whole(case: tuple[Evaluation, np.ndarray], size: int) -> None:
    """Scored batch by batch, a split gives the same numbers to the last bit."""
    evaluation, logits = case
    evaluator = ClassificationEvaluator("test", evaluation.classes, evaluation.ids)
    for start in range(0, len(logits), size):
        evaluator.update(logits[start : start + size], ClassNumbers(evaluation.labels[start : start + size]))
    assert evaluator.result().to_json() == evaluation.to_json()
    assert evaluator.result().csv() == evaluation.csv()


def test_huge_logits_stay_finite() -> None:
    """Logits of 10⁴ give a loss and probabilities without NaN."""
    logits = np.array([[1e4, 0.0, -1e4]], np.float32)
    assert np.isfinite(log_softmax(logits)).all()
    assert evaluate_logits("test", ("a", "b", "c"), np.array([2]), logits).loss == pytest.approx(2e4)


def test_no_example_is_an_error() -> None:
    """An empty split is reported, not divided by."""
    with pytest.raises(DataError, match="no examples"):
        evaluate_logits("validation", ("a",), np.array([], np.int64), np.empty((0, 1), np.float32))


@pytest.mark.parametrize(
    ("successes", "trials"), [(0, 1), (1, 1), (0, 10), (10, 10), (1, 2), (98, 100), (349, 355), (9855, 10000)]
)
def test_wilson_interval_equals_scipy(successes: int, trials: int) -> None:
    """The interval is SciPy's for the same counts."""
    expected = stats.binomtest(successes, trials).proportion_ci(0.95, method="wilson")
    assert wilson_interval(successes, trials) == pytest.approx((expected.low, expected.high), abs=1e-12)


@pytest.mark.parametrize(("share", "trials"), [(0.5, 200), (0.9, 1000), (0.97, 1000), (0.99, 10000)])
def test_wilson_interval_covers_95_percent(share: float, trials: int) -> None:
    """Of 10,000 simulated test sets, 94 to 96 % have the true accuracy inside their interval."""
    counts = np.random.default_rng(7).binomial(trials, share, 10_000)
    intervals = {count: wilson_interval(count, trials) for count in set(counts.tolist())}
    covered = np.mean([intervals[c][0] <= share <= intervals[c][1] for c in counts.tolist()])
    assert 0.94 <= covered <= 0.96


def test_document_holds_plain_numbers() -> None:
    """What is printed as JSON has the agreed fields, and no NumPy in it."""
    import json

    document: dict[str, Any] = answers(**CASES["balanced"])[0].to_json()
    agreed = "split num_examples loss accuracy accuracy_interval top_5_accuracy classes confusion_matrix per_class"
    assert set(agreed.split()) <= set(document)
    assert json.loads(json.dumps(document)) == document
