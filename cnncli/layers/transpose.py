"""Convolutions that enlarge."""

from fractions import Fraction
from typing import Annotated, ClassVar, Self

from pydantic import model_validator
from pydantic_core import PydanticCustomError

from cnncli.layers.arguments import AXES, ActivationName, Padding, Positive, Size2, Sizes
from cnncli.layers.base import Factor, Layer, Shape, Term, Weight, Window
from cnncli.layers.convolution import bias, check_dilation, kernel_axes
from cnncli.layers.initializers import GlorotUniform, InitializerArgument, Zeros
from cnncli.layers.regularizers import RegularizerArgument
from cnncli.layers.sliding import check_rank


class Conv2DTranspose(Layer):
    """Write a learned patch for every input position, overlapping patches added: a convolution backwards.

    Args:
        filters: Number of output channels.
        kernel_size: Height and width of the patch in pixels.
        strides: Distance between neighbouring patches in the output.
        padding: "same" makes the output `strides` times the input; "valid" keeps the patches whole.
        output_padding: Rows and columns added to the smallest possible output; below strides, and for "same" at least
            1 where the patch is even. Left out, the output is as large as "Output shape" says.
        dilation_rate: Distance between the patch's neighbouring taps.

    Input shape: (height, width, channels).
    Output shape: (height · strides, width · strides, filters) for "same".
    Parameters: kernel height · kernel width · filters · channels, plus filters with a bias.
    Example: Conv2DTranspose(filters=1, kernel_size=2, strides=2).output_shape((4, 4, 3)) == (8, 8, 1)
    Reference: Zeiler et al., Deconvolutional networks, CVPR 2010.
    """

    num_axes: ClassVar[int] = 2

    is_weighted_sum: ClassVar[bool] = True
    is_linear: ClassVar[bool] = True

    filters: Positive
    kernel_size: Size2
    strides: Size2 = (1, 1)
    padding: Padding = "valid"
    output_padding: Annotated[tuple[int, int], Sizes(2, minimum=0)] | None = None
    dilation_rate: Size2 = (1, 1)
    activation: ActivationName | None = None
    use_bias: bool = True
    kernel_initializer: InitializerArgument = GlorotUniform()
    bias_initializer: InitializerArgument = Zeros()
    kernel_regularizer: RegularizerArgument = None
    bias_regularizer: RegularizerArgument = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        check_dilation(self.strides, self.dilation_rate)
        if any(p >= s for p, s in zip(self.output_padding or (0, 0), self.strides, strict=True)):
            raise PydanticCustomError("output_padding", "output_padding must be below strides on both axes")
        if self.padding == "same" and self.output_padding is not None:
            self._check_last_patch(self.output_padding)
        return self

    def _check_last_patch(self, output_padding: tuple[int, int]) -> None:
        """Check that the last input's patch is in the output, without which TensorFlow refuses."""
        for axis, extent, extra in zip(AXES[2], self.extents, output_padding, strict=True):
            if extent % 2 == extra == 0:
                numbers = {"extent": extent, "axis": axis}
                raise PydanticCustomError(
                    "output_padding",
                    "with padding: same, even kernel {axis} ({extent}) needs an output_padding of at least 1 there, "
                    "or none at all",
                    numbers,
                )

    @property
    def extents(self) -> tuple[int, int]:
        """Height and width of the patch from its first tap to its last."""
        height, width = ((k - 1) * d + 1 for k, d in zip(self.kernel_size, self.dilation_rate, strict=True))
        return height, width

    def output_shape(self, input_shape: Shape) -> Shape:
        """Return the enlarged height and width, and the filters."""
        check_rank(self, input_shape, 2)
        return (*(self._length(axis, input_shape[axis]) for axis in (0, 1)), self.filters)

    def arrays(self, input_shape: Shape) -> tuple[Weight, ...]:
        """Return kernel and bias."""
        shape = (*self.kernel_size, self.filters, input_shape[-1])
        kernel = Weight("kernel", shape, axes=kernel_axes(2, "filters", "channels"))
        return (kernel, *bias(self.use_bias, self.filters))

    def mac_terms(self, input_shape: Shape) -> tuple[Term, ...]:
        """Return input positions · kernel · channels · filters: each input writes one patch."""
        (kernel, *_) = self.param_terms(input_shape)
        positions = tuple(Factor(f"input {axis}", n) for axis, n in zip(AXES[2], input_shape[:-1], strict=True))
        return ((*positions, *kernel),)

    def windows(self, input_shape: Shape) -> tuple[Window, ...] | None:
        """Return, for each axis, the inputs whose patches reach an output."""
        return tuple(self._window(axis, input_shape[axis]) for axis in (0, 1))

    def _length(self, axis: int, length: int) -> int:
        stride, extent = self.strides[axis], self.extents[axis]
        if self.padding == "valid":
            extra = max(stride - extent, 0) if self.output_padding is None else self.output_padding[axis]
            return (length - 1) * stride + extent + extra
        if self.output_padding is None:
            return length * stride
        return (length - 1) * stride + extent % 2 + self.output_padding[axis]

    def _window(self, axis: int, length: int) -> Window:
        stride, extent = self.strides[axis], self.extents[axis]
        cut = 0
        if self.padding == "same":  # what the forward convolution of the output would pad before
            cut = max((length - 1) * stride + extent - self._length(axis, length), 0) // 2
        reach = Fraction(extent - 1, stride)
        return Window(1 + reach, Fraction(1, stride), reach - Fraction(cut, stride))
