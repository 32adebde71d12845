"""Segmentation: cross-entropy, Dice and focal loss of one logit per class and pixel."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from cnncli.config.schema.augmentation import Augmentation
from cnncli.config.schema.schema import Config, Loss
from cnncli.config.schema.tasks import MASK
from cnncli.datasets.masks.coding import IGNORED
from cnncli.datasets.masks.targets import Masks
from cnncli.datasets.splits import Splits
from cnncli.engine.input_pipeline.augmentation.masks import move
from cnncli.engine.input_pipeline.augmentation.mixing import Mixed
from cnncli.engine.input_pipeline.augmentation.random_draws import Draws
from cnncli.engine.tasks.objective import Objective, Sums
from cnncli.errors import CnnError
from cnncli.tasks.class_weights import class_weights
from cnncli.tasks.segmentation.scores import mean_iou, pixel_accuracy

_TINY = 1e-7
"""Least base of the focal loss's power, whose slope at 0 is infinite for a gamma below 1."""


class PixelCrossEntropy(Objective):
    """Cross-entropy of every pixel, with shares of the Dice loss and of the boundaries' cross-entropy.

    Args:
        loss: Of the config.
        image_size: Height and width that the network reads.
        num_classes: Number of logits of a pixel.
        weights: Weight of each class, float32 (classes,), or None for equal weights.
    """

    def __init__(
        self,
        loss: Loss,
        image_size: tuple[int, int],
        num_classes: int,
        weights: npt.NDArray[np.float32] | None = None,
    ) -> None:
        self.target_spec = tf.TensorSpec([None, *image_size], tf.uint8)
        self.sum_specs = {"confusion": tf.TensorSpec([num_classes, num_classes], tf.int64)}
        self._loss, self._image_size, self._num_classes = loss, image_size, num_classes
        self._weights = None if weights is None else tf.constant(weights, tf.float32)

    @classmethod
    def of(cls, config: Config, splits: Splits | None) -> PixelCrossEntropy:
        """Return the objective of a config, classes weighted by the pixels of the training examples.

        Raises:
            DataError: If the config names a class that the examples do not have.
        """
        loss, shape = config.train.loss, config.output_shape
        num_classes = (shape[MASK] if isinstance(shape, Mapping) else shape)[-1]
        weights = None
        if splits is not None and isinstance(splits.train.targets, Masks):
            pixels = splits.train.targets.pixels[:, :-1].sum(axis=0)
            weights = class_weights(loss.class_weights, splits.classes, pixels)
        return cls(loss, config.data.image_size, num_classes, weights)

    def loss(self, targets: tf.Tensor, outputs: Any) -> tf.Tensor:
        """Return the loss of each image: of the output called "mask", and a share of that of every other one.

        Args:
            targets: Class numbers, uint8 (batch, height, width), 255 where nothing counts.
            outputs: Logits (batch, rows, columns, classes), any float type, or several by their names.
        """
        if not isinstance(outputs, Mapping):
            return self._loss_of(targets, outputs)
        others = [self._loss_of(targets, logits) for name, logits in outputs.items() if name != MASK]
        return self._loss_of(targets, outputs[MASK]) + self._loss.auxiliary * tf.add_n(others)

    def _loss_of(self, targets: tf.Tensor, outputs: tf.Tensor) -> tf.Tensor:
        logits = tf.cast(outputs, tf.float32)
        if self._loss.resolution == "image":
            logits = _enlarged(logits, targets.shape[1:3])
        labels = _fitted(targets, logits)
        counted = labels < self._num_classes
        known = tf.where(counted, labels, 0)
        by_pixel = self._by_pixel(known, logits) * tf.cast(counted, tf.float32)
        loss = (1.0 - self._loss.dice - self._loss.boundary) * _mean_over(by_pixel, counted)
        if self._loss.boundary:
            beside = counted & _at_boundary(labels)
            loss += self._loss.boundary * _mean_over(by_pixel * tf.cast(beside, tf.float32), beside)
        if self._loss.dice:
            loss += self._loss.dice * _dice_loss(known, counted, logits)
        return loss

    def _by_pixel(self, labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
        """Return the loss of each pixel; it means nothing where nothing counts."""
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=logits)
        if self._loss.focal:
            losses *= tf.pow(tf.maximum(1.0 - tf.exp(-losses), _TINY), self._loss.focal)
        if self._loss.label_smoothing:
            uniform = -tf.reduce_mean(tf.nn.log_softmax(logits), axis=-1)
            losses = (1 - self._loss.label_smoothing) * losses + self._loss.label_smoothing * uniform
        return losses if self._weights is None else losses * tf.gather(self._weights, labels)

    def sums(self, targets: tf.Tensor, outputs: Any) -> Sums:
        """Return the confusion matrix of the output's own places: int64 (true class, predicted class)."""
        logits = outputs[MASK] if isinstance(outputs, Mapping) else outputs
        labels, number = _fitted(targets, logits), self._num_classes
        predicted = tf.argmax(logits, -1, tf.int32)
        # What is ignored is counted beyond the matrix, and cut off.
        places = tf.where(labels < number, labels * number + predicted, number * number)
        counted = tf.math.bincount(tf.reshape(places, [-1]), minlength=number**2 + 1, maxlength=number**2 + 1)
        return {"confusion": tf.cast(tf.reshape(counted[:-1], [number, number]), tf.int64)}

    def means(self, sums: Mapping[str, Any], num_examples: int) -> dict[str, float]:  # noqa: ARG002
        """Return mean IoU and pixel accuracy at the output's own places."""
        confusion = np.asarray(sums["confusion"], np.int64)
        return {"mean_iou": mean_iou(confusion), "pixel_accuracy": pixel_accuracy(confusion)}

    def transform(
        self,
        change: Augmentation,
        draws: Draws,
        targets: tf.Tensor,
        size: tuple[int, int],  # noqa: ARG002 - masks have it
    ) -> tf.Tensor:
        """Return masks moved as their images are."""
        return move(change, targets, draws)

    def mix(self, targets: tf.Tensor, mixed: Mixed) -> tf.Tensor:
        """Return masks into which parts of others are pasted.

        Raises:
            CnnError: If images are blended: a pixel is of one class.
        """
        if mixed.pasted is None:
            raise CnnError("MixUp blends images, but a pixel of a mask is of one class", "Use CutMix, or leave it out.")
        return tf.where(mixed.pasted[..., 0], tf.gather(targets, mixed.order), targets)

    def undo(self, view: Any, outputs: Any) -> Any:
        """Return what the network ends in for mirrored images, mirrored back."""
        if not view.mirrored:
            return outputs
        return tf.nest.map_structure(lambda plane: tf.reverse(plane, view.mirrored), outputs)

    def to_image_size(self, outputs: Any) -> tf.Tensor:
        """Return logits of whatever places as logits of the image's pixels, of the output that is the prediction."""
        return _enlarged(outputs[MASK] if isinstance(outputs, Mapping) else outputs, self._image_size)

    def outputs(self, logits: Any) -> dict[str, tf.Tensor]:
        """Return the most probable class of each pixel of the image, and the probabilities of all."""
        plane = logits[MASK] if isinstance(logits, Mapping) else logits
        probabilities = tf.nn.softmax(_enlarged(tf.cast(plane, tf.float32), self._image_size))
        return {"mask": tf.cast(tf.argmax(probabilities, -1, tf.int32), tf.uint8), "probabilities": probabilities}

    def output_layers(self) -> Mapping[str, Callable[..., Callable[[Any], Any]]]:
        """Return models of Keras's operations, for no layer of Keras's says the most probable class."""

        def layer_of(finish: Callable[[Any], Any], logits: Any, name: str) -> Any:
            given = keras.Input(logits.shape[1:], dtype="float32")
            plane = given
            if tuple(logits.shape[1:3]) != tuple(self._image_size):
                plane = keras.ops.image.resize(
                    given, self._image_size, interpolation="bilinear", data_format="channels_last"
                )
            return keras.Model(given, finish(plane), name=name)(logits)

        return {
            "mask": lambda name: partial(layer_of, _most_probable, name=name),
            "probabilities": lambda name: partial(layer_of, keras.ops.softmax, name=name),
        }


