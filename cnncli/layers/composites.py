"""Layers made of layers. They hold only what a config says; `layout.flatten` turns them into nodes."""

from typing import Annotated

from pydantic import Field, InstanceOf

from cnncli.layers.base import READS, Inputs, Spec


class Composite(Spec):
    """A part of a network that consists of other parts.

    Args:
        inputs: Names of the layers that its first layers read; null: the one before it.
    """

    inputs: Inputs | None = Field(default=None, description=READS)


Parts = tuple[InstanceOf[Spec], ...]
"""A list of layers and composites."""
SomeParts = Annotated[Parts, Field(min_length=1)]


class Parallel(Composite):
    """Give the same input to several branches and put their channels side by side.

    Args:
        branches: Lists of layers; an empty one hands the input on as it is.
    """

    branches: Annotated[tuple[Parts, ...], Field(min_length=2)]


class Residual(Composite):
    """Add what the layers make of the input to the input itself, or to what a shortcut makes of it.

    Args:
        layers: The layers around which the shortcut leads.
        shortcut: Layers of the shortcut; none for the identity.

    Reference: He et al., CVPR 2016.
    """

    layers: SomeParts
    shortcut: Parts = ()


class Repeat(Composite):
    """The same layers several times one after another, each time with weights of their own.

    Args:
        times: How many times.
        layers: The layers.
    """

    times: Annotated[int, Field(ge=1, le=1000)]
    layers: SomeParts


class Layers(Composite):
    """A list of layers that a block was given for a parameter, in the parameter's place.

    Args:
        layers: The layers.
    """

    layers: Parts


class Block(Composite):
    """A use of one of the config's named blocks, its parameters filled in.

    Args:
        block: The block's name.
        layers: Its layers.
    """

    block: str = "Block"
    layers: Parts


COMPOSITES: dict[str, type[Composite]] = {spec.type_name(): spec for spec in (Parallel, Residual, Repeat)}
"""The composites that a config names; a block goes by its own name."""
