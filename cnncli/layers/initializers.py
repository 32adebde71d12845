"""How weights begin. Names, arguments and defaults are Keras's; the seed follows from the config's."""

from typing import Annotated, Literal

from pydantic import Field

from cnncli.layers.arguments import Epsilon
from cnncli.layers.base import Spec
from cnncli.layers.named import OneOf


class Initializer(Spec):
    """A rule that fills a weight before training."""


class Zeros(Initializer):
    """All zeros."""


class Ones(Initializer):
    """All ones."""


class Constant(Initializer):
    """One value everywhere."""

    value: float = 0.0


class RandomNormal(Initializer):
    """Draws from a normal distribution."""

    mean: float = 0.0
    stddev: Annotated[float, Field(ge=0)] = 0.05


class TruncatedNormal(RandomNormal):
    """Draws from a normal distribution, those beyond two standard deviations drawn again."""


class RandomUniform(Initializer):
    """Draws from a uniform distribution."""

    minval: float = -0.05
    maxval: float = 0.05


class VarianceScaling(Initializer):
    """Draws whose variance is `scale` over the number of a weight's inputs, outputs or their mean."""

    scale: Epsilon = 1.0
    mode: Literal["fan_in", "fan_out", "fan_avg"] = "fan_in"
    distribution: Literal["truncated_normal", "untruncated_normal", "uniform"] = "truncated_normal"


class GlorotNormal(Initializer):
    """Truncated normal, variance 2 / (inputs + outputs).

    Reference: Glorot and Bengio, AISTATS 2010.
    """


class GlorotUniform(Initializer):
    """Uniform within ±√(6 / (inputs + outputs)).

    Reference: Glorot and Bengio, AISTATS 2010.
    """


class HeNormal(Initializer):
    """Truncated normal, variance 2 / inputs: for layers before a ReLU.

    Reference: He et al., ICCV 2015.
    """


class HeUniform(Initializer):
    """Uniform within ±√(6 / inputs).

    Reference: He et al., ICCV 2015.
    """


class LecunNormal(Initializer):
    """Truncated normal, variance 1 / inputs.

    Reference: LeCun et al., Efficient BackProp, 1998.
    """


class LecunUniform(Initializer):
    """Uniform within ±√(3 / inputs).

    Reference: LeCun et al., Efficient BackProp, 1998.
    """


class Orthogonal(Initializer):
    """An orthogonal matrix, times `gain`.

    Reference: Saxe et al., ICLR 2014.
    """

    gain: float = 1.0


INITIALIZERS: dict[str, type[Initializer]] = {
    spec.type_name(): spec
    for spec in (
        Constant,
        GlorotNormal,
        GlorotUniform,
        HeNormal,
        HeUniform,
        LecunNormal,
        LecunUniform,
        Ones,
        Orthogonal,
        RandomNormal,
        RandomUniform,
        TruncatedNormal,
        VarianceScaling,
        Zeros,
    )
}
InitializerArgument = Annotated[Initializer, OneOf(INITIALIZERS)]
