"""The detector of images unlike those of training: its scores, its thresholds, and how often it is wrong."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from scipy import special

from cnncli.tasks.classification.evaluator import evaluate_logits
from cnncli.tasks.classification.ood import EnergyDetector, energies
from cnncli.tasks.classification.task import ClassificationTask
from cnncli.tasks.predictions import PredictionOptions

CLASSES = ("a", "b", "c")


def logits_of(number: int, seed: int = 0) -> np.ndarray:
    """Return random logits (number, 3)."""
    return np.random.default_rng(seed).normal(0, 3, (number, 3)).astype(np.float32)


def detector_of(logits: np.ndarray) -> EnergyDetector | None:
    """Return the detector whose held-out examples have these logits."""
    labels = np.zeros(len(logits), np.int64)
    return EnergyDetector.of(evaluate_logits("validation", CLASSES, labels, logits))


def test_energy_is_scipy_s() -> None:
    """−log Σ exp(logit), also of logits whose exponentials are out of float64's range."""
    logits = logits_of(50) * np.logspace(-2, 3, 50)[:, None].astype(np.float32)
    expected = -special.logsumexp(logits.astype(np.float64), axis=1)
    np.testing.assert_allclose(energies(logits), expected, rtol=1e-6)


@pytest.mark.parametrize("number", [20, 98, 99, 150, 198, 199, 6000])
def test_as_many_examples_lie_beyond_as_is_stated(number: int) -> None:
    """Of n examples and one more, at most 1 % lie at or beyond the thresholds: one alone where that is too few."""
    logits = logits_of(number)
    detector = detector_of(logits)
    probabilities = special.softmax(logits.astype(np.float64), axis=1).max(axis=1)
    beyond = round(detector.false_alarm_rate * (number + 1))
    assert beyond == max(1, (number + 1) // 100)
    scipy_energies = -special.logsumexp(logits.astype(np.float64), axis=1)
    assert (scipy_energies > detector.energy + 1e-6).sum() == beyond - 1
    assert (scipy_energies > detector.energy - 1e-6).sum() == beyond
    assert (probabilities < detector.confidence - 1e-9).sum() == beyond - 1
    assert (probabilities < detector.confidence + 1e-9).sum() == beyond


@pytest.mark.parametrize("number", [30, 500])
def test_false_alarms_come_at_the_stated_rate(number: int) -> None:
    """Over 400 sets of held-out examples, new ones of the same kind are warned about as often as stated."""
    rates: Counter[str] = Counter()
    for seed in range(400):
        detector = detector_of(logits_of(number, seed))
        new = logits_of(1000, 10_000 + seed)
        rates["energy"] += np.mean([score.unlike for score in detector.scores({"logits": new})])
        of_probabilities = detector.scores({"probabilities": special.softmax(new.astype(np.float64), axis=1)})
        rates["confidence"] += np.mean([score.unlike for score in of_probabilities])
    for total in rates.values():
        assert total / 400 == pytest.approx(detector.false_alarm_rate, rel=0.15)


def test_what_is_said() -> None:
    """A warning says what was computed, the limit, and how few held-out images lie beyond it."""
    detector = EnergyDetector("validation", 5999, 0.01, -5.5, 0.56)
    one, two = detector.scores({"logits": np.array([[1.0, 1.0, 1.0], [9.0, 0.0, 0.0]])})
    assert one.unlike
    assert one.warning == (
        "it looks unlike the training images: its energy is -2.10, above -5.50; "
        "so is that of only 1.0 % of the validation images"
    )
    assert (two.score, two.threshold, two.unlike) == ("energy", -5.5, False)
    assert two.value == pytest.approx(-special.logsumexp([9, 0, 0]))
    (three,) = detector.scores({"probabilities": np.array([[0.4, 0.3, 0.3]])})
    assert three.unlike
    assert "the confidence is 40.0 %, below 56.0 %; so is" in three.warning
    assert three.to_json() == {"score": "confidence", "value": 0.4, "threshold": 0.56, "unlike": True}


def test_the_two_numbers_of_a_warning_differ() -> None:
    """A value just beyond its limit is written with as many decimals as it takes to see that."""
    detector = EnergyDetector("validation", 5999, 0.01, -2.4706, 0.5)
    (energy,) = detector.scores({"logits": np.array([[2.4698, -900.0]])})
    assert "its energy is -2.470, above -2.471; so is" in energy.warning
    (confidence,) = detector.scores({"probabilities": np.array([[0.49999, 0.4]])})
    assert "the confidence is 49.999 %, below 50.000 %; so is" in confidence.warning
    least = np.nextafter(0.5, 0)
    (confidence,) = detector.scores({"probabilities": np.array([[least, 0.4]])})
    assert f"is {100 * least:.14f} %, below 50.00000000000000 %" in confidence.warning


def test_not_a_number_is_unlike_everything() -> None:
    """A network that computes no number for an image was not trained for it."""
    detector = EnergyDetector("validation", 5999, 0.01, -5.5, 0.56)
    nan = np.full((1, 3), np.nan)
    assert [score.unlike for score in detector.scores({"logits": nan}) + detector.scores({"probabilities": nan})] == [
        True,
        True,
    ]


def test_too_little_to_go_by() -> None:
    """There is no detector from few examples, from infinite logits, or from probabilities alone."""
    assert detector_of(logits_of(19)) is None
    assert detector_of(logits_of(20)) is not None
    infinite = logits_of(30)
    infinite[3] = np.inf
    with np.errstate(invalid="ignore"):
        assert detector_of(infinite) is None
    evaluator = ClassificationTask().evaluator("test", PredictionOptions(CLASSES, (8, 8), "stretch"))
    from cnncli.datasets.targets import ClassNumbers

    evaluator.update_exported({"probabilities": np.full((30, 3), 1 / 3)}, ClassNumbers(np.zeros(30, np.int64)))
    assert ClassificationTask().ood_detector(evaluator.result()) is None


def test_plain_data_come_back() -> None:
    """What is written is read again; anything else is no detector."""
    task, detector = ClassificationTask(), detector_of(logits_of(50))
    assert task.read_ood_detector(detector.to_json()) == detector
    assert task.read_ood_detector({}) is None
    assert task.read_ood_detector({**detector.to_json(), "more": 1}) is None
