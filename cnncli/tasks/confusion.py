"""What tasks with classes show of a confusion matrix, and what one in a stored evaluation must be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from cnncli.files.form import Unexpected

LARGEST_MATRIX = 120
"""Classes up to which the whole matrix is drawn; beyond, the most frequent confusions are listed."""

MOST_LISTED = 100

SHADES = (0.0, 0.02, 0.1, 0.3, 0.6, 0.85)
"""Shares of a row from which on a cell is darker."""


def confusions(classes: Sequence[str], matrix: Sequence[Sequence[int]]) -> list[tuple[int, str, str]]:
    """Return number, true and predicted class of every confusion, most frequent first."""
    found = [
        (count, true, predicted)
        for true, counts in zip(classes, matrix, strict=True)
        for predicted, count in zip(classes, counts, strict=True)
        if count and true != predicted
    ]
    return sorted(found, key=lambda entry: -entry[0])


def require_agreement(document: Mapping[str, Any], total: str, accuracy: str) -> None:
    """Refuse an evaluation whose numbers are not those of its confusion matrix.

    Args:
        document: The evaluation, of whose values the kinds are known to be right.
        total: Key of the number of all that is counted.
        accuracy: Key of the share that is right.

    Raises:
        Unexpected: Which says what the matrix has.
    """
    matrix, size = document["confusion_matrix"], len(document["classes"])
    if len(matrix) != size or any(len(row) != size for row in matrix):
        raise Unexpected(matrix, f"a confusion matrix of {size} × {size} numbers, one for each two classes")
    counted, right = sum(map(sum, matrix)), sum(row[place] for place, row in enumerate(matrix))
    if counted != document[total]:
        raise Unexpected(document[total], f"{total} {counted}, the sum of the confusion matrix")
    if counted and abs(document[accuracy] - right / counted) > 1e-9:
        raise Unexpected(document[accuracy], f"the accuracy of the confusion matrix, {right / counted:.6f}")
