"""What a rule of `cnn check` reads, and what it yields: a finding."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from cnncli.analysis.walk import Step
from cnncli.config.schema.schema import Config
from cnncli.layers.base import Layer
from cnncli.layers.graph import INPUT


@dataclass(frozen=True)
class Finding:
    """Something about a config that is probably a mistake.

    Attributes:
        code: Number of its page: "W304"; "E301" where the run would fail.
        path: Where in the config.
        message: What was consumers, in numbers.
        hint: What to do about it.
    """

    code: str
    path: str
    message: str
    hint: str


@dataclass(frozen=True)
class CheckedNetwork:
    """A config and its network, walked."""

    config: Config
    steps: Sequence[Step]

    @cached_property
    def consumers(self) -> dict[int, list[int]]:
        """Nodes that take each node's output, by index; `INPUT` for the image."""
        consumers: dict[int, list[int]] = {i: [] for i in range(INPUT, len(self.steps))}
        for index, step in enumerate(self.steps):
            for source in step.node.inputs:
                consumers[source].append(index)
        return consumers


def kind(layer: Layer) -> str:
    """Return the layer's name in the vocabulary."""
    return layer.type_name()


def is_weighted_sum(layer: Layer) -> bool:
    """Say whether a layer is a convolution or a dense layer: a linear map and perhaps an activation."""
    return kind(layer) == "Dense" or "Conv" in kind(layer)


def activation(layer: Layer) -> str:
    """Return the name of the activation that a layer ends with, "linear" for none."""
    if kind(layer) == "Softmax":
        return "softmax"
    if kind(layer) in ("ReLU", "LeakyReLU"):
        return "relu"
    return getattr(layer, "activation", None) or "linear"
