"""How much each class counts in the loss."""

from __future__ import annotations

import numpy as np
import pytest

from cnncli.errors import DataError
from cnncli.tasks.classification.class_weights import class_weights

LABELS = np.array([0] * 6 + [1] * 3 + [2])
CLASSES = ("cat", "dog", "emu", "fox")


def test_none_is_no_weight():
    """All classes count alike."""
    assert class_weights("none", CLASSES, LABELS) is None


def test_balanced_weighs_classes_alike():
    """Every class with examples weighs the same in total, the mean weight is 1, an empty class has 0."""
    weights = class_weights("balanced", CLASSES, LABELS)
    np.testing.assert_allclose(weights, [10 / 18, 10 / 9, 10 / 3, 0], rtol=1e-6)
    totals = [weights[label] * (label == LABELS).sum() for label in range(3)]
    np.testing.assert_allclose(totals, totals[0])
    np.testing.assert_allclose(weights[LABELS].mean(), 1)


def test_named_weights():
    """Classes without a name in the mapping get 1."""
    assert class_weights({"dog": 2.5}, CLASSES, LABELS).tolist() == [1, 2.5, 1, 1]


def test_an_unknown_name_is_an_error():
    """A misspelt class is answered with the nearest."""
    with pytest.raises(DataError, match='"dgo"') as caught:
        class_weights({"dgo": 2.0}, CLASSES, LABELS)
    assert caught.value.hint == 'Did you mean "dog"?'
