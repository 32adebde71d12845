"""The optimizers a config can name, with Keras's names, arguments and defaults."""

from typing import Annotated, Any

from pydantic import Field

from cnncli.layers.base import Spec

Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]
Momentum = Annotated[float, Field(ge=0, lt=1)]


class Optimizer(Spec):
    """A rule that changes the weights by their gradients."""

    learning_rate: Positive = Field(
        default=1e-3, description="Base learning rate; the schedule multiplies it at every step."
    )
    weight_decay: NotNegative | None = Field(
        default=None, description="Decoupled weight decay, multiplied by the learning rate at every step; null: none."
    )

    def keras_arguments(self) -> dict[str, Any]:
        """Return the arguments for the Keras optimizer of the same name."""
        return self.model_dump()


class SGD(Optimizer):
    """Stochastic gradient descent, with momentum if momentum is above 0."""

    learning_rate: Positive = Field(
        default=1e-2, description="Base learning rate; the schedule multiplies it at every step."
    )
    momentum: Momentum = Field(default=0.0, description="Momentum: fraction of the last update added to the next.")
    nesterov: bool = Field(default=False, description="Use Nesterov momentum.")


class Adam(Optimizer):
    """Adaptive moment estimation.

    Reference: Kingma and Ba, ICLR 2015.
    """

    beta_1: Momentum = Field(default=0.9, description="Decay of the mean of the gradients.")
    beta_2: Momentum = Field(default=0.999, description="Decay of the mean of their squares.")
    epsilon: Positive = Field(default=1e-7, description="Added to the denominator for numerical stability.")
    amsgrad: bool = Field(default=False, description="Use AMSGrad: divide by the largest mean of squares so far.")


class AdamW(Adam):
    """Adam with weight decay that bypasses the moments.

    Reference: Loshchilov and Hutter, ICLR 2019.
    """

    weight_decay: NotNegative | None = Field(
        default=0.004, description="Decoupled weight decay, multiplied by the learning rate at every step; null: none."
    )


class RMSprop(Optimizer):
    """Gradients divided by a running root mean square."""

    rho: Momentum = Field(default=0.9, description="Decay of the mean of squares.")
    momentum: Momentum = Field(default=0.0, description="Momentum: fraction of the last update added to the next.")
    epsilon: Positive = Field(default=1e-7, description="Added to the denominator for numerical stability.")
    centered: bool = Field(default=False, description="Centered: divide by the standard deviation instead.")


class Adagrad(Optimizer):
    """Gradients divided by the root of the sum of all their squares so far.

    Reference: Duchi, Hazan and Singer, JMLR 12, 2011.
    """

    initial_accumulator_value: NotNegative = Field(default=0.1, description="Initial value of that sum.")
    epsilon: Positive = Field(default=1e-7, description="Added to the denominator for numerical stability.")


class Adadelta(Optimizer):
    """Adagrad with a running mean in place of the sum, and steps in the unit of the weights.

    Reference: Zeiler, 2012.
    """

    rho: Momentum = Field(default=0.95, description="Decay of the running means.")
    epsilon: Positive = Field(default=1e-7, description="Added to the denominator for numerical stability.")


class Lion(Optimizer):
    """The sign of a mean of gradients: the same size of step for every weight.

    Reference: Chen et al., Symbolic discovery of optimization algorithms, NeurIPS 2023.
    """

    beta_1: Momentum = Field(default=0.9, description="Decay of the mean of which the sign is taken.")
    beta_2: Momentum = Field(default=0.99, description="Decay of the mean that is kept.")


class Muon(Optimizer):
    """Updates made orthogonal for the kernels of convolutions and dense layers; AdamW for everything else.

    Keras's own leaves convolutions to AdamW. The output layer belongs to AdamW: name it in `exclude_layers`.

    Reference: Jordan et al., 2024; Liu et al., Muon is scalable for LLM training, 2025.
    """

    weight_decay: NotNegative | None = Field(
        default=0.004, description="Decoupled weight decay, multiplied by the learning rate at every step; null: none."
    )
    momentum: Momentum = Field(default=0.95, description="Momentum: fraction of the last update added to the next.")
    nesterov: bool = Field(default=True, description="Use Nesterov momentum.")
    ns_steps: Annotated[int, Field(ge=1)] = Field(default=5, description="Newton–Schulz iterations.")
    rms_rate: Positive | None = Field(default=0.2, description="Size of the update relative to Adam's; null: as it is.")
    exclude_layers: tuple[str, ...] | None = Field(default=None, description="Parts of layer names left to AdamW.")
    adam_beta_1: Momentum = Field(default=0.9, description="AdamW's decay of the mean of the gradients.")
    adam_beta_2: Momentum = Field(default=0.999, description="AdamW's decay of the mean of their squares.")
    adam_weight_decay: NotNegative = Field(default=0.004, description="AdamW's weight decay.")
    adam_lr_ratio: Positive = Field(default=1.0, description="AdamW's learning rate as a multiple of Muon's.")
    epsilon: Positive = Field(default=1e-7, description="Added to the denominator for numerical stability.")


OPTIMIZERS: dict[str, type[Optimizer]] = {
    c.type_name(): c for c in (SGD, Adam, AdamW, RMSprop, Adagrad, Adadelta, Lion, Muon)
}
