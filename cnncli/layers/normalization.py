"""Layers that bring values to a common scale.

Their statistics may come from a whole image or batch; windows leave them out, as is usual for receptive fields.
"""

from typing import Annotated, ClassVar, Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from cnncli.errors import ShapeError
from cnncli.layers.arguments import Epsilon
from cnncli.layers.base import Layer, Shape, Weight
from cnncli.layers.initializers import InitializerArgument, Ones, Zeros
from cnncli.layers.regularizers import RegularizerArgument
from cnncli.layers.sliding import times


class Affine(Layer):
    """What the learned normalizations share: they end in a factor gamma and an offset beta a channel."""

    epsilon: Epsilon = 1e-3
    center: bool = True
    scale: bool = True
    beta_initializer: InitializerArgument = Zeros()
    gamma_initializer: InitializerArgument = Ones()
    beta_regularizer: RegularizerArgument = None
    gamma_regularizer: RegularizerArgument = None

    def arrays(self, input_shape: Shape) -> tuple[Weight, ...]:
        """Return gamma and beta."""
        used = (("gamma", self.scale), ("beta", self.center))
        return tuple(Weight(name, input_shape[-1:], axes=("channels",)) for name, there in used if there)


class BatchNormalization(Affine):
    """Normalize each channel by its mean and variance over the batch; when not training, by their running means.

    Args:
        momentum: Share of the running means that stays at each step.
        epsilon: Added to the variance.
        center: Whether there is a learned offset beta.
        scale: Whether there is a learned factor gamma.
        synchronized: Where batches are computed in shards (train.shards), whether the statistics are those of the whole
            batch; else each shard has its own.

    Parameters: 2 · channels trainable (gamma, beta), 2 · channels not trainable (moving mean and variance).
    Example: BatchNormalization().num_params((8, 8, 16)) == 64
    Reference: Ioffe and Szegedy, ICML 2015.
    """

    is_linear: ClassVar[bool] = True
    looks_like_its_input: ClassVar[bool] = True

    momentum: Annotated[float, Field(ge=0, le=1)] = 0.99
    moving_mean_initializer: InitializerArgument = Zeros()
    moving_variance_initializer: InitializerArgument = Ones()
    synchronized: bool = False

    def arrays(self, input_shape: Shape) -> tuple[Weight, ...]:
        """Return gamma, beta and the running means."""
        moving = ("moving_mean", "moving_variance")
        return (
            *super().arrays(input_shape),
            *(Weight(name, input_shape[-1:], trainable=False, axes=("channels",)) for name in moving),
        )


class LayerNormalization(Affine):
    """Normalize the channels at each position by their own mean and variance.

    Args:
        epsilon: Added to the variance.
        center: Whether there is a learned offset beta.
        scale: Whether there is a learned factor gamma.

    Parameters: 2 · channels.
    Example: LayerNormalization().num_params((8, 8, 16)) == 32
    Reference: Ba, Kiros, Hinton, 2016.
    """


class GroupNormalization(Affine):
    """Normalize groups of channels of each image by their mean and variance.

    Args:
        groups: Number of groups; -1 for one group a channel (instance normalization).
        epsilon: Added to the variance.
        center: Whether there is a learned offset beta.
        scale: Whether there is a learned factor gamma.

    Parameters: 2 · channels.
    Raises: ShapeError if the channels cannot be divided into the groups.
    Example: GroupNormalization(groups=4).num_params((8, 8, 16)) == 32
    Reference: Wu and He, ECCV 2018.
    """

    averages_places: ClassVar[bool] = True

    groups: Annotated[int, Field(ge=-1)] = 32

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.groups == 0:
            raise PydanticCustomError("groups", "groups must be at least 1, or -1 for one group per channel")
        return self

    def output_shape(self, input_shape: Shape) -> Shape:
        """Return the input's shape."""
        channels = input_shape[-1]
        if self.groups > 0 and channels % self.groups:
            raise ShapeError(
                f"{channels} channels ({times(input_shape)}) are not divisible by {self.groups} groups",
                f"choose groups that divide {channels}, or -1 for one group per channel",
                "E043",
            )
        return input_shape


class LocalResponseNormalization(Layer):
    """Divide each value by a power of the squares' sum over neighbouring channels.

    output = input / (bias + alpha · sum of squares over channels c − depth_radius … c + depth_radius) ** beta

    A layer of cnncli's own with the arguments of `tf.nn.local_response_normalization`; Caffe's alpha is divided by its
    window: alpha = Caffe's alpha / (2 · depth_radius + 1).

    Args:
        depth_radius: Neighbouring channels on each side.
        bias: Added to the sum, so that nothing is divided by 0.
        alpha: Factor of the sum.
        beta: The power.

    Input shape: (height, width, channels).
    Reference: Krizhevsky, Sutskever, Hinton, NIPS 2012, section 3.3.
    """

    needs_float32: ClassVar[bool] = True

    depth_radius: Annotated[int, Field(ge=0)] = 5
    bias: Epsilon = 1.0
    alpha: Annotated[float, Field(ge=0)] = 1.0
    beta: Annotated[float, Field(ge=0)] = 0.5
