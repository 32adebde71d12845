"""What every layer of the vocabulary can say about itself without TensorFlow."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from math import prod
from typing import Any, ClassVar, NamedTuple

from pydantic import BaseModel, ConfigDict, Field

Shape = tuple[int, ...]
"""A tensor's shape without the batch axis, channels last: (height, width, channels)."""


class Weight(NamedTuple):
    """One array of a layer: its Keras name ("kernel", "bias", …), shape, and whether training changes it."""

    name: str
    shape: Shape
    trainable: bool = True

    @property
    def size(self) -> int:
        """Number of values in the array."""
        return prod(self.shape)


class Window(NamedTuple):
    """What one output position sees of the input along one spatial axis.

    Attributes:
        size: Number of neighbouring input positions from the first to the last seen.
        stride: Input positions between neighbouring outputs; a fraction when the layer enlarges.
        before: Positions by which the first window begins before the first input position (padding).
    """

    size: int
    stride: Fraction = Fraction(1)
    before: Fraction = Fraction(0)


class Spec(BaseModel):
    """A named thing of a config, written `{Name: {argument: value}}` or just `Name`."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, defer_build=True)

    @classmethod
    def type_name(cls) -> str:
        """Name in a config; Keras's class name."""
        return cls.__name__


class Layer(Spec):
    """One layer: its arguments, and what follows from them for an input of a given shape.

    Subclasses state their arguments as fields with Keras's names and defaults. Shapes leave out
    the batch axis; channels come last.
    """

    name: str | None = Field(default=None, pattern=r"^[A-Za-z0-9][A-Za-z0-9_.\-]*$", description="Name of the layer.")
    trainable: bool = Field(default=True, description="Whether training changes the weights.")

    rank: ClassVar[int | None] = None
    """Number of axes of an input without the batch axis, or None for any."""

    def output_shape(self, input_shape: Shape) -> Shape:
        """Return the shape of what the layer makes of `input_shape`.

        Raises:
            ShapeError: If the layer cannot take that shape.
        """
        return input_shape

    def weights(self, input_shape: Shape) -> tuple[Weight, ...]:
        """Return the layer's arrays, in Keras's order."""
        return ()

    def macs(self, input_shape: Shape) -> int:
        """Return the multiply-accumulate operations for one example; biases and element-wise work count as 0."""
        return 0

    def windows(self, input_shape: Shape) -> tuple[Window, ...] | None:
        """Return one window for each spatial axis, or None if every output sees the whole input."""
        return tuple(Window(1) for _ in input_shape[:-1])

    def keras_arguments(self) -> dict[str, Any]:
        """Return the arguments for the Keras class of the same name, without name and trainable."""
        return self.model_dump(exclude={"name", "trainable"})

    def num_params(self, input_shape: Shape, trainable: bool | None = None) -> int:
        """Count the values in all weights, or in those that are (not) trainable."""
        return sum(w.size for w in self.weights(input_shape) if trainable in (None, w.trainable))


class Merge(Layer):
    """A layer with several inputs: what ends a `Parallel` or a `Residual`."""

    def merged_shape(self, input_shapes: Sequence[Shape]) -> Shape:
        """Return the shape that comes of the inputs' shapes.

        Raises:
            ShapeError: If the shapes do not fit together.
        """
        raise NotImplementedError
