"""Penalties on the size of weights, added to the loss. Names, arguments and defaults are Keras's."""

from typing import Annotated

from pydantic import Field

from cnncli.layers.base import Spec
from cnncli.layers.named import OneOf

Strength = Annotated[float, Field(ge=0)]


class Regularizer(Spec):
    """A penalty on a weight."""


class L1(Regularizer):
    """`l1` times the sum of the absolute values."""

    l1: Strength = 0.01


class L2(Regularizer):
    """`l2` times the sum of the squares."""

    l2: Strength = 0.01


class L1L2(Regularizer):
    """Both penalties."""

    l1: Strength = 0.0
    l2: Strength = 0.0


REGULARIZERS: dict[str, type[Regularizer]] = {spec.type_name(): spec for spec in (L1, L2, L1L2)}
RegularizerArgument = Annotated[Regularizer, OneOf(REGULARIZERS)] | None
