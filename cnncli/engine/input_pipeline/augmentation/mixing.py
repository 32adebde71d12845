"""Changes that mix each image with another one of its batch.

Images are float32 (images, height, width, channels). Each change says with whom it mixed, and how much of its own is
left: a task's objective mixes the targets in the same way.
"""

from __future__ import annotations

from typing import NamedTuple

import tensorflow as tf

from cnncli.config.schema import augmentation as specs
from cnncli.engine.input_pipeline.augmentation.pixels import rectangle
from cnncli.engine.input_pipeline.augmentation.random_draws import Draws, from_zero


class Mixed(NamedTuple):
    """Images that were mixed.

    Attributes:
        images: The mixed images.
        order: Place in the batch of the other image of each, int32 (images,).
        share: Share of each that is its own, float32 (images,).
        pasted: Where the other image covers it, bool (images, height, width, 1); None where the two are blended.
    """

    images: tf.Tensor
    order: tf.Tensor
    share: tf.Tensor
    pasted: tf.Tensor | None = None


def mix_up(spec: specs.MixUp, images: tf.Tensor, draws: Draws) -> Mixed:
    """Blend each image with another of the batch."""
    order, share = draws.order(), draws.beta(spec.alpha)
    return Mixed(_blend(images, tf.gather(images, order), share[:, tf.newaxis, tf.newaxis, tf.newaxis]), order, share)


def cut_mix(spec: specs.CutMix, images: tf.Tensor, draws: Draws) -> Mixed:
    """Paste a rectangle of another image of the batch into each; its own share is the area outside of it."""
    alpha = draws.uniform(*from_zero(spec.factor))[0]
    side = tf.sqrt(1.0 - draws.beta(alpha))
    pasted = rectangle(images, side, side, draws)
    order = draws.order()
    kept = 1.0 - tf.reduce_mean(tf.cast(pasted, tf.float32), axis=(1, 2, 3))
    return Mixed(tf.where(pasted, tf.gather(images, order), images), order, kept, pasted)


def _blend(first: tf.Tensor, second: tf.Tensor, share: tf.Tensor) -> tf.Tensor:
    return second + share * (first - second)
