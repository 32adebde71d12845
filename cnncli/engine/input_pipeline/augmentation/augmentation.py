"""All random changes of a config, one after the other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from cnncli.config.schema import augmentation as specs
from cnncli.config.schema.schema import Config
from cnncli.datasets.boxes.targets import NOTHING
from cnncli.datasets.masks.coding import IGNORED
from cnncli.datasets.splits import Split
from cnncli.engine.input_pipeline.augmentation import geometry, mixing, pixels
from cnncli.engine.input_pipeline.augmentation.elastic import elastic_transform
from cnncli.engine.input_pipeline.augmentation.mosaic import mosaic
from cnncli.engine.input_pipeline.augmentation.rand_augment import rand_augment
from cnncli.engine.input_pipeline.augmentation.random_draws import Draws
from cnncli.engine.input_pipeline.feed import decoded
from cnncli.engine.input_pipeline.preprocessing import Preprocessing

_IMAGE_CHANGES: dict[type[specs.Augmentation], Callable[[Any, tf.Tensor, Draws], tf.Tensor]] = {
    specs.RandomFlip: geometry.flip,
    specs.RandomTranslation: geometry.translate,
    specs.RandomRotation: geometry.rotate,
    specs.RandomRotate90: geometry.rotate_90,
    specs.RandomZoom: geometry.zoom,
    specs.RandomScale: geometry.scale,
    specs.RandomElasticTransform: elastic_transform,
    specs.RandomCrop: geometry.crop,
    specs.Mosaic: mosaic,
    specs.RandomBrightness: pixels.brighten,
    specs.RandomContrast: pixels.contrast,
    specs.RandomErasing: pixels.erase,
    specs.RandAugment: rand_augment,
}
_MIXING_CHANGES: dict[type[specs.Augmentation], Callable[[Any, tf.Tensor, Draws], mixing.Mixed]] = {
    specs.MixUp: mixing.mix_up,
    specs.CutMix: mixing.cut_mix,
}


class TargetChanges(Protocol):
    """What changes targets as their images are changed: a task's objective."""

    def transform(
        self, change: specs.Augmentation, draws: Draws, targets: tf.Tensor, size: tuple[int, int]
    ) -> tf.Tensor:
        """Return targets moved as a change moves images of a height and width, with the same draws."""
        ...

    def mix(self, targets: tf.Tensor, mixed: mixing.Mixed) -> tf.Tensor:
        """Return targets mixed as their images were."""
        ...


class _NoTargets:
    """Leaves targets alone: for a look at the images."""

    def transform(
        self,
        change: specs.Augmentation,  # noqa: ARG002
        draws: Draws,  # noqa: ARG002
        targets: tf.Tensor,
        size: tuple[int, int],  # noqa: ARG002
    ) -> tf.Tensor:
        """Return the targets."""
        return targets

    def mix(self, targets: tf.Tensor, mixed: mixing.Mixed) -> tf.Tensor:  # noqa: ARG002
        """Return the targets."""
        return targets


class Augmentation:
    """The random changes that a config makes to training images, in the config's order.

    What is drawn follows from the run's seed, the step and an image's place in the batch, and from
    nothing else: a resumed run draws what the run would have drawn.

    Args:
        changes: The config's `data.augmentation`.
        targets: Changes the targets as the images are changed.
    """

    def __init__(self, changes: Sequence[specs.Augmentation], targets: TargetChanges) -> None:
        self._changes = tuple(changes)
        self._targets = targets

    def __bool__(self) -> bool:
        return bool(self._changes)

    def __call__(
        self, images: tf.Tensor, targets: tf.Tensor, seed: tf.Tensor, first: tf.Tensor | int = 0
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Return changed images and targets.

        Args:
            images: float32 (images, height, width, channels), 0 to 1; all but the first axis are static.
            targets: (images, …), as the task has them.
            seed: int32 (2,): the run's seed and the step.
            first: Place of the first image in the whole batch, where devices share a batch.

        """
        for number, change in enumerate(self._changes):
            own_seed = tf.random.experimental.stateless_fold_in(seed, number, alg="philox")
            number_of_images = tf.shape(images)[0]
            draws = Draws(own_seed, first, number_of_images)
            if type(change) in _MIXING_CHANGES:
                mixed = _MIXING_CHANGES[type(change)](change, images, draws)
                images, targets = mixed.images, self._targets.mix(targets, mixed)
            else:
                height, width = images.shape[1:3]
                images = _IMAGE_CHANGES[type(change)](change, images, draws)
                again = Draws(own_seed, first, number_of_images)
                targets = self._targets.transform(change, again, targets, (height, width))
        return images, targets


WHITE = 255
"""What a margin is filled with."""


class Samples(NamedTuple):
    """Training images with what the augmentation makes of each.

    Attributes:
        images: uint8 (images, 1 + variants, height, width, channels): the image as the network reads it, then its
            variants. What is smaller than others, as `RandomScale` with a size makes it, has a white margin.
        targets: What each of these should lead to, moved with it: (images, 1 + variants, …); None where that is not
            looked at.
    """

    images: npt.NDArray[np.uint8]
    targets: npt.NDArray[Any] | None = None


def samples(
    config: Config, split: Split, changes: TargetChanges | None = None, num_images: int = 6, num_variants: int = 8
) -> Samples:
    """Return training images and what the config's augmentation makes of each, for a look.

    Args:
        config: The experiment.
        split: Its training split.
        changes: Changes the targets as the images are changed; None for a look at the images alone.
        num_images: Number of images, spread over the split; fewer if there are fewer.
        num_variants: Number of variants of each; MixUp, CutMix and Mosaic mix them with the other images.
    """
    preprocessing = Preprocessing(config.data)
    places = np.unique(np.linspace(0, len(split) - 1, num_images).astype(np.int64))
    chosen = split.take(places, split.name)
    originals = decoded(chosen, preprocessing)
    targets = np.zeros(len(places), np.float32) if changes is None else chosen.targets.fit(config.data)
    augmentation = Augmentation(config.data.augmentation, _NoTargets() if changes is None else changes)
    images, moved = [originals], [np.asarray(targets)]
    for step in range(num_variants):
        seed = tf.constant([config.seed, step])
        varied, changed = augmentation(preprocessing.to_float(originals), tf.constant(targets), seed)
        images.append(tf.cast(tf.round(tf.clip_by_value(varied, 0.0, 1.0) * 255), tf.uint8).numpy())
        moved.append(changed.numpy())
    no_target = IGNORED if config.task_spec.reads_masks else NOTHING
    return Samples(_side_by_side(images, WHITE), None if changes is None else _side_by_side(moved, no_target))


def _side_by_side(arrays: Sequence[npt.NDArray[Any]], filler: int) -> npt.NDArray[Any]:
    """Return what is of the same images as one array, (images, number of arrays, …).

    Parts of images are smaller than these, a mosaic has rows for more objects: smaller ones are filled up, at the right
    and at the bottom.
    """
    largest = np.max([own.shape for own in arrays], axis=0)
    missing = ([(0, more) for more in largest - own.shape] for own in arrays)
    return np.stack([np.pad(own, m, constant_values=filler) for own, m in zip(arrays, missing, strict=True)], axis=1)
