"""Layers that drop values in training."""

from typing import ClassVar

from cnncli.layers.arguments import Share
from cnncli.layers.base import Layer, Shape
from cnncli.layers.sliding import check_rank


class Dropout(Layer):
    """Set a share of the values to 0 in training and enlarge the rest to keep the sum; do nothing else.

    Args:
        rate: Share that is dropped, below 1.

    Reference: Srivastava et al., JMLR 15, 2014.
    """

    is_linear: ClassVar[bool] = True
    is_same_in_evaluation: ClassVar[bool] = True
    is_random_in_training: ClassVar[bool] = True

    rate: Share


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
