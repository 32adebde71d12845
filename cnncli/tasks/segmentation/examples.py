"""Examples of an evaluated split with their true and their predicted masks: what figures and the report show."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
import numpy.typing as npt

from cnncli.datasets.images import Pixels
from cnncli.datasets.masks.coding import IGNORED, Mask
from cnncli.datasets.masks.targets import Masks, fit_mask
from cnncli.datasets.splits import image as image_of
from cnncli.errors import RunError
from cnncli.plural import counted
from cnncli.tasks.colours import colour_legend
from cnncli.tasks.outputs import images_together
from cnncli.tasks.pages import EvaluatedSplit, LegendEntry
from cnncli.tasks.predictions import PredictionOptions
from cnncli.tasks.segmentation.evaluator import in_original
from cnncli.tasks.segmentation.planes import class_planes
from cnncli.tasks.segmentation.rows import read_rows
from cnncli.tasks.segmentation.scores import Floats, iou_by_image

WRONG = (200, 20, 20)
"""Colour of pixels whose class is not the true one."""

RIGHT = (240, 240, 240)


@dataclass(frozen=True)
class SegmentedExample:
    """An image with its mask and the prediction, in the image's own pixels.

    Attributes:
        name: Its file or index.
        pixels: uint8 (height, width, channels).
        truth: Class numbers; `IGNORED` where nothing counts.
        predicted: Class numbers.
        uncertainty: 1 − the largest probability of each pixel, float32 (height, width).
        iou: Mean IoU of the image; NaN where nothing counts.
    """

    name: str
    pixels: Pixels
    truth: Mask
    predicted: Mask
    uncertainty: npt.NDArray[np.float32]
    iou: float

    @property
    def caption(self) -> str:
        """The example's name and its IoU."""
        name = f"no. {self.name}" if self.name.isdecimal() else self.name
        return f"{name}: nothing counts" if np.isnan(self.iou) else f"{name}: IoU {self.iou:.3f}"

    def errors(self) -> Pixels:
        """Return what is wrong in colour, what is right nearly white, what is ignored black."""
        wrong = (self.predicted != self.truth)[..., None]
        coloured = np.where(wrong, np.array(WRONG, np.uint8), np.array(RIGHT, np.uint8))
        return np.where((self.truth == IGNORED)[..., None], np.uint8(0), coloured)


def image_ious(evaluated: EvaluatedSplit) -> Floats:
    """Return the mean IoU of each example of a split; NaN where nothing counts.

    Raises:
        RunError: If the file of predictions is of other examples, or cannot be read.
    """
    found = read_rows(evaluated.predictions_file)
    if found is None or len(found.examples) != len(evaluated.examples):
        lines = counted(0 if found is None else len(found.examples), "line")
        raise RunError(
            f"{evaluated.predictions_file} cannot be read: it has {lines}, expected {len(evaluated.examples)}, one for "
            f"each example of {evaluated.split}",
            "`cnn eval` writes it again.",
        )
    return iou_by_image(*found.counts)


def worst(ious: Floats, count: int) -> list[int]:
    """Return the examples with the lowest IoU, lowest first; those in which nothing counts are left out."""
    order = np.argsort(ious, kind="stable")
    return [row for row in order.tolist() if not np.isnan(ious[row])][:count]


def segmented(evaluated: EvaluatedSplit, rows: Sequence[int], ious: Floats) -> Iterator[SegmentedExample]:
    """Yield examples with what the run's network predicts for them."""
    split = evaluated.examples
    options = PredictionOptions.of(evaluated.run.config().data, split_classes(evaluated))
    together = images_together(options.image_size, has_places=True)
    for start in range(0, len(rows), together):
        part = rows[start : start + together]
        outputs = evaluated.outputs(part)
        for row, probabilities in zip(part, outputs["probabilities"], strict=True):
            pixels = image_of(split, row)
            size = (pixels.shape[0], pixels.shape[1])
            planes = in_original(class_planes(probabilities), size, options.fit)
            truth = fit_mask(cast("Masks", split.targets).read(row), size, "stretch")
            predicted = planes.argmax(axis=0).astype(np.uint8)
            uncertainty = 1 - planes.max(axis=0)
            yield SegmentedExample(split.ids[row], pixels, truth, predicted, uncertainty, float(ious[row]))


def split_classes(evaluated: EvaluatedSplit) -> tuple[str, ...]:
    """Return the names of the classes."""
    return tuple(evaluated.document["classes"])


def legend(examples: Sequence[SegmentedExample], classes: Sequence[str], errors: bool = False) -> list[LegendEntry]:
    """Return name and colour of every class in some examples, in the classes' order, and of what else is drawn.

    Args:
        examples: The examples.
        classes: Names of all classes.
        errors: Whether what is wrong is drawn as well.
    """
    seen = np.concatenate([np.unique(mask) for e in examples for mask in (e.truth, e.predicted)])
    found = colour_legend(seen, classes)
    return found + ([("wrong", WRONG), ("right", RIGHT)] if errors else [])
