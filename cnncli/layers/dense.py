"""The fully connected layer."""

from typing import ClassVar

from cnncli.layers.arguments import ActivationName, Positive
from cnncli.layers.base import Factor, Layer, Shape, Term, Weight
from cnncli.layers.convolution import bias
from cnncli.layers.initializers import GlorotUniform, InitializerArgument, Zeros
from cnncli.layers.regularizers import RegularizerArgument


class Dense(Layer):
    """Weigh all inputs for each output.

    Works on the last axis: on an image it is a 1×1 convolution, so put Flatten or a global pooling before it.

    Args:
        units: Number of outputs.

    Input shape: (…, inputs).
    Output shape: (…, units).
    Parameters: inputs · units, plus units with a bias.
    Example: Dense(units=10).num_params((84,)) == 850
    """

    is_weighted_sum: ClassVar[bool] = True
    is_linear: ClassVar[bool] = True

    units: Positive
    activation: ActivationName | None = None
    use_bias: bool = True
    kernel_initializer: InitializerArgument = GlorotUniform()
    bias_initializer: InitializerArgument = Zeros()
    kernel_regularizer: RegularizerArgument = None
    bias_regularizer: RegularizerArgument = None

    def output_shape(self, input_shape: Shape) -> Shape:
        """Return the units in place of the last axis."""
        return (*input_shape[:-1], self.units)

    def arrays(self, input_shape: Shape) -> tuple[Weight, ...]:
        """Return kernel and bias."""
        kernel = Weight("kernel", (input_shape[-1], self.units), axes=("inputs", "units"))
        return (kernel, *bias(self.use_bias, self.units, "units"))

    def mac_terms(self, input_shape: Shape) -> tuple[Term, ...]:
        """Return inputs · units, for every position."""
        positions = tuple(Factor("positions", n) for n in input_shape[:-1])
        return ((*positions, Factor("inputs", input_shape[-1]), Factor("units", self.units)),)
