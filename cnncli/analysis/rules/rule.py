"""One doubt about a config, and what the rules look at to find them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from cnncli.analysis.walk import Step
from cnncli.config.schema.schema import Config
from cnncli.layers.graph import INPUT


@dataclass(frozen=True)
class Doubt:
    """Something that is probably not meant.

    Attributes:
        code: Number of its page: "W304"; "E301" where the run would fail.
        path: Where in the config.
        message: What was found, in numbers.
        hint: What to do about it.
    """

    code: str
    path: str
    message: str
    hint: str


@dataclass(frozen=True)
class Subject:
    """A config and its network, walked."""

    config: Config
    steps: Sequence[Step]

    @cached_property
    def consumers(self) -> dict[int, list[int]]:
        """Nodes that take each node's output, by index; `INPUT` for the image."""
        found: dict[int, list[int]] = {i: [] for i in range(INPUT, len(self.steps))}
        for index, step in enumerate(self.steps):
            for source in step.node.inputs:
                found[source].append(index)
        return found
