"""The shipped networks in numbers."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from cnncli.analysis.summary import Summary, summarize
from cnncli.config import zoo
from cnncli.config.load import load

_PERCENT = re.compile(r"\d+(?:\.\d+)? %")


@dataclass(frozen=True, slots=True)
class Exhibit:
    """One shipped network: its recipe card and its numbers."""

    entry: zoo.Entry
    summary: Summary
    metric: str
    """Name of the metric that says how good it is."""

    @property
    def result(self) -> str:
        """The metric as measured, or else as expected; empty where it is not known."""
        for label in ("measured", "expected"):
            found = _PERCENT.search(self.entry.facts.get(label, ""))
            if found:
                return found.group()
        return ""

    def to_json(self) -> dict[str, Any]:
        """Return the network as `cnn zoo --json` prints it."""
        return {
            "name": self.entry.name,
            "title": self.entry.title,
            "path": str(self.entry.path),
            "input_shape": list(self.summary.input_shape),
            "num_layers": len(self.summary.rows),
            "total_params": self.summary.total_params,
            "trainable_params": self.summary.trainable_params,
            "macs": self.summary.macs,
            self.metric: self.result,
            "expected": self.entry.facts.get("expected"),
            "measured": self.entry.facts.get("measured"),
            "source": self.entry.source,
            "command": self.entry.facts.get("command"),
        }


def exhibits() -> Iterator[Exhibit]:
    """Yield the shipped networks by name."""
    for name in zoo.names():
        entry = zoo.read(name)
        config = load(entry.path)
        yield Exhibit(entry, summarize(config), config.task_spec.primary.name)
