"""What a rule of `cnn check` reads, and what it yields: a finding."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cached_property

from cnncli.analysis.walk import Step
from cnncli.config.schema.schema import Config
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

    def is_taken(self, step: Step) -> bool:
        """Say whether a layer is one that `train.start_from` fills with weights."""
        start = self.config.train.start_from
        return start is not None and fnmatchcase(step.node.name, start.layers)
