"""What training minimises, and what `eval` reports as loss."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from cnncli.config.schema.schema import Loss


class CrossEntropy:
    """Softmax cross-entropy of logits against class indices or class probabilities.

    Args:
        loss: Label smoothing of the config.
        class_weights: Weight of each class, float32 (classes,), or None for equal weights.
    """

    def __init__(self, loss: Loss, class_weights: npt.NDArray[np.float32] | None = None) -> None:
        self._smoothing = loss.label_smoothing
        self._weights = None if class_weights is None else tf.constant(class_weights, tf.float32)

    def __call__(self, labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
        """Return the loss of each example.

        Args:
            labels: Class indices (batch,), or probabilities (batch, classes) after MixUp or CutMix.
            logits: (batch, classes), any float type; the loss is computed in float32.
        """
        logits = tf.cast(logits, tf.float32)
        if labels.shape.rank == 1:
            losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=logits)
        else:
            losses = tf.nn.softmax_cross_entropy_with_logits(labels=labels, logits=logits)
        if self._smoothing:
            uniform = -tf.reduce_mean(tf.nn.log_softmax(logits), axis=-1)
            losses = (1 - self._smoothing) * losses + self._smoothing * uniform
        return losses if self._weights is None else losses * self._weight_of(labels)

    def _weight_of(self, labels: tf.Tensor) -> tf.Tensor:
        if labels.shape.rank == 1:
            return tf.gather(self._weights, labels)
        return tf.linalg.matvec(labels, self._weights)
