"""Classification: softmax cross-entropy of one logit per class."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from cnncli.config.schema.augmentation import Augmentation, Mosaic
from cnncli.config.schema.schema import Config, Loss
from cnncli.datasets.splits import Splits
from cnncli.engine.input_pipeline.augmentation.mixing import Mixed
from cnncli.engine.input_pipeline.augmentation.mosaic import tiles
from cnncli.engine.input_pipeline.augmentation.random_draws import Draws
from cnncli.engine.tasks.objective import Objective, Sums
from cnncli.layers.graph import shapes
from cnncli.tasks.class_weights import class_weights


class CrossEntropy(Objective):
    """Softmax cross-entropy of logits against class numbers or class probabilities.

    Args:
        loss: Label smoothing of the config.
        weights: Weight of each class, float32 (classes,), or None for equal weights.
        num_classes: Number of logits; only mixed targets need it.
    """

    target_spec = tf.TensorSpec([None], tf.int32)
    sum_specs = {"num_correct": tf.TensorSpec([], tf.int64)}  # noqa: RUF012 - the base class says that nobody changes it

    def __init__(
        self, loss: Loss, weights: npt.NDArray[np.float32] | None = None, num_classes: int | None = None
    ) -> None:
        self._num_classes = num_classes
        self._smoothing = loss.label_smoothing
        self._weights = None if weights is None else tf.constant(weights, tf.float32)

    @classmethod
    def of(cls, config: Config, splits: Splits | None) -> CrossEntropy:
        """Return the objective of a config, classes weighted by the training examples if the config says so.

        Raises:
            DataError: If the config names a class that the examples do not have.
        """
        loss, num_classes = config.train.loss, shapes(config.nodes, config.input_shape)[-1][-1]
        strata = None if splits is None else splits.train.targets.strata()
        if splits is None or strata is None:
            return cls(loss, None, num_classes)
        return cls(
            loss,
            class_weights(loss.class_weights, splits.classes, np.bincount(strata, minlength=len(splits.classes))),
            num_classes,
        )

    def loss(self, targets: tf.Tensor, outputs: tf.Tensor) -> tf.Tensor:
        """Return the loss of each example.

        Args:
            targets: Class numbers (batch,), or probabilities (batch, classes) after MixUp, CutMix or Mosaic.
            outputs: Logits (batch, classes), any float type; the loss is computed in float32.
        """
        logits = tf.cast(outputs, tf.float32)
        if targets.shape.rank == 1:
            losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=targets, logits=logits)
        else:
            losses = tf.nn.softmax_cross_entropy_with_logits(labels=targets, logits=logits)
        if self._smoothing:
            uniform = -tf.reduce_mean(tf.nn.log_softmax(logits), axis=-1)
            losses = (1 - self._smoothing) * losses + self._smoothing * uniform
        return losses if self._weights is None else losses * self._weight_of(targets)

    def _weight_of(self, targets: tf.Tensor) -> tf.Tensor:
        if targets.shape.rank == 1:
            return tf.gather(self._weights, targets)
        return tf.linalg.matvec(targets, self._weights)

    def sums(self, targets: tf.Tensor, outputs: tf.Tensor) -> Sums:
        """Return the number of examples whose largest logit is that of their class."""
        return {"num_correct": tf.math.count_nonzero(tf.equal(tf.argmax(outputs, -1, tf.int32), targets))}

    def means(self, sums: Mapping[str, float], num_examples: int) -> dict[str, float]:
        """Return the accuracy."""
        return {"accuracy": sums["num_correct"] / num_examples}

    def transform(self, change: Augmentation, draws: Draws, targets: tf.Tensor, size: tuple[int, int]) -> tf.Tensor:
        """Return class probabilities (batch, classes) of a mosaic: each image has the share of its part's area."""
        if not isinstance(change, Mosaic):
            return targets
        made = tiles(change, size, draws)
        probabilities = tf.gather(self._probabilities(targets), made.images)
        return tf.reduce_sum(made.shares[..., tf.newaxis] * probabilities, axis=1)

    def mix(self, targets: tf.Tensor, mixed: Mixed) -> tf.Tensor:
        """Return class probabilities (batch, classes): a share of an example's own, the rest of the other's."""
        own = self._probabilities(targets)
        other = tf.gather(own, mixed.order)
        return other + mixed.share[:, tf.newaxis] * (own - other)

    def _probabilities(self, targets: tf.Tensor) -> tf.Tensor:
        """Return class probabilities of class numbers, or of what is mixed already."""
        return tf.one_hot(targets, self._num_classes) if targets.shape.rank == 1 else targets

    def outputs(self, logits: tf.Tensor) -> dict[str, tf.Tensor]:
        """Return the probabilities of the classes."""
        return {"probabilities": tf.nn.softmax(tf.cast(logits, tf.float32))}

    def output_layers(self) -> Mapping[str, Callable[..., keras.layers.Layer]]:
        """Return a softmax."""
        return {"probabilities": partial(keras.layers.Softmax, dtype="float32")}
