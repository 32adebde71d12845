"""A run's answers with their images, from its files where they are of the checkpoint asked about."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cnncli.datasets.samples import image as image_of
from cnncli.datasets.splits import Split
from cnncli.engine.evaluation import invariance
from cnncli.engine.evaluation.evaluate import examine, keep
from cnncli.engine.evaluation.trained import find_checkpoint
from cnncli.runs.run import Run
from cnncli.tasks.classification.figures import Pictured


@dataclass(frozen=True)
class Answered:
    """One line of predictions-<split>.csv.

    Attributes:
        row: Place of the example in its split.
        example: File or index.
        true: Name of its class.
        predicted: Name of the class that the network gave it.
        probability: How sure the network was.
        margin: How far the next class lay below.
    """

    row: int
    example: str
    true: str
    predicted: str
    probability: float
    margin: float

    @property
    def is_right(self) -> bool:
        """Whether the network was right."""
        return self.true == self.predicted


def usual_split(run: Run, checkpoint: str = "best") -> str:
    """Return the split to show answers of: test once this checkpoint was measured on it, else validation if there is.

    Looking at the test split is a use of it, so nothing but `cnn eval` or a user's word begins with that.
    """
    wanted = find_checkpoint(run, checkpoint).path.name
    if _known(run.evaluation_file("test"), wanted) is not None:
        return "test"
    return "validation" if "validation" in run.passport()["num_examples"] else "test"


def evaluation(run: Run, split: str, checkpoint: str = "best") -> dict[str, Any]:
    """Return evaluation-<split>.json, measured anew where it is missing, of another checkpoint, or not readable."""
    wanted = find_checkpoint(run, checkpoint).path.name
    known = _known(run.evaluation_file(split), wanted)
    if known is not None and run.predictions_file(split).exists():
        return known
    return keep(run, examine(run, wanted, split))


def invariance_profile(run: Run, split: str, checkpoint: str = "best") -> dict[str, Any]:
    """Return the profile of a split, measured anew where it is missing, of another checkpoint, or not readable."""
    wanted = find_checkpoint(run, checkpoint).path.name
    known = known_profile(run, split, wanted)
    if known is not None:
        return known
    examination = examine(run, wanted, split)
    keep(run, examination)
    return invariance.measure(run, examination)


def known_profile(run: Run, split: str, checkpoint: str) -> dict[str, Any] | None:
    """Return the profile that the run holds of a checkpoint, or None."""
    return _known(run.invariance_file(split), checkpoint)


def _known(file: Path, checkpoint: str) -> dict[str, Any] | None:
    """Return what a file holds if it is of that checkpoint."""
    try:
        document: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        return document if document["checkpoint"] == checkpoint else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def answers(run: Run, split: str) -> list[Answered]:
    """Return the lines of predictions-<split>.csv, in the order of the examples."""
    with Path(run.predictions_file(split)).open(encoding="utf-8", newline="") as file:
        return [
            Answered(
                row, line["example"], line["true"], line["predicted"], float(line["probability"]), float(line["margin"])
            )
            for row, line in enumerate(csv.DictReader(file))
        ]


def worst(found: Sequence[Answered], count: int) -> list[Answered]:
    """Return the mistakes that the network was surest of."""
    return sorted((a for a in found if not a.is_right), key=lambda a: -a.probability)[:count]


def best(found: Sequence[Answered], count: int) -> list[Answered]:
    """Return the surest right answers, taking turns between the classes."""
    right = sorted((a for a in found if a.is_right), key=lambda a: -a.probability)
    turns: dict[str, int] = {}
    numbered = []
    for answer in right:
        turns[answer.true] = turns.get(answer.true, 0) + 1
        numbered.append((turns[answer.true], answer))
    return [answer for _, answer in sorted(numbered, key=lambda entry: entry[0])][:count]


def pictured(split: Split, found: Sequence[Answered]) -> list[Pictured]:
    """Return answers with their images at the size at which they are stored."""
    return [Pictured(image_of(split, a.row), a.example, a.true, a.predicted, a.probability) for a in found]
