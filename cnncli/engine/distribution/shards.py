"""A batch in shards: what each contributes to a step, to be added up along one fixed binary tree (`tree`).

The order of a sum is then a config's (`train.shards`) and not a machine's. So any number of workers takes the same step
to the last bit, as long as each operation is computed by a single thread; shards are computed side by side instead.

All that is random in a shard follows from the run's seed, the step and the shard's number.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import keras
import tensorflow as tf

from cnncli.engine.fast_ops import batch_normalization
from cnncli.engine.fast_ops.row_folding import FoldedWeights
from cnncli.engine.input_pipeline.share import Share
from cnncli.engine.network.random_layers import ShardSeeds

Examples = tuple[tf.Tensor, tf.Tensor]
"""uint8 images and their targets."""


class Contribution(NamedTuple):
    """What shards contribute to a step; contributions of several shards add up.

    Attributes:
        gradients: Of the sum of losses / examples of the whole batch, for each trainable weight.
        loss_sum: Sum of the losses, float32.
        sums: What the objective counts, by name; float32 or int64.
        statistics: Means and variances that batch normalization measured, each weighted by the shard's share of the
            batch.
    """

    gradients: list[tf.Tensor]
    loss_sum: tf.Tensor
    sums: dict[str, tf.Tensor]
    statistics: list[tf.Tensor]


class Batch(NamedTuple):
    """What a step learns from: float32 inputs, what the loss compares with, and the targets before any mixing."""

    inputs: tf.Tensor
    targets: tf.Tensor
    unmixed: tf.Tensor


class Learner(NamedTuple):
    """What computes a shard.

    Attributes:
        prepare: Makes a batch of images, targets and a seed, int32 (2,).
        forward: The network.
        folded: What `forward` takes as `known`: it is the same for all shards of a step.
        losses: The loss of each example.
        sums: What the objective counts in a batch, by name.
    """

    prepare: Callable[[tf.Tensor, tf.Tensor, tf.Tensor], Batch]
    forward: Callable[..., Any]
    folded: Callable[[], list[FoldedWeights]]
    losses: Callable[[tf.Tensor, Any], tf.Tensor]
    sums: Callable[[Batch, Any], dict[str, tf.Tensor]]


class Shards:
    """Computes the shards of a batch that one worker takes.

    Args:
        model: The network.
        learner: What is done with a shard.
        updates: Knows the weights, and by what a loss is enlarged in float16.
        share: The shards of this worker.
        seed: Of the run.

    Attributes:
        moving: After the first step is traced: moving statistics in the order of `Contribution.statistics`, each with
            its momentum.
    """

    def __init__(self, model: keras.Model, learner: Learner, updates: Any, share: Share, seed: int) -> None:
        self._learner = learner
        self._updates = updates
        self._share = share
        self._seed = seed
        self._seeds = ShardSeeds(model)
        self.moving: list[tuple[Any, float]] = []

    def contributions(
        self, examples: Examples, step: tf.Tensor, batch_size: tf.Tensor, some_empty: bool
    ) -> list[Contribution]:
        """Return what each of this worker's shards contributes.

        Args:
            examples: This worker's rows of the batch.
            step: Number of the step, int32.
            batch_size: Examples of the whole batch, int32.
            some_empty: Whether there are fewer examples than shards.
        """
        numbers = [tf.constant(number) for number in self._share.numbers]
        if some_empty:
            cut = [self._rows(examples, batch_size, number) for number in numbers]
        else:
            bounds = batch_size * tf.range(numbers[0], numbers[-1] + 2) // self._share.shards
            sizes = bounds[1:] - bounds[:-1]
            cut = [(*rows, None) for rows in zip(*(tf.split(rows, sizes) for rows in examples), strict=True)]
        folded = self._learner.folded()
        return [
            self._shard((images, targets), step, batch_size, number, empty, folded)
            for number, (images, targets, empty) in zip(numbers, cut, strict=True)
        ]

    def batch(self, examples: Examples, step: tf.Tensor, batch_size: int) -> Batch:
        """Return what step `step` makes of images and targets, the shards one after the other.

        Args:
            examples: The whole batch, or this worker's rows of it.
            step: Number of the step, int32.
            batch_size: Examples of the whole batch.
        """
        shards = self._share.shards
        share = self._share if len(examples[0]) < batch_size else Share.of(shards)
        filled = [n for n in share.numbers if batch_size * n // shards < batch_size * (n + 1) // shards]
        parts = []
        for number in filled or [share.first]:
            images, targets, _ = self._rows(examples, tf.constant(batch_size), tf.constant(number), share.first)
            parts.append(self._learner.prepare(images, targets, self._seed_of(step, tf.constant(number))))
        return Batch(*(tf.concat(tensors, axis=0) for tensors in zip(*parts, strict=True)))

    # A function of its own: traced once for all shards, and with nothing in it that a rewriter of graphs could
    # take together with another shard's.
    @tf.function(experimental_attributes={"_noinline": True})
    def _shard(
        self,
        examples: Examples,
        step: tf.Tensor,
        batch_size: tf.Tensor,
        number: tf.Tensor,
        empty: tf.Tensor | None,
        folded: list[FoldedWeights],
    ) -> Contribution:
        """Return what a shard contributes: nothing where it is empty, though it then has a row of another one."""
        images, targets = examples
        batch = self._learner.prepare(images, targets, self._seed_of(step, number))
        collected: list[batch_normalization.Measured] = []
        with (
            tf.GradientTape() as tape,
            self._seeds.of(step, number),
            batch_normalization.statistics_collected(collected),
        ):
            known = {"known": folded} if folded else {}
            outputs = self._learner.forward(batch.inputs, training=True, **known)
            losses = self._learner.losses(batch.targets, outputs)
            loss_sum = tf.reduce_sum(losses)
            scaled = self._updates.scale_loss(loss_sum / tf.cast(batch_size, tf.float32))
        gradients = tape.gradient(
            scaled, [variable.value for variable in self._updates.variables], unconnected_gradients="zero"
        )
        self.moving = [(each.moving, each.momentum) for each in collected]
        weight = tf.cast(tf.shape(images)[0], tf.float32) / tf.cast(batch_size, tf.float32)
        made = Contribution(
            [tf.convert_to_tensor(gradient) for gradient in gradients],
            loss_sum,
            self._counted(batch, outputs),
            [weight * each.value for each in collected],
        )
        return made if empty is None else nothing_where(empty, made)

    def _counted(self, batch: Batch, outputs: Any) -> dict[str, tf.Tensor]:
        """Return what the objective counts, as it travels between workers: counts as int64, others as float32."""
        counted = self._learner.sums(batch, outputs)
        return {name: tf.cast(v, tf.float32 if v.dtype.is_floating else tf.int64) for name, v in counted.items()}

    def _rows(
        self, examples: Examples, batch_size: tf.Tensor, number: tf.Tensor, first: int | None = None
    ) -> tuple[tf.Tensor, ...]:
        """Return a shard's images and targets, at least one, and whether it has none of its own.

        Args:
            examples: Rows of a batch.
            batch_size: Examples of the whole batch, int32.
            number: The shard's, int32.
            first: Number of the shard that the rows begin with; by default this worker's first one.
        """
        images, targets = examples
        shards, first = self._share.shards, self._share.first if first is None else first
        offset = batch_size * first // shards
        begin, end = batch_size * number // shards - offset, batch_size * (number + 1) // shards - offset
        start = tf.minimum(begin, tf.shape(images)[0] - 1)
        stop = tf.maximum(end, start + 1)
        return images[start:stop], targets[start:stop], tf.equal(begin, end)

    def _seed_of(self, step: tf.Tensor, number: tf.Tensor) -> tf.Tensor:
        """Return the seed of a shard's augmentation."""
        seed = tf.stack([tf.constant(self._seed), step])
        return tf.random.experimental.stateless_fold_in(seed, number, alg="philox")


def nothing_where(empty: tf.Tensor, made: Contribution) -> Contribution:
    """Return a contribution, or zeros where a shard is empty."""
    kept: Contribution = tf.nest.map_structure(lambda tensor: tf.where(empty, tf.zeros_like(tensor), tensor), made)
    return kept
