"""The step loop: many training steps in one call of TensorFlow, without a word from Python."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from cnncli.config.schema.schema import Config
from cnncli.engine.distribution.shards import Batch, Contribution, Examples, Learner, Shards
from cnncli.engine.distribution.strategy import OneProcess, Strategy
from cnncli.engine.distribution.synchronized_shards import SynchronizedShards, is_synchronized
from cnncli.engine.fast_ops import batch_halves, row_folding
from cnncli.engine.input_pipeline.augmentation import Augmentation
from cnncli.engine.input_pipeline.feed import Chunk
from cnncli.engine.input_pipeline.preprocessing import Preprocessing
from cnncli.engine.network.variables import assign, model_variables
from cnncli.engine.tasks.objective import Objective, Sums
from cnncli.engine.training.optimizer import Updates
from cnncli.errors import CnnError

PENALTY_SUM = "epoch/penalty_sum"
"""Name of the sum that only networks with regularizers have."""


class Means(NamedTuple):
    """What training measured, as means over the examples of an epoch seen so far.

    Attributes:
        loss: The task's loss: of classification, the cross-entropy.
        metrics: The task's other metrics by name.
        regularization_loss: What the regularizers added to the loss; None without regularizers, and in an epoch that
            an earlier version of cnncli began, which did not sum it up.
    """

    loss: float
    metrics: dict[str, float]
    regularization_loss: float | None = None

    def by_name(self) -> dict[str, float]:
        """Return those that are known."""
        known = {"loss": self.loss, **self.metrics, "regularization_loss": self.regularization_loss}
        return {name: value for name, value in known.items() if value is not None}


class StepLoop:
    """A model, its optimizer and the sums of the current epoch: all that a training step changes.

    Args:
        config: Of the run.
        model: Network that ends in logits.
        preprocessing: The same that evaluation and export use.
        objective: What the task minimizes and counts.
        strategy: How several processes share a step.
    """

    def __init__(
        self,
        config: Config,
        model: keras.Model,
        preprocessing: Preprocessing,
        objective: Objective,
        strategy: Strategy | None = None,
    ) -> None:
        self.model = model
        self.updates = Updates(config.train, model)
        # Its layers take images of any size, though the model asks for those that it predicts for.
        of_parts = config.data.training_size != config.data.image_size
        self._forward = model.call if of_parts else row_folding.forward(model)
        self.preprocessing = preprocessing
        self.objective = objective
        self._strategy = strategy or OneProcess.of(config)
        self._augmentation = Augmentation(config.data.augmentation, objective)
        self._seed = config.seed
        # The threads may be set for another network of this process: this one's means must be over whole batches.
        self._halves = 1 if _takes_means_over_batches(model) else batch_halves.number()
        # In float16 the optimizer itself skips a step whose enlarged gradients overflow.
        self._guards_gradients = config.train.precision != "mixed_float16"
        self._loss_sum = tf.Variable(0.0, dtype=tf.float64, name="loss_sum")
        self._task_sums = {
            name: tf.Variable(tf.zeros(spec.shape, spec.dtype), name=name) for name, spec in objective.sum_specs.items()
        }
        self._num_seen = tf.Variable(0, dtype=tf.int64, name="num_seen")
        self._sums = [self._loss_sum, *self._task_sums.values(), self._num_seen]
        self._penalty_sum = tf.Variable(0.0, dtype=tf.float64, name="penalty_sum") if model.losses else None
        if self._penalty_sum is not None:
            self._sums.append(self._penalty_sum)
        self._num_shards = config.train.shards
        if self._num_shards > 1:
            folded = self._forward.weights if isinstance(self._forward, row_folding.FoldedForward) else list
            learner = Learner(self._prepare, self._forward, folded, objective.loss, self._counted)
            if any(map(is_synchronized, model.layers)):
                self._shards: Shards = SynchronizedShards(config, model, learner, self.updates, self._strategy)
            else:
                self._shards = Shards(model, learner, self.updates, self._strategy.share, config.seed)
        targets = objective.target_spec
        signature = [
            tf.TensorSpec([None, None, None, None], tf.uint8),
            tf.TensorSpec([None, *targets.shape[1:]], targets.dtype),
            tf.TensorSpec([None, None], tf.int32),
            tf.TensorSpec([None, None], tf.float32),
            tf.TensorSpec([], tf.int32),
            tf.TensorSpec([], tf.int32),
        ]
        self._run = {
            some_empty: tf.function(partial(self._steps, some_empty), input_signature=signature)
            for some_empty in (False, True)
        }

    def run(self, chunk: Chunk, rates: np.ndarray, first_step: int) -> np.ndarray:
        """Take one step for every batch of `chunk`.

        Args:
            chunk: Batches of equal size.
            rates: Learning rate of each step and group, float32 (batches, groups).
            first_step: Number of the first step since the run began, from 0; augmentation follows from it.

        Returns:
            Loss of each step taken, float32; fewer than batches if a loss or gradient was not finite,
            in which case the weights are those before that step.

        Raises:
            CnnError: If the memory does not suffice.
        """
        try:
            with self._strategy.watched():
                losses = self._run[chunk.batch_size < self._num_shards](
                    chunk.images,
                    chunk.targets,
                    tf.constant(chunk.plan),
                    tf.constant(rates, tf.float32),
                    tf.constant(first_step, tf.int32),
                    tf.constant(chunk.batch_size, tf.int32),
                )
        except tf.errors.ResourceExhaustedError as error:
            raise CnnError(
                f"out of memory for a step of {chunk.batch_size} examples",
                "Lower train.batch_size; train.accumulate accumulates the gradients of several steps.",
            ) from error
        return np.asarray(losses)

    def _steps(
        self,
        some_empty: bool,
        images: tf.Tensor,
        targets: tf.Tensor,
        plan: tf.Tensor,
        rates: tf.Tensor,
        first_step: tf.Tensor,
        batch_size: tf.Tensor,
    ) -> tf.Tensor:
        images = tf.ensure_shape(images, [None, *self.model.input_shape[1:]])
        num_steps = tf.shape(plan)[0]

        def more(done: tf.Tensor, finite: tf.Tensor, _: tf.TensorArray) -> tf.Tensor:
            return finite & (done < num_steps)

        def step(done: tf.Tensor, finite: tf.Tensor, losses: tf.TensorArray) -> tuple[tf.Tensor, ...]:
            indices, number = plan[done], first_step + done
            examples = tf.gather(images, indices), tf.gather(targets, indices)
            if self._num_shards > 1:
                loss, finite = self._sharded_step(examples, number, batch_size, rates[done], some_empty)
            else:
                loss, finite = self._step(self.batch(*examples, number), rates[done])
            return done + tf.cast(finite, tf.int32), finite, losses.write(done, loss)

        losses = tf.TensorArray(tf.float32, size=num_steps, element_shape=[])
        state = [tf.constant(0), tf.constant(True), losses]
        done, _, losses = tf.while_loop(more, step, state, parallel_iterations=1)
        return losses.stack()[:done]

    def batch(self, images: tf.Tensor, targets: tf.Tensor, step: tf.Tensor, batch_size: int | None = None) -> Batch:
        """Return what step `step` (from 0) makes of uint8 images and their targets: scaled, augmented.

        Args:
            images: A batch, or this worker's rows of it.
            targets: Of these images.
            step: Number of the step, int32.
            batch_size: Examples of the whole batch; by default as many as there are images.
        """
        if self._num_shards > 1:
            return self._shards.batch((images, targets), step, batch_size or len(images))
        return self._prepare(images, targets, tf.stack([self._seed, step]))

    def _prepare(self, images: tf.Tensor, targets: tf.Tensor, seed: tf.Tensor) -> Batch:
        """Return scaled and augmented images and their targets, from a seed, int32 (2,)."""
        inputs = self.preprocessing.to_float(images)
        if not self._augmentation:
            return Batch(inputs, targets, targets)
        return Batch(*self._augmentation(inputs, targets, seed), targets)

    # A function of its own inside the loop: in a loop's graph, with its cycles, TensorFlow may come to the gradient of
    # a max-pooling before the max-pooling, and then leaves it a kernel several times slower: in one process of twelve.
    @tf.function(experimental_attributes={"_noinline": True})
    def _step(self, batch: Batch, rates: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Take one step unless its loss or gradients are not finite; return the loss and whether they were."""
        with tf.GradientTape() as tape:
            outputs = batch_halves.in_halves(
                lambda inputs: self._forward(inputs, training=True), batch.inputs, self._halves
            )
            losses = self.objective.loss(batch.targets, outputs)
            penalty = sum(self.model.losses)
            loss = tf.reduce_mean(losses) + penalty
            scaled = self.updates.scale_loss(loss)
        gradients = tape.gradient(scaled, [variable.value for variable in self.updates.variables])

        def apply() -> tf.Tensor:
            self.updates.apply(gradients, rates)
            number = tf.shape(batch.unmixed, tf.int64)[0]
            self._count(tf.reduce_sum(losses), self._counted(batch, outputs), penalty, number)
            return tf.constant(True)

        return loss, tf.cond(self._are_finite(loss, gradients), apply, lambda: tf.constant(False))

    @tf.function(experimental_attributes={"_noinline": True})
    def _sharded_step(
        self, examples: Examples, step: tf.Tensor, batch_size: tf.Tensor, rates: tf.Tensor, some_empty: bool
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Take one step as `_step` does, from the contributions of all workers' shards."""
        total: Contribution = self._strategy.add_up(self._shards.contributions(examples, step, batch_size, some_empty))
        penalty, gradients = self._with_penalty(total.gradients)
        loss = total.loss_sum / tf.cast(batch_size, tf.float32) + penalty

        def apply() -> tf.Tensor:
            self.updates.apply(gradients, rates)
            for (moving, momentum), measured in zip(self._shards.moving, total.statistics, strict=True):
                moving.assign(moving * momentum + measured * (1.0 - momentum))
            self._count(total.loss_sum, total.sums, penalty, tf.cast(batch_size, tf.int64))
            return tf.constant(True)

        return loss, tf.cond(self._are_finite(loss, gradients), apply, lambda: tf.constant(False))

    def _with_penalty(self, gradients: list[tf.Tensor]) -> tuple[tf.Tensor | float, list[tf.Tensor]]:
        """Return what the regularizers add to the loss, and gradients with theirs."""
        if not self.model.losses:
            return 0.0, gradients
        with tf.GradientTape() as tape:
            penalty = sum(self.model.losses)
            scaled = self.updates.scale_loss(penalty)
        own = tape.gradient(
            scaled, [variable.value for variable in self.updates.variables], unconnected_gradients="zero"
        )
        return penalty, [gradient + added for gradient, added in zip(gradients, own, strict=True)]

    def _are_finite(self, loss: tf.Tensor, gradients: Sequence[tf.Tensor]) -> tf.Tensor:
        finite = tf.math.is_finite(loss)
        return finite & tf.math.is_finite(tf.linalg.global_norm(gradients)) if self._guards_gradients else finite

    def _counted(self, batch: Batch, outputs: Any) -> dict[str, tf.Tensor]:
        """Return what the objective counts in a batch, by name."""
        targets = batch.targets if batch.targets.dtype == self.objective.target_spec.dtype else batch.unmixed
        return dict(self.objective.sums(targets, outputs))

    def _count(self, loss_sum: tf.Tensor, counted: Sums, penalty: tf.Tensor | float, number: tf.Tensor) -> None:
        """Add a batch to the epoch's sums."""
        totals = [loss_sum, *(counted[name] for name in self._task_sums), number]
        if self._penalty_sum is not None:
            totals.append(tf.cast(penalty, tf.float64) * tf.cast(number, tf.float64))
        for variable, total in zip(self._sums, totals, strict=True):
            variable.assign_add(tf.cast(total, variable.dtype))

    def non_finite_layer(self) -> str | None:
        """Return the first layer with a weight or moving statistic that is not finite, if there is one.

        A normalization after them can keep the loss finite for long.
        """
        if bool(self._weights_are_finite()):
            return None
        layers = (layer for layer in self.model.layers if not all(map(_is_finite, layer.weights)))
        return str(next(layer.name for layer in layers))

    @tf.function(input_signature=[])
    def _weights_are_finite(self) -> tf.Tensor:
        return tf.reduce_all([_is_finite(variable) for variable in self.model.weights])

    def means(self) -> Means:
        """Return the epoch's means so far."""
        seen = max(int(self._num_seen), 1)
        penalty = float("nan") if self._penalty_sum is None else float(self._penalty_sum) / seen
        known = None if math.isnan(penalty) else penalty
        sums = {name: variable.numpy().tolist() for name, variable in self._task_sums.items()}
        return Means(float(self._loss_sum) / seen, self.objective.means(sums, seen), known)

    def penalty(self) -> float | None:
        """Return what the regularizers add to the loss of the weights as they are; None without regularizers."""
        return float(sum(self.model.losses)) if self.model.losses else None

    def reset_means(self) -> None:
        """Begin a new epoch's sums."""
        for variable in self._sums:
            variable.assign(tf.zeros_like(variable))

    def state(self) -> dict[str, np.ndarray]:
        """Return every array that a later step depends on, by name."""
        return {name: np.asarray(variable) for name, variable in self._variables().items()}

    def restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Set every array to what `state` returned once.

        Raises:
            CheckpointError: If names, shapes or types are not exactly those of this network and optimizer.
        """
        if self._penalty_sum is not None and PENALTY_SUM not in arrays:
            # A checkpoint of before there was this sum: of the epoch's steps so far it is not known.
            unknown = np.array(np.nan if arrays.get("epoch/num_seen", 0) else 0.0)
            arrays = {**arrays, PENALTY_SUM: unknown}
        assign(self._variables(), arrays)

    def _variables(self) -> dict[str, Any]:
        variables = model_variables(self.model)
        variables |= self.updates.state()
        return variables | {f"epoch/{v.name.split(':')[0]}": v for v in self._sums}


def _takes_means_over_batches(model: keras.Model) -> bool:
    return any(isinstance(layer, keras.layers.BatchNormalization) for layer in model.layers)


def _is_finite(variable: Any) -> tf.Tensor:
    return tf.reduce_all(tf.math.is_finite(tf.cast(variable.value, tf.float32)))
