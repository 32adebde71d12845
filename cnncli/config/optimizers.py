"""The optimizers a config can name, with Keras's names, arguments and defaults."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from cnncli.layers.base import Spec

Rate = Annotated[float, Field(gt=0)]
Fraction01 = Annotated[float, Field(ge=0, lt=1)]


class Optimizer(Spec):
    """An update rule for the weights.

    The learning rate belongs to the schedule's work: the engine sets it before every step.
    """

    learning_rate: Rate = 1e-3
    weight_decay: Annotated[float, Field(ge=0)] | None = None

    def keras_arguments(self) -> dict[str, Any]:
        """Return the arguments for the Keras optimizer of the same name."""
        return self.model_dump()


class SGD(Optimizer):
    """Stochastic gradient descent, with momentum where it is asked for."""

    learning_rate: Rate = 1e-2
    momentum: Fraction01 = 0.0
    nesterov: bool = False


class Adam(Optimizer):
    """Adaptive moment estimation.

    Reference: Kingma and Ba, ICLR 2015.
    """

    beta_1: Fraction01 = 0.9
    beta_2: Fraction01 = 0.999
    epsilon: Rate = 1e-7
    amsgrad: bool = False


class AdamW(Adam):
    """Adam with weight decay that bypasses the moments.

    Reference: Loshchilov and Hutter, ICLR 2019.
    """

    weight_decay: Annotated[float, Field(ge=0)] | None = 0.004


class RMSprop(Optimizer):
    """Gradients divided by a running root mean square."""

    rho: Fraction01 = 0.9
    momentum: Fraction01 = 0.0
    epsilon: Rate = 1e-7
    centered: bool = False


OPTIMIZERS: dict[str, type[Optimizer]] = {c.type_name(): c for c in (SGD, Adam, AdamW, RMSprop)}
