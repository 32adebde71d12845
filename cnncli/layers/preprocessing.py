"""Layers that bring the input's values to scale."""

from typing import Annotated, ClassVar, Self

from pydantic import BeforeValidator, model_validator
from pydantic_core import PydanticCustomError

from cnncli.errors import ShapeError
from cnncli.layers.arguments import as_tuple
from cnncli.layers.base import Layer, Shape, Weight


class Rescaling(Layer):
    """Multiply by `scale` and add `offset`.

    Args:
        scale: Factor for all values.
        offset: Added after that.
    """

    is_linear: ClassVar[bool] = True
    looks_like_its_input: ClassVar[bool] = True

    scale: float
    offset: float = 0.0


PerChannel = Annotated[float | tuple[float, ...], BeforeValidator(as_tuple, json_schema_input_type=float | list[float])]


class Normalization(Layer):
    """Subtract the mean and divide by the standard deviation, channel by channel.

    Args:
        mean: One number, or one a channel. Without mean and variance, they are measured on the training split.
        variance: As mean.

    Parameters: none if mean and variance are given, else 2 · channels + 1 (a count), not trainable.
    Raises: ShapeError if the numbers are not as many as the channels.
    """

    is_linear: ClassVar[bool] = True
    looks_like_its_input: ClassVar[bool] = True

    mean: PerChannel | None = None
    variance: PerChannel | None = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        if (self.mean is None) != (self.variance is None):
            raise PydanticCustomError("normalization", "mean and variance must be given together, or neither")
        if _count(self.mean) != _count(self.variance):
            raise PydanticCustomError("normalization", "mean and variance must have the same number of values")
        return self

    @property
    def measured(self) -> bool:
        """Whether mean and variance come from the training split."""
        return self.mean is None

    def output_shape(self, input_shape: Shape) -> Shape:
        """Return the input's shape."""
        numbers = _count(self.mean)
        if numbers not in (None, input_shape[-1]):
            raise ShapeError(
                f"Normalization has {numbers} means for {input_shape[-1]} channels",
                f"give {input_shape[-1]} values, or one for all channels",
                "E043",
            )
        return input_shape

    def arrays(self, input_shape: Shape) -> tuple[Weight, ...]:
        """Return mean, variance and count where they are measured."""
        if not self.measured:
            return ()
        channels = input_shape[-1:]
        mean, variance = (Weight(name, channels, False, ("channels",)) for name in ("mean", "variance"))
        return mean, variance, Weight("count", (), trainable=False, dtype="int64")


def _count(numbers: float | tuple[float, ...] | None) -> int | None:
    return len(numbers) if isinstance(numbers, tuple) else None
