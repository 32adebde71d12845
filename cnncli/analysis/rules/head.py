"""Rules about the end of the network: as many outputs as classes, and logits for the loss."""

from __future__ import annotations

from collections.abc import Iterator

from cnncli.analysis.rules.known_sets import num_classes
from cnncli.analysis.rules.rule import CheckedNetwork, Finding
from cnncli.layers.dense import Dense

_PROBABILITIES = ("softmax", "sparsemax")
"""Activations after which a loss from logits sees the classes closer together; log_softmax only shifts them."""


def output_fits_the_task(network: CheckedNetwork) -> Iterator[Finding]:
    """The network ends in what its task compares with the targets."""
    config = network.config
    problem = config.task_spec.check_output(config.output_shape, num_classes(config.data), config.data.image_size)
    if problem is not None:
        path = config.output_path(problem.output) if len(config.outputs) > 1 else network.steps[-1].node.path
        yield Finding(problem.code, path, problem.message, problem.hint)


def softmax_at_the_end(network: CheckedNetwork) -> Iterator[Finding]:
    """The loss is computed from logits: probabilities at the end are taken off, or are wrong."""
    if len(network.config.outputs) > 1:
        yield from _activations_of_outputs(network)
        return
    last = network.steps[-1].node
    name = last.layer.final_activation
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


def _activations_of_outputs(network: CheckedNetwork) -> Iterator[Finding]:
    """Of several outputs, none has its softmax taken off: all are logits that the task compares with its targets."""
    for name, index in network.config.outputs.items():
        activation = network.steps[index].node.layer.final_activation
        if network.config.task_spec.has_places and activation != "linear":
            yield Finding(
                "W302",
                network.config.output_path(name),
                f"The output {name} ends in {activation}, which restricts the logits: the loss cannot decrease as it "
                "should.",
                f"Remove the activation of {network.steps[index].node.name}.",
            )


def softmax_before_the_end(network: CheckedNetwork) -> Iterator[Finding]:
    """A softmax that is followed by another layer has lost the scale of its input."""
    outputs = network.config.output_nodes
    for index, step in enumerate(network.steps):
        if index not in outputs and step.node.layer.final_activation in _PROBABILITIES:
            follower = network.steps[-1].node
            twice = follower.layer.final_activation == "softmax" and not isinstance(follower.layer, Dense)
            yield Finding(
                "W303",
                step.node.path,
                f"{step.node.name} computes probabilities before the end of the network"
                + (": the softmax after it flattens them." if twice else "; the loss from logits flattens them."),
                "Use relu inside the network, and no activation at its end.",
            )


RULES = (output_fits_the_task, softmax_at_the_end, softmax_before_the_end)
