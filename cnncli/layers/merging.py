"""Layers with several inputs and one output."""

from collections.abc import Sequence
from math import prod
from typing import ClassVar

from cnncli.errors import ShapeError
from cnncli.layers.base import Merge, Shape
from cnncli.layers.sliding import times


class Concatenate(Merge):
    """Put the branches' channels side by side.

    Output shape: (spatial axes of all inputs, sum of their channels).
    Raises: ShapeError if the spatial axes differ.
    Example: Concatenate().merged_shape([(8, 8, 4), (8, 8, 6)]) == (8, 8, 10)
    """

    is_linear: ClassVar[bool] = True

    def merged_shape(self, input_shapes: Sequence[Shape]) -> Shape:
        """Return the common spatial axes and all channels."""
        if len({shape[:-1] for shape in input_shapes}) > 1:
            raise ShapeError(
                f"the branches have different heights and widths: {_list(input_shapes)}",
                "give every branch the same strides and padding: same, or crop the larger ones",
                "E042",
            )
        return (*input_shapes[0][:-1], sum(shape[-1] for shape in input_shapes))


class Elementwise(Merge):
    """What combines its inputs value by value; an axis of length 1 counts for every position of the others' axis."""

    most_inputs: ClassVar[int | None] = None
    """Inputs that it takes at most; None for any number."""
    adds: ClassVar[bool] = False
    """Whether it computes with Keras's `add`, which takes a tensor of one value an image for a bias."""

    def merged_shape(self, input_shapes: Sequence[Shape]) -> Shape:
        """Return, for each axis, the one length that is not 1."""
        lengths = [{n for n in axis if n != 1} for axis in zip(*input_shapes, strict=False)]
        if len({len(shape) for shape in input_shapes}) > 1 or any(len(axis) > 1 for axis in lengths):
            raise ShapeError(
                f"the inputs of {self.type_name()} have different shapes: {_list(input_shapes)}",
                "make them equal with padding: same, equal strides, and a Conv2D with kernel_size: 1 for the channels: "
                "only an axis of length 1 is repeated",
                "E042",
            )
        shape = tuple(max(axis, default=1) for axis in lengths)
        if self.adds and any(prod(given) == 1 < prod(shape) for given in input_shapes):
            raise ShapeError(
                f"{self.type_name()} of a single number to {times(shape)} values goes wrong in Keras 3.15 where a "
                "batch has as many images as there are channels",
                "make one number a channel of it, with a Dense or Conv2D layer",
                "E042",
            )
        return shape


class Add(Elementwise):
    """Add the inputs value by value.

    Output shape: that of each input; an axis of length 1 is repeated.
    Raises: ShapeError if the shapes differ.
    Example: Add().merged_shape([(8, 8, 4), (1, 1, 4)]) == (8, 8, 4)
    """

    is_linear: ClassVar[bool] = True
    adds: ClassVar[bool] = True


class ResidualAdd(Add):
    """Add the branches value by value.

    What ends a Residual: a shape that differs there is a slip, even where it could be repeated.
    """

    @classmethod
    def type_name(cls) -> str:
        """Name in a config; Keras's class name."""
        return Add.__name__

    def merged_shape(self, input_shapes: Sequence[Shape]) -> Shape:
        """Return the common shape."""
        if len(set(input_shapes)) > 1:
            raise ShapeError(
                f"the branches to be added have different shapes: {_list(input_shapes)}",
                "give the shortcut a Conv2D with kernel_size: 1 and the same filters and strides, "
                "or make the layers keep the shape (padding: same, strides: 1, as many filters)",
                "E042",
            )
        return input_shapes[0]


class Subtract(Elementwise):
    """Subtract the second input from the first value by value.

    Output shape: that of each input; an axis of length 1 is repeated.
    Raises: ShapeError if the shapes differ.
    """

    is_linear: ClassVar[bool] = True
    most_inputs: ClassVar[int | None] = 2


class Multiply(Elementwise):
    """Multiply the inputs value by value: what gates and attention do.

    Output shape: that of each input; an axis of length 1 is repeated.
    Raises: ShapeError if the shapes differ.
    Example: Multiply().merged_shape([(8, 8, 4), (1, 1, 4)]) == (8, 8, 4)
    Reference: Hu, Shen, Sun, Squeeze-and-excitation networks, CVPR 2018.
    """


class Average(Elementwise):
    """Take the mean of the inputs value by value.

    Output shape: that of each input; an axis of length 1 is repeated.
    Raises: ShapeError if the shapes differ.
    """

    is_linear: ClassVar[bool] = True
    adds: ClassVar[bool] = True


class Maximum(Elementwise):
    """Take the largest of the inputs value by value.

    Output shape: that of each input; an axis of length 1 is repeated.
    Raises: ShapeError if the shapes differ.
    Reference: Goodfellow et al., Maxout networks, ICML 2013.
    """


class Minimum(Elementwise):
    """Take the smallest of the inputs value by value.

    Output shape: that of each input; an axis of length 1 is repeated.
    Raises: ShapeError if the shapes differ.
    """


def _list(shapes: Sequence[Shape]) -> str:
    return " and ".join(map(times, shapes))
