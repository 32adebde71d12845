"""Scores a split of detected objects batch by batch, in NumPy; of each image it keeps boxes alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from cnncli.config.schema.schema import Loss
from cnncli.datasets.boxes.targets import Boxes, Objects, to_network, to_original
from cnncli.datasets.targets import Targets
from cnncli.errors import DataError
from cnncli.tasks.detection.decoding import decode
from cnncli.tasks.detection.evaluation import Evaluation
from cnncli.tasks.detection.loss import UNCHANGED, Learned, loss
from cnncli.tasks.detection.overlap import Contents, Detections
from cnncli.tasks.predictions import PredictionOptions


class DetectionEvaluator:
    """Scores a split in the pixels of its original images.

    Args:
        split: Name of the split.
        options: The classes, and how images became the network's input.
        ids: File or index of each example, in the order of the batches; empty where they are not needed.
        nms: How boxes that overlap are suppressed: as the config's `model.nms`.
        settings: Of the loss: the config's `train.loss`.
    """

    def __init__(
        self,
        split: str,
        options: PredictionOptions,
        ids: Sequence[str] = (),
        nms: str = "none",
        settings: Loss = UNCHANGED,
    ) -> None:
        self._split, self._options, self._ids = split, options, ids
        self._nms, self._settings = nms, settings
        self._objects: list[Objects] = []
        self._detections: list[Detections] = []
        self._losses: list[float] = []

    def update(self, outputs: Any, targets: Targets) -> None:
        """Add a batch of logits by the names of the outputs: see `decode`."""
        size = self._options.image_size
        objects = self._add(decode(outputs, size, nms=self._nms), targets)
        for image, own in enumerate(objects):
            corners = to_network(own.corners, own.size, size, self._options.fit)
            learned = Learned(corners, own.labels, own.crowd)
            self._losses.append(loss(outputs, image, learned, size, self._settings))

    def update_exported(self, outputs: Mapping[str, npt.NDArray[Any]], targets: Targets) -> None:
        """Add a batch of "boxes", "classes" and "scores"; the loss is not known then."""
        self._add(outputs, targets)

    def _add(self, outputs: Mapping[str, npt.NDArray[Any]], targets: Targets) -> list[Objects]:
        objects = [cast("Boxes", targets).read(row) for row in range(len(targets))]
        self._objects += objects
        self._detections += [in_original(outputs, row, own.size, self._options) for row, own in enumerate(objects)]
        return objects

    def result(self) -> Evaluation:
        """Return the scores of all batches.

        Raises:
            DataError: If there was no example.
        """
        if not self._objects:
            raise DataError(f"the {self._split} split has no examples", "Measure another split with --split.")
        contents = Contents(self._objects, self._detections)
        return Evaluation(self._split, tuple(self._options.classes), contents, np.array(self._losses), self._ids)


def in_original(
    outputs: Mapping[str, npt.NDArray[Any]], row: int, size: tuple[int, int], options: PredictionOptions
) -> Detections:
    """Return the detections in one image of a batch, in its own pixels.

    Those with a score of 0 are none, nor are those whose box is not finite.

    Args:
        outputs: "boxes", "classes" and "scores" of the batch, as an exported network returns them.
        row: Number of the image in the batch.
        size: Its height and width.
        options: How it was fitted.
    """
    scores = outputs["scores"][row].astype(np.float64)
    some = (scores > 0) & np.isfinite(outputs["boxes"][row]).all(axis=-1)
    corners = to_original(outputs["boxes"][row][some], size, options.image_size, options.fit)
    return Detections(corners, outputs["classes"][row][some].astype(np.int64), scores[some])
