"""Segmentation, in NumPy: one class a pixel."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import log
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from cnncli.tasks.segmentation.pages import SegmentationPages
from cnncli.tasks.task import Evaluator, Task

if TYPE_CHECKING:
    import numpy.typing as npt

    from cnncli.datasets.splits import Splits
    from cnncli.runs.evaluations import KeptEvaluation
    from cnncli.tasks.outputs import NamedOutputs
    from cnncli.tasks.predictions import Prediction, PredictionOptions
    from cnncli.tasks.segmentation.evaluation import Evaluation
    from cnncli.tasks.segmentation.parity import SegmentationParity
    from cnncli.tasks.segmentation.permutation import MeanIouPermutation
    from cnncli.tasks.segmentation.predictions import SegmentedImage
    from cnncli.tasks.segmentation.rows import Rows

OVERFIT = 0.99
"""Share of right pixels from which a batch is overfit: outlines stay a pixel off for long."""


class SegmentationTask(Task):
    """One class a pixel."""

    loss_name = "cross-entropy of the pixels"

    def evaluator(self, split: str, options: PredictionOptions, ids: Sequence[str] = ()) -> Evaluator:
        """Return what scores a split."""
        from cnncli.tasks.segmentation.evaluator import SegmentationEvaluator

        return SegmentationEvaluator(split, options, ids)

    def progress(self, metrics: Mapping[str, float]) -> str:
        """Return loss and mean IoU."""
        return f"loss {metrics['loss']:.4f}, mean IoU {metrics['mean_iou']:.4f}"

    def is_overfit(self, metrics: Mapping[str, float]) -> bool:
        """Say whether nearly every pixel is right."""
        return metrics["pixel_accuracy"] >= OVERFIT

    def chance_loss(self, num_classes: int) -> float:
        """Return the cross-entropy of equal probabilities."""
        return log(num_classes)

    @property
    def parity(self) -> SegmentationParity:
        """How far masks and probabilities are from the run's."""
        from cnncli.tasks.segmentation.parity import SegmentationParity

        return SegmentationParity()

    def outputs(self, logits: Any, image_size: tuple[int, int]) -> dict[str, npt.NDArray[Any]]:
        """Return the class of each pixel of the image, and the probabilities of all."""
        import numpy as np

        from cnncli.config.schema.tasks import MASK
        from cnncli.tasks.segmentation.evaluator import softmax
        from cnncli.tasks.segmentation.planes import class_planes, resized

        planes = logits[MASK] if isinstance(logits, Mapping) else logits
        probabilities = np.empty((len(planes), *image_size, planes.shape[-1]), np.float32)
        masks = np.empty((len(planes), *image_size), np.uint8)
        # As an evaluation computes them: what rounds otherwise would be of another class where two are equal.
        for row, values in enumerate(planes):
            found = resized(class_planes(values), image_size)
            masks[row] = found.argmax(axis=0)
            probabilities[row] = softmax(found).transpose(1, 2, 0)
        return {"mask": masks, "probabilities": probabilities}

    def predictions(
        self, outputs: NamedOutputs, sizes: Sequence[tuple[int, int]], options: PredictionOptions
    ) -> list[SegmentedImage]:
        """Return the mask of each image in its own pixels."""
        from cnncli.tasks.segmentation.predictions import SegmentedImage

        if "confidence" in outputs:  # Of tiles, put together: the masks are in the images' own pixels.
            whole = zip(outputs["mask"], outputs["confidence"].tolist(), strict=True)
            return [SegmentedImage(mask, options.classes, confidence, options.top) for mask, confidence in whole]
        masks = outputs.get("mask", [None] * len(sizes))
        images = zip(outputs["probabilities"], sizes, masks, strict=True)
        return [SegmentedImage.of(probabilities, size, options, mask) for probabilities, size, mask in images]

    def draw_samples(self, splits: Splits, path: Path) -> Path:
        """Write training images beside themselves with their masks laid over, and a legend."""
        from cnncli.tasks.segmentation.samples import draw_samples

        return draw_samples(splits, path)

    def drawing(self, prediction: Prediction) -> SegmentedImage:
        """Return the mask itself: it draws itself."""
        return cast("SegmentedImage", prediction)

    @property
    def pages(self) -> SegmentationPages:
        """What is shown of a segmentation."""
        return SegmentationPages()

    def read_rows(self, path: Path) -> Rows | None:
        """Return the scores of each image, and its pixels by class."""
        from cnncli.tasks.segmentation.rows import read_rows

        return read_rows(path)

    def out_of_fold(self, folds: Sequence[KeptEvaluation]) -> Evaluation:
        """Return one evaluation over the examples of all folds."""
        from cnncli.tasks.segmentation.out_of_fold import joined_evaluation

        return joined_evaluation(folds)

    def compare(self, first: Rows, second: Rows) -> MeanIouPermutation | None:
        """Return a permutation test of the mean IoU."""
        from cnncli.tasks.segmentation.permutation import permutation_test

        return permutation_test(first, second)
