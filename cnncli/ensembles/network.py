"""The network of an ensemble as a config: all members side by side, and the mean of their probabilities at the end.

Everything else here reads logits; so the network ends in the logarithm of the mean, put together from layers that
every export knows: log(p + q) = max(log p, log q) + softplus(min(log p, log q) − max(log p, log q)).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import log
from typing import Any

from cnncli.config.load import load_document
from cnncli.config.schema.schema import Config
from cnncli.ensembles.members import Member
from cnncli.importing.graph import IMAGE, Operation
from cnncli.importing.nesting import chain
from cnncli.layers.activation import Activation
from cnncli.layers.base import Layer
from cnncli.layers.graph import INPUT, INPUT_NAME, Node, leading_to, logits_nodes, shapes
from cnncli.layers.merging import Add, Average, Maximum, Minimum, Subtract
from cnncli.layers.preprocessing import Rescaling
from cnncli.layers.resizing import Resizing
from cnncli.tasks.task import task_of


def prefix(number: int) -> str:
    """Return what the names of the layers of a member begin with; the first one's number is 1."""
    return f"member{number}_"


def member_nodes(config: Config) -> tuple[Node, ...]:
    """Return the nodes of a member's network that lead to its logits; outputs that only training has are left out."""
    main = config.task_spec.main_output
    if len(config.outputs) > 1 and main is not None:
        return leading_to(config.nodes, config.outputs[main])
    return logits_nodes(config.nodes)


def ensemble_config(members: Sequence[Member], name: str, data: Mapping[str, Any]) -> Config:
    """Return the config of an ensemble; its weights are those of its members, each under its prefix.

    It computes in float32, whatever its members were trained in.

    Args:
        members: Runs that fit together.
        name: Name of the ensemble's run.
        data: Its `data` section.
    """
    document = {
        "name": name,
        "task": members[0].config.task,
        "seed": members[0].config.seed,
        "data": dict(data),
        "model": {"layers": chain(_operations(members))},
    }
    return load_document(document, "(ensemble)")


def _operations(members: Sequence[Member]) -> list[Operation]:
    ends: list[str] = []
    operations: list[Operation] = []
    for number, member in enumerate(members, start=1):
        own = list(_member(member.config, prefix(number)))
        ends.append(own[-1].name)
        operations += own
    operations += _log_mean(ends, [member.weight for member in members])
    if task_of(members[0].config).detects_ood:
        operations += _with_evidence(operations[-1].name, ends)
    return operations


def _member(config: Config, start: str) -> Iterator[Operation]:
    """Yield a member's layers under names of their own; its logits have the image's size where they have places."""
    nodes = member_nodes(config)
    names = {INPUT: IMAGE, **{index: start + node.name for index, node in enumerate(nodes)}}
    for node in nodes:
        like = {} if node.like is None else {"like": names[node.like] or INPUT_NAME}
        layer = node.layer.model_copy(update={"inputs": None, **like})
        yield Operation(start + node.name, layer, tuple(names[i] for i in node.inputs))
    end, shape = names[len(nodes) - 1], shapes(nodes, config.input_shape)[-1]
    if config.task_spec.has_places and shape[:2] != config.data.image_size:
        # A mean of enlarged probabilities is not the enlarged mean: each network's prediction is that of its pixels.
        yield Operation(f"{start}enlarged", Resizing(like=INPUT_NAME), (end,))


def _log_mean(ends: Sequence[str], weights: Sequence[float]) -> Iterator[Operation]:
    """Yield what makes of the members' logits the logarithm of the weighted mean of their probabilities."""
    total = ""
    for number, (end, weight) in enumerate(zip(ends, weights, strict=True), start=1):
        yield _layer(f"log_probabilities_{number}", Activation(activation="log_softmax"), end)
        yield _layer(f"weighted_{number}", Rescaling(scale=1.0, offset=log(weight)), f"log_probabilities_{number}")
        if number == 1:
            total = "weighted_1"
            continue
        pair = (total, f"weighted_{number}")
        yield _layer(f"larger_{number}", Maximum(), *pair)
        yield _layer(f"smaller_{number}", Minimum(), *pair)
        yield _layer(f"difference_{number}", Subtract(), f"smaller_{number}", f"larger_{number}")
        yield _layer(f"softplus_{number}", Activation(activation="softplus"), f"difference_{number}")
        total = f"log_mean_of_{number}"
        yield _layer(total, Add(), f"larger_{number}", f"softplus_{number}")


def _with_evidence(log_mean: str, ends: Sequence[str]) -> Iterator[Operation]:
    """Yield what adds to all classes the members' mean of log Σ exp(logit).

    Probabilities stay as they are. The energy, which tells images unlike those of training, becomes the mean of the
    members' energies: without this, it would be 0 for every image.
    """
    for number, end in enumerate(ends, start=1):
        yield _layer(f"evidence_{number}", Subtract(), end, f"log_probabilities_{number}")
    yield _layer("evidence", Average(), *(f"evidence_{number}" for number in range(1, len(ends) + 1)))
    yield _layer("logits", Add(), log_mean, "evidence")


def _layer(name: str, layer: Layer, *inputs: str) -> Operation:
    return Operation(name, layer, inputs)
