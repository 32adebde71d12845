"""Rules about what one layer leaves for the next: lost activations, and biases without effect."""

from __future__ import annotations

from collections.abc import Iterator

from cnncli.analysis.rules.rule import CheckedNetwork, Finding, activation, is_weighted_sum, kind
from cnncli.analysis.walk import Step
from cnncli.layers.base import Layer
from cnncli.layers.graph import INPUT

_LINEAR = (
    "Flatten",
    "Reshape",
    "Dropout",
    "SpatialDropout2D",
    "BatchNormalization",
    "Rescaling",
    "Normalization",
    "Concatenate",
    "Add",
)
_LINEAR_FAMILIES = ("AveragePooling", "GlobalAveragePooling", "ZeroPadding", "Cropping", "UpSampling")


def activation_between(network: CheckedNetwork) -> Iterator[Finding]:
    """Two weighted sums with nothing non-linear between are one weighted sum."""
    last_sum: dict[int, int | None] = {INPUT: None}
    for index, step in enumerate(network.steps):
        layer = step.node.layer
        before = next((s for i in step.node.inputs if (s := last_sum[i]) is not None), None)
        if is_weighted_sum(layer) and before is not None and not _meant(network.steps[before], step):
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
    """Say whether two sums are one in parts to save work: channels one by one, or through few channels."""
    narrow = first.output_shape[-1] < min(first.input_shape[-1], second.output_shape[-1])
    return narrow or "Depthwise" in kind(first.node.layer)


def _after(index: int, layer: Layer, before: int | None) -> int | None:
    if is_weighted_sum(layer):
        return index if activation(layer) == "linear" else None
    name = kind(layer)
    linear = (
        name in _LINEAR or name.startswith(_LINEAR_FAMILIES) or (name == "Activation" and activation(layer) == "linear")
    )
    return before if linear else None


def bias_before_normalization(network: CheckedNetwork) -> Iterator[Finding]:
    """A batch normalization subtracts the mean, and every bias with it."""
    for index, step in enumerate(network.steps):
        layer = step.node.layer
        if not is_weighted_sum(layer) or not getattr(layer, "use_bias", False) or activation(layer) != "linear":
            continue
        followers = [network.steps[i].node for i in network.consumers[index]]
        if followers and all(kind(node.layer) == "BatchNormalization" for node in followers):
            size = step.output_shape[-1]
            yield Finding(
                "W311",
                step.node.path,
                f"{step.node.name} has {size:,} biases that the following {followers[0].name} subtracts again.",
                "Add use_bias: false; the normalization has an offset of its own.",
            )


RULES = (activation_between, bias_before_normalization)
