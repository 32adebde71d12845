"""Convolutions that treat each channel by itself."""

from typing import ClassVar, Self

from pydantic import model_validator
from pydantic_core import PydanticCustomError

from cnncli.layers.arguments import ActivationName, Padding, Positive, Size2
from cnncli.layers.base import Shape, Term, Weight
from cnncli.layers.convolution import bias, kernel_axes, position_factors
from cnncli.layers.initializers import GlorotUniform, InitializerArgument, Zeros
from cnncli.layers.regularizers import RegularizerArgument
from cnncli.layers.sliding import Slide, Sliding, kernel_slides


class PerChannel(Sliding):
    """What both layers here share: a window that sees one channel at a time."""

    is_weighted_sum: ClassVar[bool] = True
    is_linear: ClassVar[bool] = True
    num_axes: ClassVar[int] = 2
    window_argument: ClassVar[str] = "kernel_size"

    kernel_size: Size2
    strides: Size2 = (1, 1)
    padding: Padding = "valid"
    dilation_rate: Size2 = (1, 1)
    depth_multiplier: Positive = 1
    activation: ActivationName | None = None
    use_bias: bool = True
    depthwise_initializer: InitializerArgument = GlorotUniform()
    bias_initializer: InitializerArgument = Zeros()
    depthwise_regularizer: RegularizerArgument = None
    bias_regularizer: RegularizerArgument = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.strides[0] != self.strides[1] and max(self.dilation_rate) == 1:
            raise PydanticCustomError("strides", "TensorFlow requires equal strides for height and width here")
        return self

    def slides(self) -> tuple[Slide, ...]:
        """Return the window's way along each spatial axis."""
        return kernel_slides(self.kernel_size, self.strides, self.padding, self.dilation_rate)

    def _depthwise(self, name: str, input_shape: Shape) -> Weight:
        shape = (*self.kernel_size, input_shape[-1], self.depth_multiplier)
        return Weight(name, shape, axes=kernel_axes(2, "channels", "depth multiplier"))


class DepthwiseConv2D(PerChannel):
    """Slide learned filters over each channel by itself.

    Args:
        kernel_size: Height and width of the patch in pixels.
        strides: Distance between neighbouring patches in pixels; without dilation the same for both axes.
        padding: "same" adds zeros so that stride 1 keeps the size; "valid" uses only patches that fit.
        dilation_rate: Distance between the patch's neighbouring taps in pixels.
        depth_multiplier: Filters for each channel.

    Input shape: (height, width, channels).
    Output shape: (positions, channels · depth_multiplier).
    Parameters: kernel height · kernel width · channels · depth_multiplier, plus one bias an output channel.
    Raises: ShapeError if no patch fits.
    Example: DepthwiseConv2D(kernel_size=3).num_params((8, 8, 4)) == 40
    Reference: Sifre, Rigid-motion scattering for image classification, 2014; Howard et al., MobileNets, 2017.
    """

    def output_shape(self, input_shape: Shape) -> Shape:
        """Return the positions and `depth_multiplier` numbers a channel."""
        return (*self.positions(input_shape), input_shape[-1] * self.depth_multiplier)

    def arrays(self, input_shape: Shape) -> tuple[Weight, ...]:
        """Return kernel and bias."""
        filters = input_shape[-1] * self.depth_multiplier
        return (self._depthwise("kernel", input_shape), *bias(self.use_bias, filters, "output channels"))

    def mac_terms(self, input_shape: Shape) -> tuple[Term, ...]:
        """Return output positions · kernel · output channels."""
        (kernel, *_) = self.param_terms(input_shape)
        return ((*position_factors(self.positions(input_shape)), *kernel),)


class SeparableConv2D(PerChannel):
    """Slide filters over each channel by itself, then mix the channels at every position.

    Args:
        filters: Number of output channels.
        kernel_size: Height and width of the patch in pixels.
        strides: Distance between neighbouring patches in pixels; without dilation the same for both axes.
        padding: "same" adds zeros so that stride 1 keeps the size; "valid" uses only patches that fit.
        dilation_rate: Distance between the patch's neighbouring taps in pixels.
        depth_multiplier: Numbers for each channel before they are mixed.

    Input shape: (height, width, channels).
    Output shape: (positions, filters).
    Parameters: kernel height · kernel width · channels · depth_multiplier, plus channels · depth_multiplier ·
        filters, plus filters with a bias.
    Raises: ShapeError if no patch fits.
    Example: SeparableConv2D(filters=8, kernel_size=3).num_params((8, 8, 4)) == 76
    Reference: Chollet, Xception, CVPR 2017.
    """

    filters: Positive
    pointwise_initializer: InitializerArgument = GlorotUniform()
    pointwise_regularizer: RegularizerArgument = None

    def output_shape(self, input_shape: Shape) -> Shape:
        """Return the positions and, for each, one number a filter."""
        return (*self.positions(input_shape), self.filters)

    def arrays(self, input_shape: Shape) -> tuple[Weight, ...]:
        """Return both kernels and the bias."""
        shape = (1, 1, input_shape[-1] * self.depth_multiplier, self.filters)
        pointwise = Weight("pointwise_kernel", shape, axes=kernel_axes(2, "channels · depth multiplier", "filters"))
        return (self._depthwise("depthwise_kernel", input_shape), pointwise, *bias(self.use_bias, self.filters))

    def mac_terms(self, input_shape: Shape) -> tuple[Term, ...]:
        """Return output positions times each of the two kernels."""
        positions = position_factors(self.positions(input_shape))
        depthwise, pointwise, *_ = self.param_terms(input_shape)
        return ((*positions, *depthwise), (*positions, *pointwise))
