"""Masks moved as their images are: by the same draws, each pixel the class of the nearest one.

What an image is filled with from outside has no class, unless it is the image itself again: reflected, wrapped around,
or its edge repeated. Erased rectangles keep their classes: a network should tell them by what is around.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import tensorflow as tf

from cnncli.config.schema import augmentation as specs
from cnncli.datasets.masks.coding import IGNORED
from cnncli.engine.input_pipeline.augmentation import geometry
from cnncli.engine.input_pipeline.augmentation.elastic import elastic_transform
from cnncli.engine.input_pipeline.augmentation.mosaic import mosaic
from cnncli.engine.input_pipeline.augmentation.rand_augment import rand_augment_masks
from cnncli.engine.input_pipeline.augmentation.random_draws import Draws

_MOVES: dict[type[specs.Augmentation], Callable[[Any, tf.Tensor, Draws], tf.Tensor]] = {
    specs.RandomFlip: geometry.flip,
    specs.RandomTranslation: geometry.translate,
    specs.RandomRotation: geometry.rotate,
    specs.RandomRotate90: geometry.rotate_90,
    specs.RandomZoom: geometry.zoom,
    specs.RandomScale: geometry.scale,
    specs.RandomElasticTransform: elastic_transform,
    specs.RandomCrop: partial(geometry.crop, method="nearest"),
    specs.Mosaic: mosaic,
    specs.RandAugment: rand_augment_masks,
}


# Nothing here branches on tensors, and AutoGraph warns of what it cannot read: a copy of a setting.
@tf.autograph.experimental.do_not_convert
def move(change: specs.Augmentation, masks: tf.Tensor, draws: Draws) -> tf.Tensor:
    """Return masks moved as a change moves their images.

    Args:
        change: The change.
        masks: Class numbers, uint8 (images, height, width); height and width are static.
        draws: The same that moved the images, from their beginning.
    """
    kind = type(change)
    if kind not in _MOVES:
        return masks
    if isinstance(change, specs.Filled):
        # Numbers from 0 to 255 stand for shares from 0 to 1, as in images: 255 fills with what is ignored.
        change = change.model_copy(update={"fill_value": float(IGNORED)})
    if isinstance(change, specs.Moved):
        change = change.model_copy(update={"interpolation": "nearest"})
    return _numbers(_MOVES[kind](change, _shares(masks), draws))


def _shares(masks: tf.Tensor) -> tf.Tensor:
    return tf.cast(masks, tf.float32)[..., tf.newaxis] / 255


def _numbers(shares: tf.Tensor) -> tf.Tensor:
    return tf.cast(tf.round(shares[..., 0] * 255), tf.uint8)
