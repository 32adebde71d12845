"""Rules about what one layer leaves for the next: lost activations, and biases without effect."""

from __future__ import annotations

from collections.abc import Iterator

from cnncli.analysis.rules.rule import CheckedNetwork, Finding
from cnncli.analysis.walk import Step
from cnncli.layers.base import Layer
from cnncli.layers.depthwise import DepthwiseConv2D
from cnncli.layers.graph import INPUT
from cnncli.layers.normalization import BatchNormalization
from cnncli.layers.transpose import Conv2DTranspose


def activation_between(network: CheckedNetwork) -> Iterator[Finding]:
    """Two weighted sums with nothing non-linear between are one weighted sum."""
    last_sum: dict[int, int | None] = {INPUT: None}
    for index, step in enumerate(network.steps):
        layer = step.node.layer
        before = next((s for i in step.node.inputs if (s := last_sum[i]) is not None), None)
        if layer.is_weighted_sum and before is not None and not _meant(network.steps[before], step):
            first = network.steps[before].node
            yield Finding(
                "W310",
                step.node.path,
                f"{first.name} and {step.node.name} have no activation between them: "
                "together they are equivalent to one linear layer.",
                f"Give {first.name} an activation, such as relu, or remove one of the two.",
            )
        last_sum[index] = _after(index, step.node.layer, before)


def _meant(first: Step, second: Step) -> bool:
    """Say whether two sums are meant to be one: in parts to save work (channels one by one, or few), or to enlarge."""
    narrow = first.output_shape[-1] < min(first.input_shape[-1], second.output_shape[-1])
    return narrow or isinstance(first.node.layer, (DepthwiseConv2D, Conv2DTranspose))


def _after(index: int, layer: Layer, before: int | None) -> int | None:
    if layer.final_activation != "linear":
        return None
    return index if layer.is_weighted_sum else before if layer.is_linear else None


def bias_before_normalization(network: CheckedNetwork) -> Iterator[Finding]:
    """A batch normalization subtracts the mean, and every bias with it."""
    for index, step in enumerate(network.steps):
        layer = step.node.layer
        biased = layer.is_weighted_sum and getattr(layer, "use_bias", False)
        if not biased or layer.final_activation != "linear":
            continue
        followers = [network.steps[i].node for i in network.consumers[index]]
        if followers and all(isinstance(node.layer, BatchNormalization) for node in followers):
            size = step.output_shape[-1]
            yield Finding(
                "W311",
                step.node.path,
                f"{step.node.name} has {size:,} biases that the following {followers[0].name} subtracts again.",
                "Add use_bias: false; the normalization has an offset of its own.",
            )


RULES = (activation_between, bias_before_normalization)
