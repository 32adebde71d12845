"""Activations as layers."""

from typing import Annotated, ClassVar

from pydantic import Field

from cnncli.layers.arguments import ActivationName
from cnncli.layers.base import Layer

NonNegative = Annotated[float, Field(ge=0)]


class Activation(Layer):
    """Apply an activation by name, value by value.

    Args:
        activation: relu, gelu, tanh, softmax, …
    """

    is_linear: ClassVar[bool] = True

    activation: ActivationName


class ReLU(Layer):
    """Replace negative values by 0, or by a small share of them.

    Args:
        max_value: Largest output, or none.
        negative_slope: Share of a negative value that stays.
        threshold: Values below it count as negative.

    Reference: Nair and Hinton, ICML 2010.
    """

    max_value: NonNegative | None = None
    negative_slope: NonNegative = 0.0
    threshold: NonNegative = 0.0

    @property
    def final_activation(self) -> str:
        """Itself."""
        return "relu"


class LeakyReLU(Layer):
    """Keep a small share of negative values.

    Args:
        negative_slope: The share.

    Reference: Maas, Hannun, Ng, ICML 2013.
    """

    negative_slope: NonNegative = 0.3

    @property
    def final_activation(self) -> str:
        """The one that it is a kind of."""
        return "relu"


class Softmax(Layer):
    """Make probabilities of the last axis: positive, with sum 1."""

    @property
    def final_activation(self) -> str:
        """Itself."""
        return "softmax"
