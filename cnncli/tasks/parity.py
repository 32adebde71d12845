"""How far an artifact's outputs are from its run's, and how a task measures it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
import numpy.typing as npt

from cnncli.tasks.outputs import NamedOutputs

if TYPE_CHECKING:
    from cnncli.datasets.targets import Targets
    from cnncli.tasks.predictions import PredictionOptions


@dataclass(frozen=True)
class Difference:
    """How far two sets of outputs for the same images are apart.

    Attributes:
        max_abs_diff: Largest difference of any value, on a scale where float32's rounding stays far below 1e-5:
            of probabilities as they are, of pixels as a share of the image. Infinity where a value is not finite.
        max_log_diff: Largest difference of the logarithm of any value, or None where logarithms have no meaning.
        same: Whether each image has the same prediction (images,).
        agreeing: Share of each image's pixels that have the same class (images,), or None where a prediction is of the
            image as a whole.
    """

    max_abs_diff: float
    max_log_diff: float | None
    same: npt.NDArray[np.bool_]
    agreeing: npt.NDArray[np.float64] | None = None


@dataclass(frozen=True)
class ScoreDrop:
    """The scores of an artifact and of its run on the same examples.

    Attributes:
        artifact: The artifact's score.
        run: The run's.
        drop: How much worse the artifact is; 0 where rounding explains the difference.
        interval: The drop's 95 % interval.
    """

    artifact: float
    run: float
    drop: float
    interval: tuple[float, float]


class ParityRules(Protocol):
    """How a task compares an artifact with its run.

    Attributes:
        value: One value of the outputs, in words: "a probability".
        prediction: What `Difference.same` compares, in words: "most probable class".
        score: Name of the score, as in JSON fields: "accuracy".
        is_share: Whether the score is a share, shown in percent.
        advice: What may be the matter where predictions differ; empty where there is no usual reason.
    """

    value: str
    prediction: str
    score: str
    is_share: bool
    advice: str

    def difference(self, outputs: NamedOutputs, expected: NamedOutputs) -> Difference:
        """Compare an artifact's outputs for some images with the run's, which have the same names and shapes."""
        ...

    def score_drop(
        self, outputs: NamedOutputs, expected: NamedOutputs, targets: Targets, options: PredictionOptions
    ) -> ScoreDrop:
        """Compare the scores of both on labelled examples.

        Args:
            outputs: The artifact's.
            expected: The run's.
            targets: The examples' own.
            options: The classes, and how the examples became what the network reads.
        """
        ...


def largest_difference(outputs: NamedOutputs, expected: NamedOutputs) -> float:
    """Return the largest difference of any value; infinity where an output is not finite."""
    if not all(np.isfinite(values).all() for values in outputs.values()):
        # NaN must not pass for small: max() would drop it.
        return float("inf")
    return max(float(np.abs(values.astype(np.float64) - expected[name]).max()) for name, values in outputs.items())
