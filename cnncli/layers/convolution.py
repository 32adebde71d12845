"""Convolutions with learned or fixed kernels."""

import math
from typing import Annotated, Any, ClassVar, Self

from pydantic import ConfigDict, model_validator
from pydantic_core import PydanticCustomError

from cnncli.errors import ShapeError
from cnncli.layers.arguments import (
    AXES,
    ActivationName,
    CausalPadding,
    Padding,
    Positive,
    Size1,
    Size2,
    Size3,
)
from cnncli.layers.base import Factor, Shape, Term, Weight
from cnncli.layers.initializers import GlorotUniform, InitializerArgument, Zeros
from cnncli.layers.kernels import WHITENING, KernelArgument, Kernels, Matrix
from cnncli.layers.regularizers import RegularizerArgument
from cnncli.layers.sliding import Slide, Sliding, kernel_slides


def kernel_axes(num_axes: int, *channels: str) -> tuple[str, ...]:
    """Return what the axes of a kernel count."""
    return (*(f"kernel {axis}" for axis in AXES[num_axes]), *channels)


def position_factors(positions: Shape) -> Term:
    """Return the number of output positions as a product."""
    return tuple(Factor(f"output {axis}", n) for axis, n in zip(AXES[len(positions)], positions, strict=True))


class Convolution(Sliding):
    """What the convolutions of one, two and three axes share."""

    is_weighted_sum: ClassVar[bool] = True
    is_linear: ClassVar[bool] = True
    window_argument: ClassVar[str] = "kernel_size"

    filters: Positive
    kernel_size: tuple[int, ...]
    strides: tuple[int, ...]
    padding: Any
    dilation_rate: tuple[int, ...]
    groups: Positive = 1
    activation: ActivationName | None = None
    use_bias: bool = True
    kernel_initializer: InitializerArgument = GlorotUniform()
    bias_initializer: InitializerArgument = Zeros()
    kernel_regularizer: RegularizerArgument = None
    bias_regularizer: RegularizerArgument = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        check_dilation(self.strides, self.dilation_rate)
        if self.filters % self.groups:
            numbers = {"filters": self.filters, "groups": self.groups}
            raise PydanticCustomError("groups", "{filters} filters are not divisible by {groups} groups", numbers)
        return self

    def slides(self) -> tuple[Slide, ...]:
        """Return the window's way along each spatial axis."""
        return kernel_slides(self.kernel_size, self.strides, self.padding, self.dilation_rate)

    def output_shape(self, input_shape: Shape) -> Shape:
        """Return the positions and, for each, one number a filter."""
        positions = self.positions(input_shape)
        self._channels_per_group(input_shape)
        return (*positions, self.filters)

    def arrays(self, input_shape: Shape) -> tuple[Weight, ...]:
        """Return kernel and bias."""
        shape = (*self.kernel_size, self._channels_per_group(input_shape), self.filters)
        kernel = Weight("kernel", shape, axes=kernel_axes(self.num_axes, "channels", "filters"))
        return (kernel, *bias(self.use_bias, self.filters))

    def mac_terms(self, input_shape: Shape) -> tuple[Term, ...]:
        """Return output positions · kernel · channels that a filter sees · filters."""
        (kernel, *_) = self.param_terms(input_shape)
        return ((*position_factors(self.positions(input_shape)), *kernel),)

    def _channels_per_group(self, input_shape: Shape) -> int:
        if input_shape[-1] % self.groups:
            raise ShapeError(
                f"{input_shape[-1]} input channels are not divisible by {self.groups} groups",
                "choose groups that divide both the input's channels and filters, or remove groups",
                "E043",
            )
        return input_shape[-1] // self.groups


def check_dilation(strides: tuple[int, ...], dilation_rate: tuple[int, ...]) -> None:
    """Check that a layer does not both stride and dilate, which Keras cannot."""
    if max(strides) > 1 and max(dilation_rate) > 1:
        raise PydanticCustomError("dilation", "strides and dilation_rate cannot both be above 1")


def bias(used: bool, length: int, counts: str = "filters") -> tuple[Weight, ...]:
    """Return the bias, one value an output channel, if there is one."""
    return (Weight("bias", (length,), axes=(counts,)),) if used else ()


class Conv1D(Convolution):
    """Slide learned filters along a sequence.

    Args:
        filters: Number of output channels.
        kernel_size: Length of the patch.
        strides: Distance between neighbouring patches.
        padding: "same" adds zeros so that stride 1 keeps the length, "causal" adds them all before the sequence,
            "valid" uses only patches that fit.
        dilation_rate: Distance between the patch's neighbouring taps.
        groups: Parts into which channels and filters are divided; a filter sees the channels of its part.

    Input shape: (length, channels); an image becomes one by Reshape.
    Output shape: (positions, filters).
    Parameters: kernel length · channels / groups · filters, plus filters with a bias.
    Raises: ShapeError if no patch fits.
    Example: Conv1D(filters=8, kernel_size=3).output_shape((10, 2)) == (8, 8)
    """

    num_axes: ClassVar[int] = 1

    kernel_size: Size1
    strides: Size1 = (1,)
    padding: CausalPadding = "valid"
    dilation_rate: Size1 = (1,)


def _size(matrix: Matrix) -> tuple[int, int]:
    return len(matrix), len(matrix[0])


def _need_size_or_kernel(schema: dict[str, Any]) -> None:
    """Say in the JSON Schema that a kernel stands for filters and kernel_size, but whitening does not."""
    written_down = {"required": ["kernel"], "not": {"properties": {"kernel": {"const": WHITENING}}}}
    schema["anyOf"] = [{"required": schema.pop("required")}, written_down]


