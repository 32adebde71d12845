"""What a network is in numbers: one row a layer, and totals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from math import prod
from typing import Any

from cnncli.analysis.memory import Memory, memory
from cnncli.analysis.walk import Step, walk
from cnncli.config.schema.schema import Config
from cnncli.layers.base import Shape
from cnncli.layers.dense import Dense


@dataclass(frozen=True, slots=True)
class Row:
    """One layer in numbers, for one example.

    Attributes:
        name: Name in the network; Keras's name of the layer.
        type: Keras's class.
        path: Where the config describes it.
        inputs: Names of the layers that it takes from; "input" for the image.
        output_shape: Shape of what it makes, channels last.
        trainable_params: Values that training changes.
        non_trainable_params: Values that it does not: moving statistics, fixed kernels, frozen layers.
        macs: Multiply-accumulate operations.
        receptive_field: Pixels along each axis of the image that one output position sees.
        receptive_field_stride: Pixels between what neighbouring positions see; 0 where all see all.
        dense_params: What a dense layer between the same input and output would need; None but for
            convolutions.
        reads: The names in `inputs` where the config names them and they are not just the layer above.
        outputs: Names of the network's outputs that it is, where they have any.
    """

    name: str
    type: str
    path: str
    inputs: tuple[str, ...]
    output_shape: Shape
    trainable_params: int
    non_trainable_params: int
    macs: int
    receptive_field: tuple[int, ...]
    receptive_field_stride: tuple[float, ...]
    dense_params: int | None
    reads: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()

    @property
    def sees_all(self) -> bool:
        """Whether every output sees the whole image."""
        return not any(self.receptive_field_stride)

    @property
    def params(self) -> int:
        """All values of the layer's weights."""
        return self.trainable_params + self.non_trainable_params

    def to_json(self) -> dict[str, Any]:
        """Return the row as `cnn summary --json` prints it."""
        return {
            "name": self.name,
            "type": self.type,
            "path": self.path,
            "inputs": list(self.inputs),
            "output_shape": list(self.output_shape),
            "params": self.params,
            "trainable_params": self.trainable_params,
            "non_trainable_params": self.non_trainable_params,
            "macs": self.macs,
            "flops": 2 * self.macs,
            "receptive_field": list(self.receptive_field),
            "receptive_field_stride": list(self.receptive_field_stride),
            "dense_params": self.dense_params,
        }


@dataclass(frozen=True, slots=True)
class Summary:
    """A network in numbers.

    Attributes:
        name: Name of the config.
        input_shape: Shape of one image: height, width, channels.
        rows: One a layer, in the order in which they are computed.
        memory: Bytes of its weights and of training it.
    """

    name: str
    input_shape: Shape
    rows: tuple[Row, ...]
    memory: Memory

    @property
    def trainable_params(self) -> int:
        """Values that training changes."""
        return sum(row.trainable_params for row in self.rows)

    @property
    def non_trainable_params(self) -> int:
        """Values that training does not change by gradients."""
        return sum(row.non_trainable_params for row in self.rows)

    @property
    def total_params(self) -> int:
        """All values of all weights."""
        return self.trainable_params + self.non_trainable_params

    @property
    def macs(self) -> int:
        """Multiply-accumulate operations for one example."""
        return sum(row.macs for row in self.rows)

    @property
    def outputs(self) -> dict[str, str]:
        """Name of the layer of each named output; empty where the last layer is the only one."""
        return {output: row.name for row in self.rows for output in row.outputs}

    @property
    def flops(self) -> int:
        """Floating-point operations of those: two each."""
        return 2 * self.macs

    def to_json(self) -> dict[str, Any]:
        """Return what `cnn summary --json` prints."""
        return {
            "name": self.name,
            "input_shape": list(self.input_shape),
            "layers": [row.to_json() for row in self.rows],
            "outputs": self.outputs,
            "total_params": self.total_params,
            "trainable_params": self.trainable_params,
            "non_trainable_params": self.non_trainable_params,
            "macs": self.macs,
            "flops": self.flops,
            "weight_bytes": self.memory.weights,
            "activation_bytes": self.memory.activations,
            "peak_activation_bytes": self.memory.peak,
            "training_bytes": self.memory.training,
            "batch_size": self.memory.batch_size,
        }


def summarize(config: Config) -> Summary:
    """Return a config's network in numbers.

    Raises:
        ShapeError: If a layer cannot take its input.
    """
    steps = walk(config.nodes, config.input_shape)
    names = (*(step.node.name for step in steps), "input")  # the input's index is −1
    rows = [_row(index, step, names, config.input_shape[:-1]) for index, step in enumerate(steps)]
    for output, index in config.outputs.items():
        rows[index] = replace(rows[index], outputs=(*rows[index].outputs, output))
    return Summary(config.name, config.input_shape, tuple(rows), memory(config, steps))


def dense_params(step: Step) -> int | None:
    """Return the parameters of a dense layer in place of a convolution, or None for another layer."""
    if not step.node.layer.is_weighted_sum or isinstance(step.node.layer, Dense):
        return None
    outputs = prod(step.output_shape)
    biases = outputs if getattr(step.node.layer, "use_bias", False) else 0
    return prod(step.input_shape) * outputs + biases


def _row(index: int, step: Step, names: Sequence[str], image: Shape) -> Row:
    node, field = step.node, step.field
    inputs = tuple(names[i] for i in node.inputs)
    weights = node.layer.weights(step.input_shape)
    trainable = sum(weight.size for weight in weights if weight.trainable)
    return Row(
        name=node.name,
        type=node.layer.type_name(),
        path=node.path,
        inputs=inputs,
        output_shape=step.output_shape,
        trainable_params=trainable,
        non_trainable_params=sum(weight.size for weight in weights) - trainable,
        macs=node.layer.macs(step.input_shape),
        receptive_field=tuple(reach.size for reach in field) if field else image,
        receptive_field_stride=tuple(_number(reach.stride) for reach in field) if field else (0,) * len(image),
        dense_params=dense_params(step),
        reads=inputs if node.named and node.inputs != (index - 1,) else (),
    )


def _number(stride: int | Fraction) -> float:
    return int(stride) if stride.denominator == 1 else float(stride)
