"""Rules about the end of the network: as many outputs as classes, and logits for the loss."""

from __future__ import annotations

from collections.abc import Iterator

from cnncli.analysis.rules.known_sets import KNOWN_SETS
from cnncli.analysis.rules.rule import CheckedNetwork, Finding, activation, kind

_PROBABILITIES = ("softmax", "log_softmax", "sparsemax")


def outputs_are_classes(network: CheckedNetwork) -> Iterator[Finding]:
    """The last layer has one number a class."""
    last = network.steps[-1]
    shape, data = last.output_shape, network.config.data
    known = KNOWN_SETS.get(data.source)
    if len(shape) != 1:
        yield Finding(
            "E301",
            last.node.path,
            f"The network ends in {'×'.join(map(str, shape))} values; a classifier ends in one number per class.",
            "End with Flatten or GlobalAveragePooling2D, and a Dense layer with one unit per class.",
        )
    elif known and shape[0] != known.num_classes:
        yield Finding(
            "E301",
            last.node.path,
            f"The network ends in {shape[0]:,} outputs; {data.source} has {known.num_classes} classes.",
            f"Give the last layer {known.num_classes} outputs: one logit per class.",
        )
    elif shape[0] == 1:
        yield Finding(
            "E301",
            last.node.path,
            "The network has a single output; it needs one per class, so two for two classes.",
            "Give the last layer as many outputs as there are classes.",
        )


def softmax_at_the_end(network: CheckedNetwork) -> Iterator[Finding]:
    """The loss is computed from logits: probabilities at the end are taken off, or are wrong."""
    last = network.steps[-1].node
    name = activation(last.layer)
    if name == "softmax":
        yield Finding(
            "W301",
            last.path,
            "The network ends in a softmax, and the loss is computed from logits: training skips the softmax "
            "and uses it for the probabilities only.",
            "Remove it; nothing else changes.",
        )
    elif name != "linear":
        yield Finding(
            "W302",
            last.path,
            f"The network ends in {name}, which restricts the logits: the loss cannot decrease as it should.",
            "Remove the activation of the last layer.",
        )


def softmax_before_the_end(network: CheckedNetwork) -> Iterator[Finding]:
    """A softmax that is followed by another layer has lost the scale of its input."""
    for step in network.steps[:-1]:
        if activation(step.node.layer) in _PROBABILITIES:
            follower = network.steps[-1].node
            twice = activation(follower.layer) == "softmax" and kind(follower.layer) != "Dense"
            yield Finding(
                "W303",
                step.node.path,
                f"{step.node.name} computes probabilities before the end of the network"
                + (": the softmax after it flattens them." if twice else "; the loss from logits flattens them."),
                "Use relu inside the network, and no activation at its end.",
            )


RULES = (outputs_are_classes, softmax_at_the_end, softmax_before_the_end)
