"""RandAugment: a few changes from a fixed list, drawn for each image.

Reference: Cubuk et al., NeurIPS 2020. With factor 1 the changes are as strong as the paper's strongest.
"""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

from cnncli.config.schema import augmentation as specs
from cnncli.engine.input_pipeline.augmentation import geometry, pixels, tones
from cnncli.engine.input_pipeline.augmentation.random_draws import Draws

Change = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]
"""Images and two strengths from −factor to factor for each, (2, images) → changed images."""

_MAX_SHEAR = 0.3
_MAX_SHIFT = 0.45
_MAX_TURN = 30 / 360
_MAX_TONE = 0.9
_MAX_BITS = 4.0
_MOVES = 3
"""Changes that move pixels; they come first."""


def rand_augment(spec: specs.RandAugment, images: tf.Tensor, draws: Draws) -> tf.Tensor:
    """Make `num_ops` changes to each image, one after the other; a change is computed only where it was drawn."""
    return _made(_changes(specs.Moved(interpolation=spec.interpolation)), spec, images, draws)


def rand_augment_masks(spec: specs.RandAugment, masks: tf.Tensor, draws: Draws) -> tf.Tensor:
    """Move masks as their images are moved; changes of pixel values leave them alone."""
    moves = _changes(specs.Moved(interpolation="nearest"))
    changes = (*moves[:_MOVES], *(_unchanged for _ in moves[_MOVES:]))
    return _made(changes, spec, masks, draws)


def _unchanged(images: tf.Tensor, _: tf.Tensor) -> tf.Tensor:
    return images


def _made(changes: tuple[Change, ...], spec: specs.RandAugment, images: tf.Tensor, draws: Draws) -> tf.Tensor:
    shape = images.shape
    for _ in range(spec.num_ops):
        chosen, strengths = draws.choice(len(changes)), draws.uniform(-spec.factor, spec.factor, (2,))
        places = tf.dynamic_partition(tf.range(tf.shape(images)[0]), chosen, len(changes))
        parts = []
        for change, place in zip(changes, places, strict=True):
            part = tf.ensure_shape(tf.gather(images, place), (None, *shape[1:]))
            parts.append(change(part, tf.transpose(tf.gather(strengths, place))))
        images = tf.ensure_shape(tf.dynamic_stitch(places, parts), shape)
    return images


def _changes(moved: specs.Moved) -> tuple[Change, ...]:
    return (
        lambda images, by: geometry.sheared(moved, images, by[0] * _MAX_SHEAR, by[1] * _MAX_SHEAR),
        lambda images, by: geometry.translated(moved, images, by[0] * _MAX_SHIFT, by[1] * _MAX_SHIFT),
        lambda images, by: geometry.rotated(moved, images, by[0] * _MAX_TURN),
        lambda images, by: pixels.shifted(images, by[0] * _MAX_TONE),
        lambda images, by: pixels.stretched(images, 1.0 + by[0] * _MAX_TONE),
        lambda images, by: tones.faded(images, by[0] * _MAX_TONE),
        lambda images, by: tones.sharpened(images, by[0] * _MAX_TONE),
        lambda images, by: tones.solarized(images, 1.0 - tf.abs(by[0])),
        lambda images, by: tones.posterized(images, 8.0 - tf.abs(by[0]) * _MAX_BITS),
        lambda images, _: tones.full_contrast(images),
        lambda images, _: tones.equalized(images),
    )
