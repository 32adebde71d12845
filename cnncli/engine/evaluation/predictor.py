"""Logits of any number of images, in batches of one size: what every evaluation calls."""

from __future__ import annotations

from typing import Any, TypeAlias

import keras
import numpy as np
import tensorflow as tf

from cnncli.engine.fast_ops import batch_halves
from cnncli.engine.input_pipeline.decoder import FileImages
from cnncli.engine.input_pipeline.preprocessing import Preprocessing
from cnncli.tasks.outputs import images_together

Images: TypeAlias = "tf.Tensor | FileImages"
"""uint8 images of the network's size: (examples, height, width, channels)."""


class Predictor:
    """A model made to answer for uint8 images.

    Attributes:
        batch_size: Examples a call: one number for a network, so that train, eval and predict agree to the last bit.

    Args:
        model: Network that ends in logits.
        preprocessing: The same that training used.
    """

    def __init__(self, model: keras.Model, preprocessing: Preprocessing) -> None:
        self._model = model
        self._preprocessing = preprocessing
        self._halves = batch_halves.number()
        ends_in_planes = any(len(output.shape) == 4 for output in model.outputs)
        self.batch_size = images_together((preprocessing.height, preprocessing.width), ends_in_planes)

    def logits(self, images: Images) -> Any:
        """Return what the network ends in for uint8 images of its size.

        Returns:
            float32 (examples, …); of a network whose outputs have names, a dictionary of such arrays.
        """
        starts = range(0, len(images), self.batch_size)
        batches = [self._batch(images[start : start + self.batch_size]) for start in starts]
        return tf.nest.map_structure(lambda *parts: np.concatenate(parts), *batches)

    def _batch(self, images: tf.Tensor) -> Any:
        # A batch is always filled up: the kernels, and so the last bits, may depend on its size.
        missing = self.batch_size - len(images)
        if missing:
            images = tf.pad(images, [[0, missing], [0, 0], [0, 0], [0, 0]])
        outputs = self._forward(images)
        return tf.nest.map_structure(lambda output: np.asarray(output)[: self.batch_size - missing], outputs)

    @tf.function(reduce_retracing=True)
    def _forward(self, images: tf.Tensor) -> Any:
        outputs = batch_halves.in_halves(
            lambda part: self._model(self._preprocessing.to_float(part), training=False), images, self._halves
        )
        return tf.nest.map_structure(lambda output: tf.cast(output, tf.float32), outputs)
