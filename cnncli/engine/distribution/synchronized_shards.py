"""Shards whose batch normalization takes its statistics from the whole batch: computed layer by layer, side by side.

Such a layer needs what every shard gives it before any of them goes on, and so does its gradient: both sums are added
up along the tree of shards, over all workers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import keras
import tensorflow as tf

from cnncli.config.schema.schema import Config
from cnncli.engine.distribution.shards import (
    Contribution,
    Examples,
    Learner,
    Shards,
    nothing_where,
)
from cnncli.engine.distribution.strategy import Strategy
from cnncli.engine.fast_ops.batch_normalization import Measured, statistics_collected
from cnncli.engine.network.model import end_nodes
from cnncli.layers.base import Merge
from cnncli.layers.graph import INPUT


def is_synchronized(layer: Any) -> bool:
    """Say whether a layer takes its statistics from the whole batch."""
    return isinstance(layer, keras.layers.BatchNormalization) and bool(layer.synchronized) and bool(layer.trainable)


class _Shard(NamedTuple):
    """One shard on its way through the network.

    Attributes:
        number: Its number.
        weights: Its own copies of the trainable weights, so that its gradients can be told from the others'.
        scope: Lets layers read these.
        measured: What its other batch normalizations measured.
        empty: Whether it has no examples of its own, but one that does not count.
    """

    number: tf.Tensor
    weights: list[tf.Tensor]
    scope: keras.StatelessScope
    measured: list[Measured]
    empty: tf.Tensor


class SynchronizedShards(Shards):
    """Shards that wait for each other where batch normalization is synchronized.

    Args:
        config: Of the run.
        model: The network.
        learner: What is done with a shard.
        updates: Knows the weights, and by what a loss is enlarged in float16.
        strategy: Adds up over the workers.
    """

    def __init__(self, config: Config, model: keras.Model, learner: Learner, updates: Any, strategy: Strategy) -> None:
        super().__init__(model, learner, updates, strategy.share, config.seed)
        self._model, self._strategy = model, strategy
        self._nodes, self._ends = end_nodes(config)

    def contributions(
        self, examples: Examples, step: tf.Tensor, batch_size: tf.Tensor, some_empty: bool
    ) -> list[Contribution]:
        """Return what each of this worker's shards contributes."""
        rows = [self._rows(examples, batch_size, tf.constant(number)) for number in self._share.numbers]
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            shards = [self._begun(number, own[2], tape) for number, own in zip(self._share.numbers, rows, strict=True)]
            batches = [
                self._learner.prepare(images, targets, self._seed_of(step, shard.number))
                for shard, (images, targets, _) in zip(shards, rows, strict=True)
            ]
            outputs = self._forward(shards, [batch.inputs for batch in batches], step)
            losses = [self._learner.losses(batch.targets, own) for batch, own in zip(batches, outputs, strict=True)]
            loss_sums = [
                tf.where(shard.empty, 0.0, tf.reduce_sum(own)) for shard, own in zip(shards, losses, strict=True)
            ]
            scaled = self._updates.scale_loss(tf.add_n(loss_sums) / tf.cast(batch_size, tf.float32))
        gradients = tape.gradient(scaled, [shard.weights for shard in shards], unconnected_gradients="zero")
        self.moving = [(each.moving, each.momentum) for each in shards[0].measured]
        made = []
        for number, shard in enumerate(shards):
            weight = tf.cast(tf.shape(rows[number][0])[0], tf.float32) / tf.cast(batch_size, tf.float32)
            own = Contribution(
                gradients[number],
                loss_sums[number],
                self._counted(batches[number], outputs[number]),
                [weight * each.value for each in shard.measured],
            )
            made.append(nothing_where(shard.empty, own) if some_empty else own)
        return made

    def _begun(self, number: int, empty: tf.Tensor, tape: tf.GradientTape) -> _Shard:
        weights = [tf.identity(variable.value) for variable in self._updates.variables]
        tape.watch(weights)
        scope = keras.StatelessScope(list(zip(self._updates.variables, weights, strict=True)))
        return _Shard(tf.constant(number), weights, scope, [], empty)

    def _forward(self, shards: Sequence[_Shard], inputs: Sequence[tf.Tensor], step: tf.Tensor) -> list[Any]:
        """Return what the network makes of each shard."""
        made: list[list[tf.Tensor]] = []
        for node in self._nodes:
            layer = self._model.get_layer(node.name)
            given = [[inputs[k] if i == INPUT else made[i][k] for i in node.inputs] for k in range(len(shards))]
            arguments = [tensors if isinstance(node.layer, Merge) else tensors[0] for tensors in given]
            if is_synchronized(layer):
                made.append(self._normalized(layer, shards, arguments))
                continue
            outputs = []
            for shard, argument in zip(shards, arguments, strict=True):
                with shard.scope, self._seeds.of(step, shard.number), statistics_collected(shard.measured):
                    outputs.append(layer(argument, training=True))
            made.append(outputs)
        if len(self._ends) == 1:
            return made[-1]
        return [{name: made[index][k] for name, index in self._ends.items()} for k in range(len(shards))]

    def _normalized(self, layer: Any, shards: Sequence[_Shard], inputs: Sequence[tf.Tensor]) -> list[tf.Tensor]:
        """Normalize the shards by the mean and variance of all shards of all workers."""
        channels = inputs[0].shape[-1]
        images = [tf.cast(tf.reshape(own, (-1, channels)), tf.float32) for own in inputs]
        counted = [1.0 - tf.cast(shard.empty, tf.float32) for shard in shards]
        ones, zeros = [tf.ones(channels)] * len(shards), [tf.zeros(channels)] * len(shards)
        scopes = [shard.scope for shard in shards]
        gammas = [_read(layer.gamma, scope) for scope in scopes] if layer.scale else ones
        betas = [_read(layer.beta, scope) for scope in scopes] if layer.center else zeros
        # Squares are of what is left of the mean before: without that, a large mean would leave no digits for them.
        near = tf.convert_to_tensor(layer.moving_mean)
        sizes = [weight * tf.cast(tf.shape(own)[:1], tf.float32) for weight, own in zip(counted, images, strict=True)]
        sums = [weight * tf.reduce_sum(own - near, axis=0) for weight, own in zip(counted, images, strict=True)]
        squares = [
            weight * tf.reduce_sum((own - near) ** 2, axis=0) for weight, own in zip(counted, images, strict=True)
        ]
        # One exchange for all: several at once could be begun in another order by another worker.
        number, total, total_squares = map(
            tf.stop_gradient, self._strategy.add_up(list(zip(sizes, sums, squares, strict=True)))
        )
        mean = near + total / number
        variance = tf.maximum(total_squares / number - (total / number) ** 2, 0.0)
        inverse = tf.math.rsqrt(variance + layer.epsilon)

        @tf.custom_gradient
        def normalize(*tensors: tf.Tensor) -> Any:
            count = len(images)
            own_images, own_gammas, own_betas = tensors[:count], tensors[count : 2 * count], tensors[2 * count :]
            normal = [(own - mean) * inverse for own in own_images]

            def gradients(*upstream: tf.Tensor) -> Any:
                of_betas = [tf.reduce_sum(own, axis=0) for own in upstream]
                of_gammas = [tf.reduce_sum(own * x, axis=0) for own, x in zip(upstream, normal, strict=True)]
                weighted = [
                    (w * g * beta, w * g * gamma)
                    for w, g, beta, gamma in zip(counted, own_gammas, of_betas, of_gammas, strict=True)
                ]
                mean_beta, mean_gamma = (total / number for total in self._strategy.add_up(weighted))
                of_images = [
                    w * inverse * (g * own - mean_beta - x * mean_gamma)
                    for w, g, own, x in zip(counted, own_gammas, upstream, normal, strict=True)
                ]
                return (*of_images, *of_gammas, *of_betas)

            return [x * g + b for x, g, b in zip(normal, own_gammas, own_betas, strict=True)], gradients

        outputs = normalize(*images, *gammas, *betas)
        for shard in shards:
            for moving, value in ((layer.moving_mean, mean), (layer.moving_variance, variance)):
                shard.measured.append(Measured(moving, layer.momentum, value))
        return [
            tf.cast(tf.reshape(own, tf.shape(given)), given.dtype) for own, given in zip(outputs, inputs, strict=True)
        ]


def _read(variable: Any, scope: keras.StatelessScope) -> tf.Tensor:
    with scope:
        return tf.convert_to_tensor(variable)
