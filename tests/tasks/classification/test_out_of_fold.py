"""One evaluation over the examples of all folds, against one of all their outputs and against scikit-learn."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.special import softmax
from sklearn import metrics

from cnncli.runs.evaluations import KeptEvaluation
from cnncli.tasks.classification.evaluator import evaluate_logits
from cnncli.tasks.task import get_task

CLASSES = tuple(f"class {number}" for number in range(7))


def kept(folder: Path, name: str, labels: np.ndarray, logits: np.ndarray, first: int) -> KeptEvaluation:
    """Write what a run keeps of a fold."""
    found = evaluate_logits("validation", CLASSES, labels, logits, [str(first + i) for i in range(len(labels))])
    (folder / name).write_text(found.csv(), encoding="utf-8")
    return KeptEvaluation({**found.to_json(), "checkpoint": "e0001"}, folder / name)


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
        assert found == (pytest.approx(expected) if isinstance(expected, float) else expected)


@pytest.mark.parametrize("sizes", [(40, 41, 39), (1, 60), (25, 25, 25, 25)], ids=str)
def test_folds_evaluate_as_all_their_examples(tmp_path: Path, sizes: tuple[int, ...]) -> None:
    """Every number: also the loss, the Brier score and the top-k accuracies, of which folds keep averages alone."""
    generator = np.random.default_rng(sum(sizes))
    labels = generator.integers(0, len(CLASSES), sum(sizes))
    logits = generator.normal(size=(sum(sizes), len(CLASSES)))
    logits[np.arange(len(labels)), labels] += 1
    ends = np.cumsum(sizes)
    folds = [
        kept(tmp_path, f"{end}.csv", labels[end - size : end], logits[end - size : end], end - size)
        for end, size in zip(ends, sizes, strict=True)
    ]
    document = get_task("classification").out_of_fold(folds).to_json()
    assert document["accuracy"] == metrics.accuracy_score(labels, logits.argmax(axis=1))
    assert document["loss"] == pytest.approx(metrics.log_loss(labels, softmax(logits, axis=1), labels=range(7)))
    for k, share in document["top_k_accuracy"].items():
        assert share == pytest.approx(metrics.top_k_accuracy_score(labels, logits, k=int(k), labels=range(7)))
    whole = evaluate_logits("validation", CLASSES, labels, logits).to_json()
    close(document, whole)
    get_task("classification").pages.form({**document, "checkpoint": "best"})
