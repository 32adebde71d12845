"""How far an artifact's probabilities are from its run's."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import numpy.typing as npt

from cnncli.datasets.targets import ClassNumbers, Targets
from cnncli.tasks.outputs import NamedOutputs
from cnncli.tasks.parity import Difference, ScoreDrop, largest_difference
from cnncli.tasks.predictions import PredictionOptions
from cnncli.tasks.significance import paired_interval

Probabilities = npt.NDArray[np.floating[Any]]
Flags = npt.NDArray[np.bool_]

FAINT = 1e-6
"""Probabilities below it are rounding errors of the others."""


class ClassificationParity:
    """Differences between probabilities, and the drop in accuracy."""

    value, prediction, score, is_share = "a probability", "most probable class", "accuracy", True
    advice = ""

    def difference(self, outputs: NamedOutputs, expected: NamedOutputs) -> Difference:
        """Compare probabilities, also by their logarithms.

        Where a thousand classes are about equally probable, all probabilities are small, and so would be every
        difference of the probabilities themselves.
        """
        probabilities, of_run = outputs["probabilities"], expected["probabilities"]
        return Difference(
            max_abs_diff=largest_difference(outputs, expected),
            max_log_diff=_log_difference(probabilities, of_run),
            same=_same_class(probabilities, of_run),
        )

    def score_drop(
        self,
        outputs: NamedOutputs,
        expected: NamedOutputs,
        targets: Targets,
        options: PredictionOptions,  # noqa: ARG002 - a class has no place
    ) -> ScoreDrop:
        """Compare accuracies on the same examples."""
        labels = cast("ClassNumbers", targets).labels
        right, run_right = (named["probabilities"].argmax(axis=1) == labels for named in (outputs, expected))
        return ScoreDrop(
            artifact=float(right.mean()),
            run=float(run_right.mean()),
            drop=float(run_right.mean() - right.mean()),
            interval=paired_interval(run_right, right),
        )


def _log_difference(probabilities: Probabilities, expected: Probabilities) -> float:
    """Return the largest difference of the logarithms where the run's probability is not tiny."""
    seen = expected > FAINT
    return float(np.abs(np.log(np.maximum(probabilities[seen], 1e-12)) - np.log(expected[seen])).max())


def _same_class(probabilities: Probabilities, expected: Probabilities) -> Flags:
    """Whether the most probable class is the run's, or one that the run finds equally probable to 7 digits."""
    chosen = probabilities.argmax(axis=1)
    of_run: Flags = expected[np.arange(len(chosen)), chosen] >= expected.max(axis=1) - 1e-7
    return of_run
