"""What random layers draw where a batch is computed in shards: from their seed, the step and the shard alone."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import keras
import tensorflow as tf


class ShardSeeds:
    """Lets the random layers of a network draw from (their seed, the step, the shard) while a shard is computed.

    By itself a Keras layer counts its calls: what it draws would depend on how many shards a process computes. The
    counters stay where they are.

    Args:
        model: The network, which is changed.
    """

    def __init__(self, model: keras.Model) -> None:
        self._place: tuple[tf.Tensor, tf.Tensor] | None = None
        for layer in model.layers:
            generator = getattr(layer, "seed_generator", None)
            if generator is not None:
                generator.next = partial(self._next, generator, generator.next)

    @contextmanager
    def of(self, step: tf.Tensor, shard: tf.Tensor) -> Iterator[None]:
        """Draw for a step (int32) and a shard's number (int32) while a block is traced."""
        self._place = step, shard
        try:
            yield
        finally:
            self._place = None

    def _next(self, generator: Any, otherwise: Any, ordered: bool = True) -> tf.Tensor:
        """Return the seed of a layer's next draw, (2,)."""
        if self._place is None:
            return otherwise(ordered)
        step, shard = self._place
        own = tf.cast(tf.convert_to_tensor(generator.state)[0], tf.int32)
        return tf.random.experimental.stateless_fold_in(tf.stack([own, step]), shard, alg="philox")
