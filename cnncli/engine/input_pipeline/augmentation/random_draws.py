"""Random numbers that follow from a seed alone, so that nothing random needs to be in a checkpoint."""

from __future__ import annotations

import tensorflow as tf

Bounds = float | tuple[float, float]
"""A range of a config: its two ends, or one number whose meaning the change states."""

_ALGORITHM = "philox"
_TINY = 1e-37
"""Sum of two draws of a gamma distribution below which their shares mean nothing."""


class Draws:
    """Random numbers for the images of a batch, one call after the other.

    What an image draws depends on the seed and on its place in the whole batch, not on how many
    images are drawn for at once: a batch that is shared out between devices draws as it would on one.

    Args:
        seed: int32 (2,): the run's seed and the step.
        first: Place of the first image in the whole batch.
        count: Number of images.
    """

    def __init__(self, seed: tf.Tensor, first: tf.Tensor | int, count: tf.Tensor | int) -> None:
        self._seed = seed
        self.first = first
        self.count = count
        self._calls = 0

    def uniform(self, low: float, high: float, shape: tuple[int, ...] = ()) -> tf.Tensor:
        """Return float32 (images, *shape) between `low` and `high`."""
        sizes = tf.concat([[self.first + self.count], tf.constant(shape, tf.int32)], axis=0)
        drawn = tf.random.stateless_uniform(sizes, self._next_seed(), low, high, alg=_ALGORITHM)
        return drawn[self.first :]

    def normal(self, shape: tuple[int, ...] = ()) -> tf.Tensor:
        """Return float32 (images, *shape) from the normal distribution of mean 0 and deviation 1."""
        sizes = tf.concat([[self.first + self.count], tf.constant(shape, tf.int32)], axis=0)
        return tf.random.stateless_normal(sizes, self._next_seed(), alg=_ALGORITHM)[self.first :]

    def choice(self, number: int) -> tf.Tensor:
        """Return int32 (images,) from 0 to `number` − 1."""
        return tf.minimum(tf.cast(self.uniform(0.0, float(number)), tf.int32), number - 1)

    def beta(self, alpha: tf.Tensor | float) -> tf.Tensor:
        """Return float32 (images,) from a beta distribution with both parameters `alpha`; 1 for alpha 0."""
        alpha = tf.maximum(tf.convert_to_tensor(alpha, tf.float32), 1e-6)
        first, second = self._gamma(alpha), self._gamma(alpha)
        total = first + second
        # Where both are too small for float32, TensorFlow returns the smallest number there is for either.
        return tf.where(total > _TINY, first / total, 1.0)

    def order(self) -> tf.Tensor:
        """Return a permutation of the images: int32 (images,)."""
        return tf.argsort(self.uniform(0.0, 1.0), stable=True)

    def _gamma(self, alpha: tf.Tensor) -> tf.Tensor:
        return tf.random.stateless_gamma([self.first + self.count], self._next_seed(), alpha)[self.first :]

    def _next_seed(self) -> tf.Tensor:
        self._calls += 1
        return tf.random.experimental.stateless_fold_in(self._seed, self._calls, alg=_ALGORITHM)


def both_ways(factor: Bounds) -> tuple[float, float]:
    """Return the range of a factor: `f` means −f to f."""
    return (-abs(factor), abs(factor)) if isinstance(factor, float | int) else (min(factor), max(factor))


def from_zero(factor: Bounds) -> tuple[float, float]:
    """Return the range of a factor: `f` means 0 to f."""
    return (0.0, factor) if isinstance(factor, float | int) else (min(factor), max(factor))


def per_image(values: tf.Tensor) -> tf.Tensor:
    """Return (images,) as (images, 1, 1, 1): one number for all pixels of an image."""
    return values[:, tf.newaxis, tf.newaxis, tf.newaxis]
