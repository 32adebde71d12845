"""Changes that mix two images and their labels.

Images are float32 (images, height, width, channels); targets are class probabilities (images, classes).
"""

from __future__ import annotations

import tensorflow as tf

from cnncli.config.schema import augmentation as specs
from cnncli.engine.input_pipeline.augmentation.pixels import rectangle
from cnncli.engine.input_pipeline.augmentation.random_draws import Draws, from_zero

Mixed = tuple[tf.Tensor, tf.Tensor]
"""Images and targets."""


def mix_up(spec: specs.MixUp, images: tf.Tensor, targets: tf.Tensor, draws: Draws) -> Mixed:
    """Blend each image, and its target, with another of the batch."""
    order, share = draws.order(), draws.beta(spec.alpha)
    blended = _blend(images, tf.gather(images, order), share[:, tf.newaxis, tf.newaxis, tf.newaxis])
    return blended, _blend(targets, tf.gather(targets, order), share[:, tf.newaxis])


def cut_mix(spec: specs.CutMix, images: tf.Tensor, targets: tf.Tensor, draws: Draws) -> Mixed:
    """Paste a rectangle of another image of the batch into each; targets are mixed by the area it takes."""
    alpha = draws.uniform(*from_zero(spec.factor))[0]
    side = tf.sqrt(1.0 - draws.beta(alpha))
    pasted = rectangle(images, side, side, draws)
    order = draws.order()
    kept = 1.0 - tf.reduce_mean(tf.cast(pasted, tf.float32), axis=(1, 2))
    return tf.where(pasted, tf.gather(images, order), images), _blend(targets, tf.gather(targets, order), kept)


def _blend(first: tf.Tensor, second: tf.Tensor, share: tf.Tensor) -> tf.Tensor:
    return second + share * (first - second)
