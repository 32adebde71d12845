"""A run's own network, to predict for images one by one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from cnncli.datasets.images import Pixels
from cnncli.engine.evaluation.predictor import Predictor
from cnncli.engine.evaluation.trained import Trained
from cnncli.serving.predict import is_blank
from cnncli.tasks.outputs import NamedOutputs
from cnncli.tasks.task import get_task


class RunNetwork:
    """A run's own network, which computes the batches that evaluation computes."""

    def __init__(self, trained: Trained) -> None:
        data = trained.config.data
        self.task, self.classes, self.channels = trained.config.task, trained.classes, int(data.channels)
        self.image_size, self.fit = data.image_size, str(data.resize.fit)
        self.detector = trained.detector
        self._preprocessing = trained.preprocessing
        self._predictor = Predictor(trained.model, trained.preprocessing)

    def prepare(self, pixels: Pixels) -> npt.NDArray[np.uint8]:
        """Return the image in the network's size."""
        resized: npt.NDArray[np.uint8] = self._preprocessing.resize_uint8(pixels[None])[0].numpy()
        return resized

    def outputs(self, prepared: Sequence[Any]) -> NamedOutputs:
        """Return what an exported network returns, and the logits where a detector reads them."""
        logits = self._predictor.logits(tf.constant(np.stack(prepared)))
        outputs = get_task(self.task).outputs(logits)
        return outputs if self.detector is None else {**outputs, "logits": logits}

    def is_blank(self, prepared: npt.NDArray[np.uint8]) -> bool:
        """Say whether all pixels of an image have the same value."""
        return is_blank(prepared)
