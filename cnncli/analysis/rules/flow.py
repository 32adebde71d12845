"""Rules about what one layer leaves for the next: lost activations, and biases without effect."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from itertools import pairwise

from cnncli.analysis.rules.rule import CheckedNetwork, Finding
from cnncli.analysis.walk import Step
from cnncli.layers.base import Layer
from cnncli.layers.depthwise import DepthwiseConv2D
from cnncli.layers.graph import INPUT
from cnncli.layers.normalization import BatchNormalization


def activation_between(network: CheckedNetwork) -> Iterator[Finding]:
    """Two weighted sums with nothing non-linear between are one weighted sum."""
    last_sum: dict[int, int | None] = {INPUT: None}
    for index, step in enumerate(network.steps):
        layer = step.node.layer
        before = next((s for i in step.node.inputs if (s := last_sum[i]) is not None), None)
        if layer.is_weighted_sum and before is not None and not _meant(network, network.steps[before], step):
            first = network.steps[before].node
            yield Finding(
                "W310",
                step.node.path,
                f"{first.name} and {step.node.name} have no activation between them: "
                "together they are equivalent to one linear layer.",
                f"Give {first.name} an activation, such as relu, or remove one of the two.",
            )
        last_sum[index] = _after(index, step.node.layer, before)


def _meant(network: CheckedNetwork, first: Step, second: Step) -> bool:
    """Say whether two sums are meant to be one: in parts to save work (channels one by one, or few), or to enlarge.

    One layer in the place of two around an enlargement would compute all channels at the finer plane's places.
    """
    narrow = first.output_shape[-1] < min(first.input_shape[-1], second.output_shape[-1])
    if narrow or isinstance(first.node.layer, DepthwiseConv2D):
        return True
    paces = [_pace(network, step) for step in (first.node.inputs[0], first, second.node.inputs[0], second)]
    if any(_is_finer(after, before) for before, after in pairwise(paces)):
        return True
    # A 1×1 head after a resize-convolution: what it is after a transposed one.
    return getattr(second.node.layer, "kernel_size", None) == (1, 1) and _follows_enlargement(network, first)


def _follows_enlargement(network: CheckedNetwork, step: Step) -> bool:
    """Say whether a layer reads a plane that has just been enlarged."""
    source = step.node.inputs[0]
    if source == INPUT or network.steps[source].node.layer.is_weighted_sum:
        return False
    return _is_finer(_pace(network, source), _pace(network, network.steps[source].node.inputs[0]))


def _pace(network: CheckedNetwork, at: int | Step) -> tuple[int | Fraction, ...]:
    """Return the pixels between what neighbouring places of a plane see; none where all see the whole image."""
    if at == INPUT:
        return (1,) * (len(network.config.input_shape) - 1)
    field = (network.steps[at] if isinstance(at, int) else at).field
    return tuple(reach.stride for reach in field or ())


def _is_finer(after: tuple[int | Fraction, ...], before: tuple[int | Fraction, ...]) -> bool:
    return any(0 < one < other for one, other in zip(after, before, strict=False))


def _after(index: int, layer: Layer, before: int | None) -> int | None:
    if layer.final_activation != "linear":
        return None
    return index if layer.is_weighted_sum else before if layer.is_linear else None


def bias_before_normalization(network: CheckedNetwork) -> Iterator[Finding]:
    """A batch normalization subtracts the mean, and every bias with it; biases learned elsewhere have to be there."""
    for index, step in enumerate(network.steps):
        layer = step.node.layer
        biased = layer.is_weighted_sum and getattr(layer, "use_bias", False)
        if not biased or layer.final_activation != "linear" or network.is_taken(step):
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