def _most_probable(plane: Any) -> Any:
    """Return the class of each pixel, in Keras's operations."""
    return keras.ops.cast(keras.ops.argmax(plane, axis=-1), "uint8")


def _enlarged(logits: tf.Tensor, size: tuple[int, int]) -> tf.Tensor:
    return logits if tuple(logits.shape[1:3]) == tuple(size) else tf.image.resize(logits, size)


def _fitted(targets: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """Return the class of the pixel nearest to each of the output's places, int32 (batch, rows, columns)."""
    labels = targets
    if tuple(targets.shape[1:3]) != tuple(logits.shape[1:3]):
        for axis in (1, 2):
            length, of = logits.shape[axis], targets.shape[axis]
            labels = tf.gather(labels, (2 * np.arange(length) + 1) * of // (2 * length), axis=axis)
    return tf.cast(labels, tf.int32)


def _mean_over(values: tf.Tensor, counted: tf.Tensor) -> tf.Tensor:
    """Return the mean of each image's values over the pixels that count; 0 where none does: float32 (batch,)."""
    number = tf.reduce_sum(tf.cast(counted, tf.float32), axis=(1, 2))
    return tf.reduce_sum(values, axis=(1, 2)) / tf.maximum(number, 1.0)


def _at_boundary(labels: tf.Tensor) -> tf.Tensor:
    """Return which pixels touch one of another class, that is not ignored, at a side: bool (batch, rows, columns)."""
    differs = tf.zeros_like(labels, tf.bool)
    for axis in (1, 2):
        before, after = (
            labels[:, :-1] if axis == 1 else labels[:, :, :-1],
            labels[:, 1:] if axis == 1 else labels[:, :, 1:],
        )
        edge = (before != after) & (before != IGNORED) & (after != IGNORED)
        first = [[0, 0], [0, 1], [0, 0]] if axis == 1 else [[0, 0], [0, 0], [0, 1]]
        second = [[0, 0], [1, 0], [0, 0]] if axis == 1 else [[0, 0], [0, 0], [1, 0]]
        differs |= tf.pad(edge, first) | tf.pad(edge, second)
    return differs


def _dice_loss(labels: tf.Tensor, counted: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """Return 1 − the mean Dice coefficient over the classes that an image has: float32 (batch,).

    Reference: Milletari et al., V-Net, 3DV 2016 (arXiv 1606.04797); without squares, as Keras has it.
    """
    weight = tf.cast(counted, tf.float32)[..., tf.newaxis]
    truth = tf.one_hot(labels, logits.shape[-1]) * weight
    probabilities = tf.nn.softmax(logits) * weight
    shared, true, predicted = (
        tf.reduce_sum(values, axis=(1, 2)) for values in (truth * probabilities, truth, probabilities)
    )
    present = tf.cast(true > 0, tf.float32)
    losses = (1.0 - 2.0 * shared / (true + predicted + keras.config.epsilon())) * present
    return tf.reduce_sum(losses, axis=-1) / tf.maximum(tf.reduce_sum(present, axis=-1), 1.0)
