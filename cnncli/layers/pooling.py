"""Pooling: one number for a window."""

from typing import Any, ClassVar

from cnncli.layers.arguments import Padding, Size1, Size2, Size3
from cnncli.layers.base import Shape
from cnncli.layers.sliding import Slide, Sliding


class Pooling(Sliding):
    """What all windows that pool share.

    Input shape: (spatial axes, channels).
    Output shape: (positions along each axis, channels); `strides` defaults to `pool_size`.
    """

    window_argument: ClassVar[str] = "pool_size"

    pool_size: Any
    strides: Any = None
    padding: Padding = "valid"

    def slides(self) -> tuple[Slide, ...]:
        """Return the window's way along each spatial axis."""
        ways = zip(self.pool_size, self.strides or self.pool_size, strict=True)
        return tuple(Slide(size, stride, self.padding) for size, stride in ways)

    def output_shape(self, input_shape: Shape) -> Shape:
        """Return the positions and the input's channels."""
        return (*self.positions(input_shape), input_shape[-1])


class Pooling1D(Pooling):
    """Pooling along a sequence."""

    num_axes: ClassVar[int] = 1
    pool_size: Size1 = (2,)
    strides: Size1 | None = None


class Pooling2D(Pooling):
    """Pooling over an image."""

    num_axes: ClassVar[int] = 2
    pool_size: Size2 = (2, 2)
    strides: Size2 | None = None


class Pooling3D(Pooling):
    """Pooling through a volume."""

    num_axes: ClassVar[int] = 3
    pool_size: Size3 = (2, 2, 2)
    strides: Size3 | None = None


class MaxPooling1D(Pooling1D):
    """Keep the largest value of each window of a sequence.

    Example: MaxPooling1D(pool_size=2).output_shape((8, 3)) == (4, 3)
    """


class MaxPooling2D(Pooling2D):
    """Keep the largest value of each window of an image.

    Example: MaxPooling2D(pool_size=2).output_shape((28, 28, 6)) == (14, 14, 6)
    """


class MaxPooling3D(Pooling3D):
    """Keep the largest value of each window of a volume.

    Example: MaxPooling3D(pool_size=2).output_shape((4, 8, 8, 3)) == (2, 4, 4, 3)
    """

    needs_float32: ClassVar[bool] = True


class AveragePooling1D(Pooling1D):
    """Keep the mean of each window of a sequence; padding does not count.

    Example: AveragePooling1D(pool_size=2).output_shape((8, 3)) == (4, 3)
    """

    is_linear: ClassVar[bool] = True


class AveragePooling2D(Pooling2D):
    """Keep the mean of each window of an image; padding does not count.

    Example: AveragePooling2D(pool_size=2).output_shape((28, 28, 6)) == (14, 14, 6)
    """

    is_linear: ClassVar[bool] = True


class AveragePooling3D(Pooling3D):
    """Keep the mean of each window of a volume; padding does not count.

    Example: AveragePooling3D(pool_size=2).output_shape((4, 8, 8, 3)) == (2, 4, 4, 3)
    """

    is_linear: ClassVar[bool] = True
    needs_float32: ClassVar[bool] = True
