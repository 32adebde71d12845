"""Types of layer arguments: window sizes, choices, shares."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import Field, GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

AXES = {1: ("length",), 2: ("height", "width"), 3: ("depth", "height", "width")}
"""Names of the spatial axes, by their number."""


@dataclass(frozen=True)
class Sizes:
    """Pydantic annotation: one whole number for all spatial axes, or one for each.

    Args:
        num_axes: Number of spatial axes.
        minimum: Smallest number allowed.
    """

    num_axes: int
    minimum: int = 1

    def read(self, given: Any) -> tuple[int, ...]:
        """Return one number for each axis."""
        numbers = tuple(given) if isinstance(given, (list, tuple)) else (given,) * self.num_axes
        if len(numbers) == self.num_axes and all(type(n) is int and n >= self.minimum for n in numbers):
            return numbers
        raise PydanticCustomError("sizes", "Input should be {expected}", {"expected": self.expected})

    @property
    def expected(self) -> str:
        """What may be written, in words."""
        each = f"an integer of at least {self.minimum}"
        axes = ", ".join(AXES[self.num_axes])
        return each if self.num_axes == 1 else f"{each}, or {self.num_axes} of them: [{axes}]"

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(self.read)

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        one = {"type": "integer", "minimum": self.minimum}
        each = {"type": "array", "items": one, "minItems": self.num_axes, "maxItems": self.num_axes}
        return {"anyOf": [one, each]}


Size1 = Annotated[tuple[int], Sizes(1)]
Size2 = Annotated[tuple[int, int], Sizes(2)]
Size3 = Annotated[tuple[int, int, int], Sizes(3)]

Positive = Annotated[int, Field(ge=1)]
Share = Annotated[float, Field(ge=0, lt=1)]
Epsilon = Annotated[float, Field(gt=0)]
Padding = Literal["valid", "same"]
CausalPadding = Literal["valid", "same", "causal"]
Interpolation = Literal["nearest", "bilinear", "bicubic", "lanczos3", "lanczos5"]

ActivationName = Literal[
    "celu",
    "elu",
    "exponential",
    "gelu",
    "hard_shrink",
    "hard_sigmoid",
    "hard_silu",
    "hard_swish",
    "hard_tanh",
    "leaky_relu",
    "linear",
    "log_sigmoid",
    "log_softmax",
    "mish",
    "relu",
    "relu6",
    "selu",
    "sigmoid",
    "silu",
    "soft_shrink",
    "softmax",
    "softplus",
    "softsign",
    "sparse_plus",
    "sparse_sigmoid",
    "sparsemax",
    "squareplus",
    "swish",
    "tanh",
    "tanh_shrink",
]
"""Keras's activations, but for `glu`, which halves the channels, and `threshold`, which needs arguments."""


def as_tuple(given: Any) -> Any:
    """Return a list as a tuple, for arguments whose numbers are compared; anything else as it is."""
    return tuple(given) if isinstance(given, list) else given
