"""How many bytes a network takes: its weights, what it keeps of one example, and training it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

from cnncli.analysis.rules.known_sets import num_training_examples
from cnncli.analysis.walk import Step
from cnncli.config.schema.schema import Config, Train
from cnncli.layers.base import Shape
from cnncli.layers.graph import INPUT

FLOAT32 = 4
_SLOTS = {"Adam": 2, "AdamW": 2, "Adagrad": 1, "Adadelta": 2, "Lion": 1, "Muon": 1}
"""Values that an optimizer keeps for each weight, where its arguments do not matter."""


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes, by purpose.

    Attributes:
        weights: All weights as float32, which they are in every precision.
        activations: Outputs of all layers for one example, which training keeps for the gradients.
        peak: Outputs that are needed at once where one example is evaluated layer by layer: what a layer reads and
            makes, and what later layers still read.
        training: Estimate for a step: weights, gradients (of every shard), the optimizer's values, the average of the
            weights, and for each example of a batch the activations and their gradients. What steps of
            six networks of the zoo took beside their weights was 0.5 to 1.1 times what this says
            (TensorFlow 2.21, two CPU cores).
        batch_size: Examples in a batch: as many as the config says, but not more than there are, where that is known.
    """

    weights: int
    activations: int
    peak: int
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
    copies = train.shards + optimizer_slots(train) + (train.ema is not None)
    batch_size = min(train.batch_size, num_training_examples(config.data) or train.batch_size)
    batch = batch_size * (2 * activations + FLOAT32 * prod(config.input_shape))
    peak = value * most_alive(steps, config.input_shape, config.output_nodes)
    return Memory(weights, activations, peak, weights + copies * trainable + batch, batch_size)


def most_alive(steps: Sequence[Step], input_shape: Shape, outputs: Sequence[int]) -> int:
    """Return the most values that are needed at once while a network is computed layer by layer.

    Args:
        steps: The network.
        input_shape: Shape of one example, which counts until its last reader is done.
        outputs: Indices of the nodes whose outputs are kept to the end.
    """
    last_reader = {source: index for index, step in enumerate(steps) for source in step.node.inputs}
    last_reader |= dict.fromkeys(outputs, len(steps))
    sizes = {INPUT: prod(input_shape)} | {index: prod(step.output_shape) for index, step in enumerate(steps)}
    done: dict[int, list[int]] = {}
    for source, reader in last_reader.items():
        done.setdefault(reader, []).append(source)
    alive = most = sizes[INPUT]
    for index in range(len(steps)):
        alive += sizes[index]
        most = max(most, alive)
        alive -= sum(sizes[source] for source in done.get(index, ()))
    return most


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
