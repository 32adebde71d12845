"""Doubts about the end of the network: as many outputs as classes, and logits for the loss."""

from __future__ import annotations

from collections.abc import Iterator

from cnncli.analysis.rules.known_sets import KNOWN_SETS
from cnncli.analysis.rules.rule import Doubt, Subject
from cnncli.layers.dense import Dense

_PROBABILITIES = ("softmax", "log_softmax", "sparsemax")


def one_output(subject: Subject) -> Iterator[Doubt]:
    """A classifier has one output: the logits."""
    names = list(subject.config.outputs)
    if len(names) > 1:
        yield Doubt(
            "E304",
            "model.outputs",
            f"The network has {len(names)} outputs ({', '.join(names[:4])}{', …' if names[4:] else ''}); "
            "a classifier has one, the logits.",
            "Leave model.outputs out, and end with the layer that gives one number a class.",
        )


def outputs_are_classes(subject: Subject) -> Iterator[Doubt]:
    """The last layer has one number a class."""
    if len(subject.config.outputs) > 1:
        return
    last = subject.steps[-1]
    shape, data = last.output_shape, subject.config.data
    known = KNOWN_SETS.get(data.source)
    if len(shape) != 1:
        yield Doubt(
            "E301",
            last.node.path,
            f"The network ends in {'×'.join(map(str, shape))} values; a classifier ends in one number a class.",
            "End with Flatten or GlobalAveragePooling2D, and a Dense layer with one unit a class.",
        )
    elif known and shape[0] != known.num_classes:
        yield Doubt(
            "E301",
            last.node.path,
            f"The network ends in {shape[0]:,} outputs; {data.source} has {known.num_classes} classes.",
            f"Give the last layer {known.num_classes} outputs: one logit a class.",
        )
    elif shape[0] == 1:
        yield Doubt(
            "E301",
            last.node.path,
            "The network ends in a single output; one number a class is needed, so two for two classes.",
            "Give the last layer as many outputs as there are classes.",
        )


def softmax_at_the_end(subject: Subject) -> Iterator[Doubt]:
    """The loss is computed from logits: probabilities at the end are taken off, or are wrong."""
    if len(subject.config.outputs) > 1:
        return
    last = subject.steps[-1].node
    name = last.layer.final_activation
    if name == "softmax":
        yield Doubt(
            "W301",
            last.path,
            "The network ends in a softmax, and the loss is computed from logits: the softmax is left out in training "
            "and used for the probabilities.",
            "Leave it out; nothing else changes.",
        )
    elif name != "linear":
        yield Doubt(
            "W302",
            last.path,
            f"The network ends in {name}, which keeps the logits from taking every value: the loss cannot fall as it "
            "should.",
            "Leave the last layer without an activation.",
        )


def softmax_before_the_end(subject: Subject) -> Iterator[Doubt]:
    """A softmax that is followed by another layer has lost the scale of its input."""
    outputs = subject.config.output_nodes
    for index, step in enumerate(subject.steps):
        if index not in outputs and step.node.layer.final_activation in _PROBABILITIES:
            follower = subject.steps[-1].node
            twice = follower.layer.final_activation == "softmax" and not isinstance(follower.layer, Dense)
            yield Doubt(
                "W303",
                step.node.path,
                f"{step.node.name} makes probabilities before the end of the network"
                + (": the softmax after it makes them flat." if twice else "; the loss from logits makes them flat."),
                "Use relu inside the network, and nothing at its end.",
            )


RULES = (one_output, outputs_are_classes, softmax_at_the_end, softmax_before_the_end)
