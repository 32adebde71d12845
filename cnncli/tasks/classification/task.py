"""Classification, in NumPy: one class an image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import log
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from cnncli.tasks.classification.pages import ClassificationPages
from cnncli.tasks.task import Evaluator, Result, Task

if TYPE_CHECKING:
    from cnncli.runs.evaluations import KeptEvaluation
    from cnncli.tasks.classification.evaluation import Evaluation
    from cnncli.tasks.classification.mcnemar import McNemar, Outcomes
    from cnncli.tasks.classification.ood import EnergyDetector
    from cnncli.tasks.classification.parity import ClassificationParity
    from cnncli.tasks.classification.predictions import Ranking
    from cnncli.tasks.outputs import NamedOutputs
    from cnncli.tasks.predictions import PredictionOptions
    from cnncli.tasks.task import Outputs

OVERFIT = 0.1
"""Mean loss below which a batch whose examples are all right is overfit: e^−0.1 is 90 % certainty."""


class ClassificationTask(Task):
    """One class an image."""

    loss_name = "cross-entropy"
    detects_ood = True

    def evaluator(self, split: str, options: PredictionOptions, ids: Sequence[str] = ()) -> Evaluator:
        """Return what scores a split."""
        from cnncli.tasks.classification.evaluator import ClassificationEvaluator

        return ClassificationEvaluator(split, tuple(options.classes), ids)

    def progress(self, metrics: Mapping[str, float]) -> str:
        """Return loss and accuracy."""
        return f"loss {metrics['loss']:.4f}, {metrics['accuracy']:.1%} right"

    def is_overfit(self, metrics: Mapping[str, float]) -> bool:
        """Say whether every example is right, and the network is certain of it."""
        return metrics["accuracy"] == 1.0 and metrics["loss"] < OVERFIT

    def chance_loss(self, num_classes: int) -> float:
        """Return the cross-entropy of equal probabilities."""
        return log(num_classes)

    @property
    def parity(self) -> ClassificationParity:
        """How far probabilities are from the run's."""
        from cnncli.tasks.classification.parity import ClassificationParity

        return ClassificationParity()

    def outputs(
        self,
        logits: Outputs,
        image_size: tuple[int, int],  # noqa: ARG002 - a class has no place in the image
    ) -> dict[str, Outputs]:
        """Return the probabilities of the classes."""
        from cnncli.tasks.classification.evaluator import softmax

        return {"probabilities": softmax(logits)}

    def predictions(
        self,
        outputs: NamedOutputs,
        sizes: Sequence[tuple[int, int]],  # noqa: ARG002 - a class has no place in the image
        options: PredictionOptions,
    ) -> list[Ranking]:
        """Return the most probable classes of each image."""
        from cnncli.tasks.classification.predictions import Ranking

        return [Ranking.of(row, options.classes, options.top) for row in outputs["probabilities"]]

    def ood_detector(self, result: Result) -> EnergyDetector | None:
        """Return a detector with thresholds from held-out examples."""
        from cnncli.tasks.classification.ood import EnergyDetector

        return EnergyDetector.of(cast("Evaluation", result))

    def read_ood_detector(self, document: Mapping[str, Any]) -> EnergyDetector | None:
        """Return a detector from plain data."""
        from cnncli.tasks.classification.ood import EnergyDetector

        return EnergyDetector.from_json(document)

    @property
    def pages(self) -> ClassificationPages:
        """What is shown of a classifier."""
        return ClassificationPages()

    def read_rows(self, path: Path) -> Outcomes | None:
        """Return which examples a run classified correctly."""
        from cnncli.tasks.classification.mcnemar import read_outcomes

        return read_outcomes(path)

    def out_of_fold(self, folds: Sequence[KeptEvaluation]) -> Evaluation:
        """Return one evaluation over the examples of all folds."""
        from cnncli.tasks.classification.out_of_fold import joined_evaluation

        return joined_evaluation(folds)

    def compare(self, first: Outcomes, second: Outcomes) -> McNemar | None:
        """Return McNemar's test."""
        from cnncli.tasks.classification.mcnemar import mcnemar

        return mcnemar(first, second)
