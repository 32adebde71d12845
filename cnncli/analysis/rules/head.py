"""Doubts about the end of the network: as many outputs as classes, and logits for the loss."""

from __future__ import annotations

from collections.abc import Iterator

from cnncli.analysis.rules.known_sets import KNOWN_SETS
from cnncli.analysis.rules.rule import Doubt, Subject, activation, kind

_PROBABILITIES = ("softmax", "log_softmax", "sparsemax")


def output_fits_the_task(subject: Subject) -> Iterator[Doubt]:
    """The network ends in what its task compares with the targets."""
    last, config = subject.steps[-1], subject.config
    known = KNOWN_SETS.get(config.data.source)
    num_classes = known.num_classes if known else None
    found = config.task_spec.check_output(last.output_shape, num_classes, config.data.image_size)
    if found is not None:
        yield Doubt("E301", last.node.path, found.message, found.hint)


def softmax_at_the_end(subject: Subject) -> Iterator[Doubt]:
    """The loss is computed from logits: probabilities at the end are taken off, or are wrong."""
    last = subject.steps[-1].node
    name = activation(last.layer)
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
    for step in subject.steps[:-1]:
        if activation(step.node.layer) in _PROBABILITIES:
            follower = subject.steps[-1].node
            twice = activation(follower.layer) == "softmax" and kind(follower.layer) != "Dense"
            yield Doubt(
                "W303",
                step.node.path,
                f"{step.node.name} makes probabilities before the end of the network"
                + (": the softmax after it makes them flat." if twice else "; the loss from logits makes them flat."),
                "Use relu inside the network, and nothing at its end.",
            )


RULES = (output_fits_the_task, softmax_at_the_end, softmax_before_the_end)
