"""Rules about the end of the network: as many outputs as classes, and logits for the loss."""

from __future__ import annotations

from collections.abc import Iterator

from cnncli.analysis.rules.known_sets import KNOWN_SETS
from cnncli.analysis.rules.rule import CheckedNetwork, Finding, activation, kind

_PROBABILITIES = ("softmax", "log_softmax", "sparsemax")


def output_fits_the_task(network: CheckedNetwork) -> Iterator[Finding]:
    """The network ends in what its task compares with the targets."""
    last, config = network.steps[-1], network.config
    known = KNOWN_SETS.get(config.data.source)
    num_classes = known.num_classes if known else None
    found = config.task_spec.check_output(last.output_shape, num_classes, config.data.image_size)
    if found is not None:
        yield Finding("E301", last.node.path, found.message, found.hint)


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


RULES = (output_fits_the_task, softmax_at_the_end, softmax_before_the_end)