class Conv2D(Convolution):
    """Slide learned filters over an image.

    Every filter sees a patch through all input channels and writes one number per position: `filters` filters
    turn an image into one with `filters` channels.

    `kernel` gives the filters instead of a random start; with `trainable: false` they stay. Filter f takes the
    f-th of the kernels in turn and applies it to the mean of the channels that it sees: all of them, or with
    `groups` those of its part, so that `groups` equal to the channels treats each channel by itself. With a
    kernel, `kernel_size` and `filters` follow from it: as many filters as kernels, in each group.

    `kernel: whitening` measures the filters on the training split: the principal components of the patches that
    the layer sees, each divided by its standard deviation, so that what they find is uncorrelated and equally strong.
    Every component comes twice, as it is and negated; `filters` of them, the strongest first.

    Args:
        filters: Number of output channels.
        kernel_size: Height and width of the patch in pixels.
        strides: Distance between neighbouring patches in pixels.
        padding: "same" adds zeros so that stride 1 keeps the size; "valid" uses only patches that fit.
        dilation_rate: Distance between the patch's neighbouring taps in pixels.
        groups: Parts into which channels and filters are divided; a filter sees the channels of its part.
        kernel: Name of a fixed kernel (sobel_x, gaussian, …), a matrix, a list of these, or whitening.

    Input shape: (height, width, channels).
    Output shape: (ceil(height / strides), ceil(width / strides), filters) for "same".
    Parameters: kernel height · kernel width · channels / groups · filters, plus filters with a bias.
    Raises: ShapeError if no patch fits, or a patch has fewer components than are asked for.
    Example: Conv2D(filters=16, kernel_size=5).num_params((32, 32, 3)) == 1216
    Reference: LeCun et al., Proceedings of the IEEE 86 (11), 1998, section II; for whitening Page, "How to Train Your
        ResNet 8", 2019.
    """

    num_axes: ClassVar[int] = 2
    own_arguments: ClassVar[frozenset[str]] = frozenset({"kernel"})

    kernel_size: Size2
    strides: Size2 = (1, 1)
    padding: Padding = "valid"
    dilation_rate: Size2 = (1, 1)
    kernel: Annotated[Kernels, KernelArgument()] | None = None

    model_config = ConfigDict(json_schema_extra=_need_size_or_kernel)

    @model_validator(mode="before")
    @classmethod
    def _follow_kernel(cls, given: Any) -> Any:
        if not isinstance(given, dict) or given.get("kernel") is None:
            return given
        groups = given.get("groups", 1)
        try:
            kernels = KernelArgument().read(given["kernel"])
        except PydanticCustomError:  # told at the argument itself, and without a complaint about what follows from it
            kernels = (((0.0,),),)
        if kernels == WHITENING:
            return given
        follows = {"filters": len(kernels) * (groups if type(groups) is int else 1), "kernel_size": _size(kernels[0])}
        return {**follows, **given}

    @model_validator(mode="after")
    def _check_kernel(self) -> Self:
        if self.kernel == WHITENING:
            self._check_whitening()
        if self.kernel is None or self.kernel == WHITENING:
            return self
        rows, columns = _size(self.kernel[0])
        if self.kernel_size != (rows, columns):
            numbers = {"size": str(list(self.kernel_size)), "rows": rows, "columns": columns}
            raise PydanticCustomError("kernel", "kernel_size is {size}, but kernel is {rows}×{columns}", numbers)
        if self.filters % (len(self.kernel) * self.groups):
            numbers = {"filters": self.filters, "kernels": len(self.kernel), "groups": self.groups}
            raise PydanticCustomError(
                "kernel", "{filters} filters cannot be distributed over {kernels} kernels in {groups} groups", numbers
            )
        return self

    def _check_whitening(self) -> None:
        if self.groups > 1 or self.filters % 2:
            numbers = {"filters": self.filters, "groups": self.groups}
            raise PydanticCustomError(
                "kernel", "whitening needs an even number of filters in one group; got {filters} in {groups}", numbers
            )

    def output_shape(self, input_shape: Shape) -> Shape:
        """Return the positions and, for each, one number a filter."""
        shape = super().output_shape(input_shape)
        if self.kernel == WHITENING:
            self._check_patches(input_shape)
        return shape

    def _check_patches(self, input_shape: Shape) -> None:
        """Check that the input has patches to measure, and that they have as many components as are asked for."""
        windows = [(size - 1) * rate + 1 for size, rate in zip(self.kernel_size, self.dilation_rate, strict=True)]
        if any(window > length for window, length in zip(windows, input_shape, strict=False)):
            raise ShapeError(
                f"no {windows[0]}×{windows[1]} patch fits into this input, and whitening needs whole patches",
                "choose a smaller kernel_size or dilation_rate",
                "E043",
            )
        most = 2 * math.prod(self.kernel_size) * input_shape[-1]
        if self.filters > most:
            raise ShapeError(
                f"{self.filters} whitening filters, but a patch of this input has {most // 2} components",
                f"choose at most {most} filters, or a larger kernel_size",
                "E043",
            )


class Conv3D(Convolution):
    """Slide learned filters through a volume.

    Args: as Conv2D's, for three axes.

    Input shape: (depth, height, width, channels); an image becomes one by Reshape.
    Output shape: (positions along each axis, filters).
    Parameters: kernel depth · height · width · channels / groups · filters, plus filters with a bias.
    Raises: ShapeError if no patch fits.
    Example: Conv3D(filters=2, kernel_size=3).num_params((8, 8, 8, 1)) == 56
    """

    num_axes: ClassVar[int] = 3

    kernel_size: Size3
    strides: Size3 = (1, 1, 1)
    padding: Padding = "valid"
    dilation_rate: Size3 = (1, 1, 1)
