"""A network evaluated on labelled examples."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cnncli.datasets.splits import Split
from cnncli.runs.evaluations import kept_if_possible
from cnncli.runs.run import Run
from cnncli.tasks.ood import KEY
from cnncli.tasks.task import Result, get_task

log = logging.getLogger(__name__)

Tell = Callable[[str], None]
"""Hears what a user should read besides the result."""


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """The scores of a network, and what they were measured on.

    Attributes:
        result: Its scores.
        checkpoint: The checkpoint that its weights are from.
        split: The examples.
        task: Name of the network's task.
        data: Path of examples that are not the run's own, or None.
        doubts: How those differ from what the run was trained on, a sentence each.
        views: Number of views of each example whose outputs were averaged, at all scales.
        scales: Factors by which images were enlarged.
    """

    result: Result
    checkpoint: str
    split: Split
    task: str
    data: str | None = None
    doubts: tuple[str, ...] = ()
    views: int = 1
    scales: tuple[float, ...] = (1.0,)

    def to_json(self) -> dict[str, Any]:
        """Return the fields of `cnn eval --json`."""
        detector = get_task(self.task).ood_detector(self.result)
        return {
            **self.result.to_json(),
            "checkpoint": self.checkpoint,
            "data": self.data,
            "doubts": list(self.doubts),
            "views": self.views,
            "scales": list(self.scales),
            KEY: None if detector is None or self.data is not None else detector.to_json(),
        }


@dataclass(frozen=True)
class EvaluationOptions:
    """What is measured of a run.

    Attributes:
        checkpoint: "best", "last", or a checkpoint's name or path.
        split: Name of a split.
        data: Path of examples, or None for the run's own where they were. Where it holds the run's own, by their
            content, the split is taken of them; else all that it holds is measured.
        tta: Whether to average over views of each example (test-time augmentation).
        scales: Factors by which images are enlarged, over which to average as well; () for their plain size alone.
        moved: Whether nothing but the run's own examples may be at `data`.
    """

    checkpoint: str = "best"
    split: str = "test"
    data: Path | None = None
    tta: bool = False
    moved: bool = False
    scales: tuple[float, ...] = ()

    @property
    def suffix(self) -> str:
        """What the names of files say of views and scales."""
        scales = "-".join(("-scales", *(f"{scale:g}" for scale in self.scales))) if self.scales else ""
        return f"{'-tta' if self.tta else ''}{scales}"


def name_of(path: Path) -> str:
    """Return what a run's files call examples that are not its own."""
    return "data-" + re.sub(r"[^A-Za-z0-9_.-]+", "_", path.absolute().name)


def count_use(run: Run, split: str, tell: Tell = log.warning) -> int:
    """Count a use of the test split in run.json, and return how often it has been used.

    Choosing between runs by their test accuracy selects luck as well; so the number of uses stays on record.

    Args:
        run: The run.
        split: The split that was used.
        tell: Hears that the use is not on record where the run cannot be written.
    """
    uses = int(run.record.get("test_uses", 0)) + (split == "test")
    if split == "test":
        with kept_if_possible("this use of the test split", tell):
            uses = run.change(lambda record: {"test_uses": record.get("test_uses", 0) + 1})["test_uses"]
    return uses
