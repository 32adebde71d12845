"""How much each class counts in the loss."""

from __future__ import annotations

import numpy as np
import pytest

from cnncli.errors import DataError
from cnncli.tasks.class_weights import class_weights

LABELS = np.array([0] * 6 + [1] * 3 + [2])
COUNTS = np.array([6, 3, 1, 0])
CLASSES = ("cat", "dog", "emu", "fox")


def test_none_is_no_weight():
    """All classes count alike."""
    assert class_weights("none", CLASSES, COUNTS) is None


def test_balanced_weighs_classes_alike():
    """Every class with examples weighs the same in total, the mean weight is 1, an empty class has 0."""
    weights = class_weights("balanced", CLASSES, COUNTS)
    np.testing.assert_allclose(weights, [10 / 18, 10 / 9, 10 / 3, 0], rtol=1e-6)
    totals = [weights[label] * (label == LABELS).sum() for label in range(3)]
    np.testing.assert_allclose(totals, totals[0])
    np.testing.assert_allclose(weights[LABELS].mean(), 1)


def test_inverse_log_weighs_rare_classes_more():
    """1 / ln(1.02 + frequency): a class that is everywhere gets 1.42, one that never occurs 50.5."""
    weights = class_weights("inverse_log", CLASSES, COUNTS)
    np.testing.assert_allclose(weights, [1 / np.log(1.02 + f) for f in (0.6, 0.3, 0.1, 0.0)], rtol=1e-6)
    assert weights[3] == pytest.approx(50.498, abs=1e-2)


def test_named_weights():
    """Classes without a name in the mapping get 1."""
    assert class_weights({"dog": 2.5}, CLASSES, COUNTS).tolist() == [1, 2.5, 1, 1]


def test_an_unknown_name_is_an_error():
    """A misspelt class is answered with the nearest."""
    with pytest.raises(DataError, match='"dgo"') as caught:
        class_weights({"dgo": 2.0}, CLASSES, COUNTS)
    assert caught.value.hint == 'Did you mean "dog"?'
