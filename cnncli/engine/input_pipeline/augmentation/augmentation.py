"""All random changes of a config, one after the other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from cnncli.config.schema import augmentation as specs
from cnncli.config.schema.schema import Config
from cnncli.datasets.splits import Split
from cnncli.engine.input_pipeline.augmentation import geometry, mixing, pixels
from cnncli.engine.input_pipeline.augmentation.rand_augment import rand_augment
from cnncli.engine.input_pipeline.augmentation.random_draws import Draws
from cnncli.engine.input_pipeline.feed import decoded
from cnncli.engine.input_pipeline.preprocessing import Preprocessing

_IMAGE_CHANGES: dict[type[specs.Augmentation], Callable[[Any, tf.Tensor, Draws], tf.Tensor]] = {
    specs.RandomFlip: geometry.flip,
    specs.RandomTranslation: geometry.translate,
    specs.RandomRotation: geometry.rotate,
    specs.RandomZoom: geometry.zoom,
    specs.RandomCrop: geometry.crop,
    specs.RandomBrightness: pixels.brighten,
    specs.RandomContrast: pixels.contrast,
    specs.RandomErasing: pixels.erase,
    specs.RandAugment: rand_augment,
}
_MIXING_CHANGES: dict[type[specs.Augmentation], Callable[[Any, tf.Tensor, tf.Tensor, Draws], mixing.Mixed]] = {
    specs.MixUp: mixing.mix_up,
    specs.CutMix: mixing.cut_mix,
}


class Augmentation:
    """The random changes that a config makes to training images, in the config's order.

    What is drawn follows from the run's seed, the step and an image's place in the batch, and from
    nothing else: a resumed run draws what the run would have drawn.

    Args:
        changes: The config's `data.augmentation`.
        num_classes: Number of the network's outputs.

    Attributes:
        mixes_labels: Whether labels become probabilities (MixUp, CutMix).
    """

    def __init__(self, changes: Sequence[specs.Augmentation], num_classes: int) -> None:
        self._changes = tuple(changes)
        self._num_classes = num_classes
        self.mixes_labels = any(type(change) in _MIXING_CHANGES for change in changes)

    def __bool__(self) -> bool:
        return bool(self._changes)

    def __call__(
        self, images: tf.Tensor, labels: tf.Tensor, seed: tf.Tensor, first: tf.Tensor | int = 0
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Return changed images and labels.

        Args:
            images: float32 (images, height, width, channels), 0 to 1; all but the first axis are static.
            labels: int32 (images,).
            seed: int32 (2,): the run's seed and the step.
            first: Place of the first image in the whole batch, where devices share a batch.

        Returns:
            The images, and int32 labels as they were or, with `mixes_labels`, float32 (images, classes).
        """
        targets = tf.one_hot(labels, self._num_classes) if self.mixes_labels else labels
        for number, change in enumerate(self._changes):
            own_seed = tf.random.experimental.stateless_fold_in(seed, number, alg="philox")
            draws = Draws(own_seed, first, tf.shape(images)[0])
            if type(change) in _MIXING_CHANGES:
                images, targets = _MIXING_CHANGES[type(change)](change, images, targets, draws)
            else:
                images = _IMAGE_CHANGES[type(change)](change, images, draws)
        return images, targets


def samples(config: Config, split: Split, num_images: int = 6, num_variants: int = 8) -> npt.NDArray[np.uint8]:
    """Return training images and what the config's augmentation makes of each, for a look.

    Args:
        config: The experiment.
        split: Its training split.
        num_images: Number of images, spread over the split; fewer if there are fewer.
        num_variants: Number of variants of each; MixUp and CutMix mix them with the other images.

    Returns:
        uint8 (images, 1 + variants, height, width, channels): the image as the network reads it, then its variants.
    """
    preprocessing = Preprocessing(config.data)
    places = np.unique(np.linspace(0, len(split) - 1, num_images).astype(np.int64))
    originals = decoded(split.take(places, split.name), preprocessing)
    labels = tf.constant(split.labels[places], tf.int32)
    augmentation = Augmentation(config.data.augmentation, int(split.labels.max()) + 1)
    rows = [originals]
    for step in range(num_variants):
        images, _ = augmentation(preprocessing.to_float(originals), labels, tf.constant([config.seed, step]))
        rows.append(tf.cast(tf.round(tf.clip_by_value(images, 0.0, 1.0) * 255), tf.uint8).numpy())
    return np.stack(rows, axis=1)
