"""A run's own network, to be asked about images one by one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from cnncli.datasets.images import Pixels
from cnncli.engine.evaluation.predictor import Predictor
from cnncli.engine.evaluation.trained import Trained
from cnncli.serving.predict import Floats, Taken
from cnncli.tasks.classification.evaluation import log_softmax


class RunNetwork:
    """A run's own network, asked in the batches that evaluation asks in."""

    def __init__(self, trained: Trained) -> None:
        self.classes = trained.classes
        self.channels: int = trained.preprocessing.channels
        self._preprocessing = trained.preprocessing
        self._predictor = Predictor(trained.model, trained.preprocessing)

    def take(self, pixels: Pixels) -> Taken:
        """Return the image in the network's size."""
        resized: Taken = self._preprocessing.resize_uint8(pixels[None])[0].numpy()
        return resized

    def answer(self, taken: Sequence[Taken]) -> Floats:
        """Return the probabilities (images, classes)."""
        probabilities: Floats = np.exp(log_softmax(self._predictor.logits(tf.constant(np.stack(taken)))))
        return probabilities
