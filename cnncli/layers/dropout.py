"""Layers that drop values in training."""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field

from cnncli.errors import ShapeError
from cnncli.layers.arguments import Share
from cnncli.layers.base import Layer, Shape
from cnncli.layers.sliding import check_rank


def _tuple(given: Any) -> Any:
    return tuple(given) if isinstance(given, list) else given


NoiseShape = Annotated[tuple[Literal[1] | None, ...], BeforeValidator(_tuple), Field(min_length=2)]


class Dropout(Layer):
    """Set a share of the values to 0 in training and enlarge the rest to keep the sum; do nothing else.

    Args:
        rate: Share that is dropped, below 1.
        noise_shape: Axes, the batch's first: 1 where all values along one are dropped or kept together, null where each
            is drawn by itself. [null, 1, 1, 1] leaves out all of an image: a whole block, where it ends a Residual.

    Raises: ShapeError if noise_shape has another number of axes.
    Reference: Srivastava et al., JMLR 15, 2014.
    """

    is_linear: ClassVar[bool] = True
    is_same_in_evaluation: ClassVar[bool] = True
    is_random_in_training: ClassVar[bool] = True

    rate: Share
    noise_shape: NoiseShape | None = None

    def output_shape(self, input_shape: Shape) -> Shape:
        """Return the input's shape."""
        if self.noise_shape is not None and len(self.noise_shape) != len(input_shape) + 1:
            raise ShapeError(
                f"noise_shape has {len(self.noise_shape)} axes; the input has {len(input_shape) + 1} with the batch's",
                f"write [{', '.join(['null', *['1'] * len(input_shape)])}] to drop an image's values together",
                "E041",
            )
        return input_shape


class SpatialDropout2D(Layer):
    """Set a share of the channels to 0 in training and enlarge the rest; do nothing else.

    Args:
        rate: Share that is dropped, below 1.

    Input shape: (height, width, channels).
    Reference: Tompson et al., Efficient object localization using convolutional networks, CVPR 2015.
    """

    is_linear: ClassVar[bool] = True
    is_same_in_evaluation: ClassVar[bool] = True
    is_random_in_training: ClassVar[bool] = True

    rate: Share

    def output_shape(self, input_shape: Shape) -> Shape:
        """Return the input's shape."""
        check_rank(self, input_shape, 2)
        return input_shape
