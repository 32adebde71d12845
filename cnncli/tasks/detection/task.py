"""Detection, in NumPy: a box, a class and a score for every object."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from cnncli.tasks.detection.pages import DetectionPages
from cnncli.tasks.task import Evaluator, Task

if TYPE_CHECKING:
    import numpy.typing as npt

    from cnncli.config.schema.schema import Config, Loss
    from cnncli.datasets.splits import Splits
    from cnncli.runs.evaluations import KeptEvaluation
    from cnncli.tasks.detection.evaluation import Evaluation
    from cnncli.tasks.detection.parity import DetectionParity
    from cnncli.tasks.detection.permutation import Ap50Permutation
    from cnncli.tasks.detection.predictions import DetectedImage
    from cnncli.tasks.detection.rows import Rows
    from cnncli.tasks.outputs import NamedOutputs
    from cnncli.tasks.predictions import Prediction, PredictionOptions

OVERFIT = 0.9
"""Mean IoU of a batch's boxes, and mean score of its objects' centres, from which on it is overfit."""


_BOX_LOSSES = {"giou": "(1 − GIoU)", "l1": "the L1 loss, in strides,"}
"""What the boxes' weight is multiplied by, in words."""


class DetectionTask(Task):
    """A box, a class and a score for every object.

    Args:
        nms: How boxes that overlap are suppressed: as the config's `model.nms`.
        loss: The config's `train.loss`; None where there is no config.
    """

    loss_name = "focal loss of the centres, and the loss of the boxes"

    def __init__(self, nms: str = "none", loss: Loss | None = None) -> None:
        self._nms, self._loss = nms, loss
        if loss is not None:
            boxes = f"{loss.box_weight:g} · {_BOX_LOSSES[loss.box]} of the boxes"
            self.loss_name = f"focal loss of the centres, and {boxes}"

    def configured(self, config: Config) -> DetectionTask:
        """Return the task that suppresses boxes, and computes the loss, as a config says."""
        return DetectionTask(config.nms, config.train.loss)

    def evaluator(self, split: str, options: PredictionOptions, ids: Sequence[str] = ()) -> Evaluator:
        """Return what scores a split."""
        from cnncli.tasks.detection.evaluator import DetectionEvaluator
        from cnncli.tasks.detection.loss import UNCHANGED

        return DetectionEvaluator(split, options, ids, self._nms, self._loss or UNCHANGED)

    def progress(self, metrics: Mapping[str, float]) -> str:
        """Return loss and mean IoU of the boxes at the objects' centres."""
        return f"loss {metrics['loss']:.4f}, box IoU {metrics['box_iou']:.4f}"

    def is_overfit(self, metrics: Mapping[str, float]) -> bool:
        """Say whether the boxes lie nearly right and the centres are certain."""
        return min(metrics["box_iou"], metrics["center_score"]) >= OVERFIT

    @property
    def parity(self) -> DetectionParity:
        """How far boxes and scores are from the run's."""
        from cnncli.tasks.detection.parity import DetectionParity

        return DetectionParity()

    def outputs(self, logits: Any, image_size: tuple[int, int]) -> dict[str, npt.NDArray[Any]]:
        """Return boxes in the network's pixels, classes and scores."""
        from cnncli.tasks.detection.decoding import decode

        return decode(logits, image_size, nms=self._nms)

    def predictions(
        self, outputs: NamedOutputs, sizes: Sequence[tuple[int, int]], options: PredictionOptions
    ) -> list[DetectedImage]:
        """Return the objects of each image in its own pixels."""
        from cnncli.tasks.detection.predictions import DetectedImage

        return [DetectedImage.of(outputs, row, size, options) for row, size in enumerate(sizes)]

    def draw_samples(self, splits: Splits, path: Path) -> Path:
        """Write training images with their boxes, and a legend."""
        from cnncli.tasks.detection.samples import draw_samples

        return draw_samples(splits, path)

    def draw_labels(self, splits: Splits, path: Path) -> Path:
        """Write where the training split's objects are, how large, and how many of each class."""
        from cnncli.tasks.detection.labels import draw_labels

        return draw_labels(splits, path)

    def drawing(self, prediction: Prediction) -> DetectedImage:
        """Return the boxes themselves: they draw themselves."""
        return cast("DetectedImage", prediction)

    def thresholds(self, evaluation: Mapping[str, Any]) -> tuple[float, ...] | None:
        """Return the threshold of each class with the highest F1."""
        from cnncli.tasks.detection.thresholds import kept_thresholds

        return kept_thresholds(evaluation)

    @property
    def pages(self) -> DetectionPages:
        """What is shown of a detector."""
        return DetectionPages(self._nms)

    def read_rows(self, path: Path) -> Rows | None:
        """Return the objects and detections of each image."""
        from cnncli.tasks.detection.rows import read_rows

        return read_rows(path)

    def out_of_fold(self, folds: Sequence[KeptEvaluation]) -> Evaluation:
        """Return one evaluation over the examples of all folds."""
        from cnncli.tasks.detection.out_of_fold import joined_evaluation

        return joined_evaluation(folds)

    def compare(self, first: Rows, second: Rows) -> Ap50Permutation | None:
        """Return a permutation test of the AP at IoU 0.5."""
        from cnncli.tasks.detection.permutation import permutation_test

        return permutation_test(first, second)
