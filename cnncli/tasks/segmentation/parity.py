"""How far an artifact's masks and probabilities are from its run's."""

from __future__ import annotations

from typing import cast

import numpy as np

from cnncli.datasets.masks.targets import Masks
from cnncli.datasets.targets import Targets
from cnncli.tasks.outputs import NamedOutputs
from cnncli.tasks.parity import Difference, ScoreDrop, largest_difference
from cnncli.tasks.predictions import PredictionOptions
from cnncli.tasks.segmentation.evaluation import NUM_RESAMPLES
from cnncli.tasks.segmentation.scores import Counts, Floats, confusion_matrix, mean_iou

AGREEING = 0.9999
"""Share of an image's pixels whose class must be the run's."""

_TIE = 1e-6
"""Probabilities nearer than this are equal up to rounding: either class is right."""


class SegmentationParity:
    """Differences between probabilities, pixels of another class, and the drop in mean IoU."""

    value, prediction, score, is_share = "a probability", "mask", "mean_iou", True
    advice = ""

    def difference(self, outputs: NamedOutputs, expected: NamedOutputs) -> Difference:
        """Compare probabilities; a mask is the same if 99.99 % of its pixels are, ties aside."""
        probabilities, of_run = outputs["probabilities"], expected["probabilities"]
        chosen = outputs["mask"].astype(np.int64)[..., None].clip(max=of_run.shape[-1] - 1)
        agrees = np.take_along_axis(of_run, chosen, axis=-1)[..., 0] >= of_run.max(axis=-1) - _TIE
        largest = largest_difference({"probabilities": probabilities}, {"probabilities": of_run})
        agreeing = (outputs["mask"] == expected["mask"]).mean(axis=(1, 2))
        return Difference(largest, None, agrees.mean(axis=(1, 2)) >= AGREEING, agreeing)

    def score_drop(
        self,
        outputs: NamedOutputs,
        expected: NamedOutputs,
        targets: Targets,
        options: PredictionOptions,  # noqa: ARG002 - compared in the network's pixels
    ) -> ScoreDrop:
        """Compare the mean IoU of both on the same images, with a bootstrap's interval over images."""
        masks = cast("Masks", targets)
        number = outputs["probabilities"].shape[-1]
        size = outputs["mask"].shape[1:]
        truth = [_nearest(masks.read(row), size) for row in range(len(masks))]
        both = [_confusions(named, truth, number) for named in (outputs, expected)]
        artifact, run = (mean_iou(confusions.sum(axis=0)) for confusions in both)
        generator = np.random.default_rng(0)
        chosen = generator.multinomial(len(truth), np.full(len(truth), 1 / len(truth)), NUM_RESAMPLES)
        drops: Floats = np.array([mean_iou(_sum(both[1], row)) - mean_iou(_sum(both[0], row)) for row in chosen])
        low, high = np.percentile(drops, (2.5, 97.5))
        return ScoreDrop(artifact, run, run - artifact, (float(low), float(high)))


def _nearest(mask: np.ndarray, size: tuple[int, ...]) -> np.ndarray:
    from cnncli.datasets.masks.targets import nearest

    return mask if mask.shape == size else nearest(mask, (size[0], size[1]))


def _confusions(named: NamedOutputs, truth: list[np.ndarray], number: int) -> Counts:
    pairs = zip(truth, named["mask"], strict=True)
    return np.stack([confusion_matrix(mask, predicted, number) for mask, predicted in pairs])


def _sum(confusions: Counts, times: np.ndarray) -> Counts:
    total: Counts = np.tensordot(times, confusions, axes=1)
    return total
