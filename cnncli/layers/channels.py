"""Layers that scale channels, or change their number, and leave the places as they are."""

from typing import Annotated, ClassVar

from pydantic import BeforeValidator

from cnncli.errors import ShapeError
from cnncli.layers.arguments import as_tuple
from cnncli.layers.base import Layer, Shape, Weight
from cnncli.layers.sliding import times


class LayerScale(Layer):
    """Multiply each channel by a learned factor that begins small, so that a deep residual network begins shallow.

    A layer of cnncli's own, as the ConvNeXt networks of `keras.applications` have it.

    Args:
        init_values: What all factors begin with.

    Parameters: one a channel.
    Example: LayerScale().num_params((8, 8, 16)) == 16
    Reference: Touvron et al., Going deeper with image transformers, ICCV 2021.
    """

    is_linear: ClassVar[bool] = True
    looks_like_its_input: ClassVar[bool] = True

    init_values: float = 1e-6

    def arrays(self, input_shape: Shape) -> tuple[Weight, ...]:
        """Return gamma, the factors."""
        return (Weight("gamma", input_shape[-1:], axes=("channels",)),)


class ChannelPadding(Layer):
    """Add channels of zeros, or with negative numbers, cut channels off.

    A layer of cnncli's own: what lets a shortcut without weights end in more channels than it begins with.

    Args:
        padding: Number of channels before the first and after the last.

    Output shape: (spatial axes, channels + both numbers).
    Raises: ShapeError if no channel is left.
    Example: ChannelPadding(padding=[0, 48]).output_shape((8, 8, 16)) == (8, 8, 64)
    Reference: He et al., CVPR 2016, section 3.3, option A.
    """

    is_linear: ClassVar[bool] = True

    padding: Annotated[tuple[int, int], BeforeValidator(as_tuple)]

    def output_shape(self, input_shape: Shape) -> Shape:
        """Return the same places with another number of channels."""
        channels, cut = input_shape[-1], [max(-n, 0) for n in self.padding]
        if sum(cut) >= channels:
            raise ShapeError(
                f"cutting off {cut[0]} and {cut[1]} channels leaves none of {channels} ({times(input_shape)})",
                f"cut off fewer than {channels} channels",
                "E043",
            )
        return (*input_shape[:-1], channels + sum(self.padding))
