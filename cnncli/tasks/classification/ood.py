"""Which images a classifier was not trained for, told by the energy of its logits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt

from cnncli.tasks.classification.evaluation import Evaluation, Floats
from cnncli.tasks.ood import OodScore
from cnncli.tasks.outputs import NamedOutputs

FALSE_ALARM_RATE = 0.01
"""Share of images like those of training that may be warned about."""

MOST_DECIMALS = 17
"""Of a number in a warning: about as many as a float64 has."""

LEAST_EXAMPLES = 20
"""Fewest examples that thresholds are taken from: with n of them, no rate below 1 / (n + 1) can be stated."""


@dataclass(frozen=True)
class EnergyDetector:
    """Calls an image unlike the training images where its energy is higher than almost any held-out example's.

    The energy is −log Σ exp(logit). A class that fits an image well has a large logit, and the energy is low; where no
    class finds evidence, it is high. Probabilities do not show that: they add up to 1 for any image. Where only they
    are known, the confidence, the largest of them, stands in; it tells fewer of such images. An energy far below the
    usual is no reason: a second limit, there, would take half of the false alarms and tell fewer (`cnn help results`).

    Attributes:
        split: Held-out examples that the thresholds are from.
        num_examples: Their number.
        false_alarm_rate: Share of new images of the same kind that are expected beyond a threshold.
        energy: Highest usual energy.
        confidence: Lowest usual confidence.

    Reference: Liu et al., Energy-based Out-of-distribution Detection, NeurIPS 2020 (arXiv 2010.03759).
    """

    split: str
    num_examples: int
    false_alarm_rate: float
    energy: float
    confidence: float

    @classmethod
    def of(cls, evaluation: Evaluation) -> EnergyDetector | None:
        """Take the thresholds from an evaluation; None where it has too few examples, or not their logits."""
        energies, number = evaluation.energies, len(evaluation)
        if number < LEAST_EXAMPLES or len(energies) < number or not np.isfinite(energies).all():
            return None
        # Of n + 1 images of one kind, each is equally likely to have the highest score, the second highest, …
        beyond = max(1, int((number + 1) * FALSE_ALARM_RATE))
        return cls(
            split=evaluation.split,
            num_examples=number,
            false_alarm_rate=beyond / (number + 1),
            energy=float(np.sort(energies)[-beyond]),
            confidence=float(np.sort(evaluation.confidences)[beyond - 1]),
        )

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> EnergyDetector | None:
        """Return what `to_json` returned, or None for anything else."""
        if set(document) != {field.name for field in fields(cls)}:
            return None
        numbers = [value for name, value in document.items() if name != "split"]
        if not isinstance(document["split"], str) or not all(type(value) in (int, float) for value in numbers):
            return None
        return cls(**document)

    def to_json(self) -> dict[str, Any]:
        """Return plain data."""
        return asdict(self)

    def scores(self, outputs: NamedOutputs) -> list[OodScore]:
        """Return the energy of each image where its logits are known, else its confidence."""
        if "logits" in outputs:
            return [self._energy(value) for value in energies(outputs["logits"]).tolist()]
        return [self._confidence(value) for value in outputs["probabilities"].max(axis=1).tolist()]

    def _energy(self, value: float) -> OodScore:
        found, limit = told_apart(value, self.energy, 2)
        what = f"its energy is {found}, above {limit}"
        return OodScore("energy", value, self.energy, not value <= self.energy, self._warning(what))

    def _confidence(self, value: float) -> OodScore:
        found, limit = told_apart(100 * value, 100 * self.confidence, 1)
        what = f"the confidence is {found} %, below {limit} %"
        return OodScore("confidence", value, self.confidence, not value >= self.confidence, self._warning(what))

    def _warning(self, what: str) -> str:
        usual = f"so is that of only {100 * self.false_alarm_rate:.1f} % of the {self.split} images"
        return f"it looks unlike the training images: {what}; {usual}"


def energies(logits: npt.NDArray[np.floating[Any]]) -> Floats:
    """Return −log Σ exp(logit) of each row of (examples, classes)."""
    largest = logits.max(axis=1, keepdims=True).astype(np.float64)
    total: Floats = largest[:, 0] + np.log(np.exp(logits - largest).sum(axis=1))
    return -total


def told_apart(value: float, limit: float, decimals: int) -> tuple[str, str]:
    """Return two numbers with some decimals, or with as many more as it takes to see that they differ."""
    for number in range(decimals, MOST_DECIMALS):
        texts = f"{value:.{number}f}", f"{limit:.{number}f}"
        if texts[0] != texts[1]:
            return texts
    return f"{value:.{decimals}f}", f"{limit:.{decimals}f}"
