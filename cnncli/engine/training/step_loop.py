"""The step loop: many training steps in one call of TensorFlow, without a word from Python."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from cnncli.config.schema.schema import Config
from cnncli.engine.fast_ops import batch_halves, row_folding
from cnncli.engine.input_pipeline.augmentation import Augmentation
from cnncli.engine.input_pipeline.feed import Chunk
from cnncli.engine.input_pipeline.preprocessing import Preprocessing
from cnncli.engine.network.variables import assign, model_variables
from cnncli.engine.tasks.objective import Objective
from cnncli.engine.training.optimizer import Updates
from cnncli.engine.training.strategy import OneProcess, Strategy
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


class Batch(NamedTuple):
    """What a step learns from: float32 inputs, what the loss compares with, and the targets before any mixing."""

    inputs: tf.Tensor
    targets: tf.Tensor
    unmixed: tf.Tensor


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
        self._strategy = strategy or OneProcess()
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
        targets = objective.target_spec
        self._run = tf.function(
            self._steps,
            input_signature=[
                tf.TensorSpec([None, None, None, None], tf.uint8),
                tf.TensorSpec([None, *targets.shape[1:]], targets.dtype),
                tf.TensorSpec([None, None], tf.int32),
                tf.TensorSpec([None, None], tf.float32),
                tf.TensorSpec([], tf.int32),
            ],
        )

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
            losses = self._run(
                chunk.images,
                chunk.targets,
                tf.constant(chunk.plan),
                tf.constant(rates, tf.float32),
                tf.constant(first_step, tf.int32),
            )
        except tf.errors.ResourceExhaustedError as error:
            raise CnnError(
                f"out of memory for a step of {chunk.plan.shape[1]} examples",
                "Lower train.batch_size; train.accumulate accumulates the gradients of several steps.",
            ) from error
        return np.asarray(losses)

    def _steps(
        self, images: tf.Tensor, targets: tf.Tensor, plan: tf.Tensor, rates: tf.Tensor, first_step: tf.Tensor
    ) -> tf.Tensor:
        images = tf.ensure_shape(images, [None, *self.model.input_shape[1:]])
        num_steps = tf.shape(plan)[0]

        def more(done: tf.Tensor, finite: tf.Tensor, _: tf.TensorArray) -> tf.Tensor:
            return finite & (done < num_steps)

        def step(done: tf.Tensor, finite: tf.Tensor, losses: tf.TensorArray) -> tuple[tf.Tensor, ...]:
            indices = plan[done]
            batch = self.batch(tf.gather(images, indices), tf.gather(targets, indices), first_step + done)
            loss, finite = self._step(batch, rates[done])
            return done + tf.cast(finite, tf.int32), finite, losses.write(done, loss)

        losses = tf.TensorArray(tf.float32, size=num_steps, element_shape=[])
        state = [tf.constant(0), tf.constant(True), losses]
        done, _, losses = tf.while_loop(more, step, state, parallel_iterations=1)
        return losses.stack()[:done]

    def batch(self, images: tf.Tensor, targets: tf.Tensor, step: tf.Tensor) -> Batch:
        """Return what step `step` (from 0) makes of uint8 images and their targets: scaled, augmented."""
        inputs = self.preprocessing.to_float(images)
        if not self._augmentation:
            return Batch(inputs, targets, targets)
        return Batch(*self._augmentation(inputs, targets, tf.stack([self._seed, step])), targets)

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
        gradients = self._strategy.add_up(gradients)
        finite = tf.math.is_finite(loss)
        if self._guards_gradients:
            finite &= tf.math.is_finite(tf.linalg.global_norm(gradients))
        finite = self._strategy.agree(finite)

        def apply() -> tf.Tensor:
            self.updates.apply(gradients, rates)
            self._count(batch, outputs, losses, penalty)
            return tf.constant(True)

        return loss, tf.cond(finite, apply, lambda: tf.constant(False))

    def _count(self, batch: Batch, outputs: Any, losses: tf.Tensor, penalty: tf.Tensor) -> None:
        """Add a batch to the epoch's sums."""
        number = tf.shape(batch.unmixed, tf.int64)[0]
        targets = batch.targets if batch.targets.dtype == self.objective.target_spec.dtype else batch.unmixed
        counted = self.objective.sums(targets, outputs)
        totals = [tf.cast(tf.reduce_sum(losses), tf.float64), *(counted[name] for name in self._task_sums), number]
        if self._penalty_sum is not None:
            totals.append(tf.cast(penalty, tf.float64) * tf.cast(number, tf.float64))
        for variable, total in zip(self._sums, self._strategy.add_up(totals), strict=True):
            variable.assign_add(total)

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
