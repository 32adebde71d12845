"""Global pooling: one number for a channel."""

from typing import ClassVar

from cnncli.layers.base import Layer, Shape, Window
from cnncli.layers.sliding import check_rank


class GlobalPooling(Layer):
    """What all global poolings share.

    Input shape: (spatial axes, channels).
    Output shape: (channels), or with `keepdims` (1, 1, channels).
    """

    num_axes: ClassVar[int]

    keepdims: bool = False

    def output_shape(self, input_shape: Shape) -> Shape:
        """Return the channels, after spatial axes of length 1 if they are kept."""
        check_rank(self, input_shape, self.num_axes)
        return (*(1,) * (self.num_axes if self.keepdims else 0), input_shape[-1])

    def windows(self, input_shape: Shape) -> tuple[Window, ...] | None:
        """Return None: each output sees all."""
        return None


class GlobalAveragePooling1D(GlobalPooling):
    """Keep each channel's mean over a sequence."""

    is_linear: ClassVar[bool] = True
    num_axes: ClassVar[int] = 1


class GlobalAveragePooling2D(GlobalPooling):
    """Keep each channel's mean over an image.

    Reference: Lin, Chen, Yan, Network in network, ICLR 2014.
    """

    is_linear: ClassVar[bool] = True
    num_axes: ClassVar[int] = 2


class GlobalAveragePooling3D(GlobalPooling):
    """Keep each channel's mean over a volume."""

    is_linear: ClassVar[bool] = True
    num_axes: ClassVar[int] = 3


class GlobalMaxPooling1D(GlobalPooling):
    """Keep each channel's largest value of a sequence."""

    num_axes: ClassVar[int] = 1


class GlobalMaxPooling2D(GlobalPooling):
    """Keep each channel's largest value of an image."""

    num_axes: ClassVar[int] = 2


class GlobalMaxPooling3D(GlobalPooling):
    """Keep each channel's largest value of a volume."""

    num_axes: ClassVar[int] = 3
