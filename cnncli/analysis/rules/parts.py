"""A rule about learning from parts of images: the network must compute them with the same weights."""

from __future__ import annotations

from collections.abc import Iterator

from cnncli.analysis.rules.rule import CheckedNetwork, Finding
from cnncli.analysis.walk import walk
from cnncli.config.language.validation import sentence
from cnncli.layers.graph import NodeShapeError
from cnncli.layers.resizing import Resizing
from cnncli.layers.sliding import times

_HINT = (
    "Use layers that take images of any size, as fully convolutional networks do, or leave out the size of RandomScale."
)


def parts_fit(network: CheckedNetwork) -> Iterator[Finding]:
    """A network that learns from parts of images computes them with the weights that it has for whole ones."""
    config = network.config
    part = config.data.training_size
    if part == config.data.image_size:
        return
    about = f"RandomScale cuts out parts of {times(part)}, and"
    try:
        steps = walk(config.nodes, (*part, config.data.channels))
    except NodeShapeError as error:
        message = f"{about} these do not fit. {sentence(error.message)}\nSizes on the way: {error.sizes}"
        yield Finding("E305", error.node.path, message, sentence(error.hint) if error.hint else _HINT)
        return
    for whole, small in zip(network.steps, steps, strict=True):
        name = whole.node.name
        if isinstance(whole.node.layer, Resizing):
            yield Finding("E305", whole.node.path, f"{about} {name} always makes the size for a whole image.", _HINT)
            return
        for_parts, for_images = (step.node.layer.num_params(step.input_shape) for step in (small, whole))
        if for_parts != for_images:
            numbers = f"{for_parts:,} weights for them and {for_images:,} for a whole image"
            yield Finding("E305", whole.node.path, f"{about} {name} would have {numbers}.", _HINT)
            return


RULES = (parts_fit,)
