"""Layers that only arrange values anew."""

from math import prod
from typing import Annotated, ClassVar, Self

from pydantic import BeforeValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from cnncli.errors import ShapeError
from cnncli.layers.arguments import as_tuple
from cnncli.layers.base import Layer, Shape, Window
from cnncli.layers.sliding import times


class Flatten(Layer):
    """Make one vector of all values, row by row.

    Output shape: (product of the input's axes).
    Example: Flatten().output_shape((5, 5, 16)) == (400,)
    """

    is_linear: ClassVar[bool] = True
    is_same_in_evaluation: ClassVar[bool] = True

    def output_shape(self, input_shape: Shape) -> Shape:
        """Return the number of values."""
        return (prod(input_shape),)

    def windows(self, input_shape: Shape) -> tuple[Window, ...] | None:
        """Return None: the vector covers the whole input."""
        return None


class Reshape(Layer):
    """Arrange the values in other axes, row by row.

    Args:
        target_shape: The new axes; one of them may be -1, "whatever is left".

    Output shape: target_shape.
    Raises: ShapeError if the number of values differs.
    Example: Reshape(target_shape=[28, 28]).output_shape((28, 28, 1)) == (28, 28)
    """

    is_linear: ClassVar[bool] = True
    is_same_in_evaluation: ClassVar[bool] = True

    target_shape: Annotated[tuple[Annotated[int, Field(ge=-1)], ...], BeforeValidator(as_tuple), Field(min_length=1)]

    @model_validator(mode="after")
    def _check(self) -> Self:
        if 0 in self.target_shape or self.target_shape.count(-1) > 1:
            raise PydanticCustomError("target_shape", "target_shape needs numbers of at least 1, and at most one -1")
        return self

    def output_shape(self, input_shape: Shape) -> Shape:
        """Return the target shape, -1 filled in."""
        values, known = prod(input_shape), abs(prod(self.target_shape))
        fits = values % known == 0 if -1 in self.target_shape else values == known
        if not fits:
            raise ShapeError(
                f"{times(input_shape)} = {values} values cannot be arranged as "
                f"{times('?' if n == -1 else n for n in self.target_shape)}",
                f"make target_shape's product {values}, or set one axis to -1 to infer it",
                "E043",
            )
        return tuple(values // known if n == -1 else n for n in self.target_shape)

    def windows(self, input_shape: Shape) -> tuple[Window, ...] | None:
        """Return one window an axis if no axis but such of length 1 changed, else None."""
        output_shape = self.output_shape(input_shape)
        return tuple(Window(1) for _ in output_shape[:-1]) if output_shape == input_shape else None


class Permute(Layer):
    """Put the axes in another order.

    Args:
        dims: The axes in their new order, counted from 1; the batch axis stays where it is.

    Output shape: the input's axes in that order.
    Raises: ShapeError if dims are not as many as the axes.
    Example: Permute(dims=[3, 1, 2]).output_shape((28, 30, 3)) == (3, 28, 30)
    """

    is_linear: ClassVar[bool] = True

    dims: Annotated[tuple[Annotated[int, Field(ge=1)], ...], BeforeValidator(as_tuple), Field(min_length=1)]

    @model_validator(mode="after")
    def _check(self) -> Self:
        if sorted(self.dims) != list(range(1, len(self.dims) + 1)):
            raise PydanticCustomError("dims", "dims need each number from 1 to the number of axes once")
        return self

    def output_shape(self, input_shape: Shape) -> Shape:
        """Return the axes in their new order."""
        if len(self.dims) != len(input_shape):
            raise ShapeError(
                f"dims name {len(self.dims)} axes; the input has {len(input_shape)}: {times(input_shape)}",
                f"write the numbers from 1 to {len(input_shape)} in their new order",
                "E041",
            )
        return tuple(input_shape[axis - 1] for axis in self.dims)

    def windows(self, input_shape: Shape) -> tuple[Window, ...] | None:
        """Return one window an axis if all axes stay where they are, else None."""
        stays = self.dims == tuple(sorted(self.dims))
        return tuple(Window(1) for _ in input_shape[:-1]) if stays else None
