"""How many bytes a network takes: its weights, what it keeps of one example, and training it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

from cnncli.analysis.rules.known_sets import num_training_examples
from cnncli.analysis.walk import Step
from cnncli.config.schema.schema import Config, Train

FLOAT32 = 4
_SLOTS = {"Adam": 2, "AdamW": 2, "Adagrad": 1, "Adadelta": 2, "Lion": 1, "Muon": 1}
"""Values that an optimizer keeps for each weight, where its arguments do not matter."""


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes, by purpose.

    Attributes:
        weights: All weights as float32, which they are in every precision.
        activations: NamedOutputs of all layers for one example, which training keeps for the gradients.
        training: Estimate for a step: weights, gradients, the optimizer's values, the average of the
            weights, and for each example of a batch the activations and their gradients. What steps of
            six networks of the zoo took beside their weights was 0.5 to 1.1 times what this says
            (TensorFlow 2.21, two CPU cores).
        batch_size: Examples in a batch: as many as the config says, but not more than there are, where that is known.
    """

    weights: int
    activations: int
    training: int
    batch_size: int


def memory(config: Config, steps: Sequence[Step]) -> Memory:
    """Return the bytes of a config's network and of training it."""
    train = config.train
    sizes = [w for step in steps for w in step.node.layer.weights(step.input_shape)]
    weights = FLOAT32 * sum(weight.size for weight in sizes)
    trainable = FLOAT32 * sum(weight.size for weight in sizes if weight.trainable)
    value = FLOAT32 if train.precision == "float32" else FLOAT32 // 2
    activations = value * sum(prod(step.output_shape) for step in steps)
    copies = 1 + optimizer_slots(train) + (train.ema is not None)
    batch_size = min(train.batch_size, num_training_examples(config.data) or train.batch_size)
    batch = batch_size * (2 * activations + FLOAT32 * prod(config.input_shape))
    return Memory(weights, activations, weights + copies * trainable + batch, batch_size)


def optimizer_slots(train: Train) -> int:
    """Return how many values the optimizer keeps for each trainable one."""
    optimizer = train.optimizer
    name = optimizer.type_name()
    momentum = 1 if getattr(optimizer, "momentum", 0) else 0
    if name == "SGD":
        return momentum
    if name == "RMSprop":
        return 1 + momentum + bool(getattr(optimizer, "centered", False))
    return _SLOTS[name] + bool(getattr(optimizer, "amsgrad", False))
