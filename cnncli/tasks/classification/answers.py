"""What a network answered, example by example: as CSV, and as a table on the terminal."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from cnncli.datasets.images import Pixels
from cnncli.report.grid import Column, Grid
from cnncli.runs.run import Run

if TYPE_CHECKING:
    from cnncli.tasks.classification.evaluation import Evaluation

Floats = npt.NDArray[np.floating[Any]]

EVALUATED = ("example", "true", "predicted", "probability", "margin")
"""Columns of predictions-<split>.csv; the margin is how far the next class's probability lies below."""


def evaluation_csv(evaluation: Evaluation) -> str:
    """Return a line for each example of an evaluation, with the columns of `EVALUATED`."""
    numbers = zip(evaluation.confidences.tolist(), evaluation.margins.tolist(), strict=True)
    names = zip(evaluation.ids, evaluation.labels.tolist(), evaluation.predicted.tolist(), strict=True)
    rows = (
        (example, evaluation.classes[true], evaluation.classes[predicted], *map(_exact, values))
        for (example, true, predicted), values in zip(names, numbers, strict=True)
    )
    return _csv([EVALUATED, *rows])


def predictions_csv(answers: Sequence[Answer]) -> str:
    """Return a line for each file: the most probable classes with their probabilities, best first."""
    ranks = max((len(answer.ranking) for answer in answers), default=0)
    header = ["file", *(f"{name}_{rank}" for rank in range(1, ranks + 1) for name in ("class", "probability"))]
    rows = (
        [answer.file, *(text for place in answer.ranking for text in (place.name, _exact(place.probability)))]
        for answer in answers
    )
    return _csv([header, *rows])


def predictions_table(answers: Sequence[Answer]) -> Grid:
    """Return a row for each file: its most probable class, how sure the network is, and the next classes."""
    columns = Column("File", left=True), Column("Class", left=True), Column(""), Column("Next", left=True, rank=1)
    rows = []
    for answer in answers:
        first, *others = answer.ranking
        following = ", ".join(f"{place.name} {_percent(place.probability)}" for place in others)
        rows.append((answer.file, first.name, _percent(first.probability), following))
    return Grid(columns, rows)


def _percent(probability: float) -> str:
    return f"{100 * probability:.1f} %"


def _exact(value: float) -> str:
    return repr(value)


def _csv(rows: Sequence[Sequence[str]] | Iterator[Sequence[str]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()


@dataclass(frozen=True)
class Answered:
    """One line of predictions-<split>.csv.

    Attributes:
        row: Place of the example in its split.
        example: File or index.
        true: Name of its class.
        predicted: Name of the class that the network gave it.
        probability: The network's confidence.
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
    """Return the most confident mistakes."""
    return sorted((a for a in found if not a.is_right), key=lambda a: -a.probability)[:count]


def best(found: Sequence[Answered], count: int) -> list[Answered]:
    """Return the most confident right predictions, taking turns between the classes."""
    right = sorted((a for a in found if a.is_right), key=lambda a: -a.probability)
    turns: dict[str, int] = {}
    numbered = []
    for answer in right:
        turns[answer.true] = turns.get(answer.true, 0) + 1
        numbered.append((turns[answer.true], answer))
    return [answer for _, answer in sorted(numbered, key=lambda entry: entry[0])][:count]


class Place(NamedTuple):
    """One class in the order of probability."""

    name: str
    probability: float


@dataclass(frozen=True)
class Answer:
    """What a network says of one file.

    Attributes:
        file: The file as the user named it.
        ranking: The most probable classes, best first; empty for a file that cannot be read.
        doubts: How the image lies far from what the network was trained on, a sentence each.
        error: Why the file cannot be read, or None.
        pixels: The image, small; empty for a file that cannot be read.
    """

    file: str
    ranking: tuple[Place, ...] = ()
    doubts: tuple[str, ...] = ()
    error: str | None = None
    pixels: Pixels = field(default_factory=lambda: np.empty((0, 0, 1), np.uint8), repr=False, compare=False)

    def to_json(self) -> dict[str, Any]:
        """Return an entry of what `cnn predict --json` prints."""
        predictions = [{"class": place.name, "probability": place.probability} for place in self.ranking]
        return {"file": self.file, "predictions": predictions, "doubts": list(self.doubts), "error": self.error}


def ranked(answer: Answer, probabilities: Floats, classes: Sequence[str], top: int) -> Answer:
    """Return an answer with its `top` most probable classes."""
    order = np.argsort(-probabilities, kind="stable")[:top]
    ranking = tuple(Place(classes[i], float(probabilities[i])) for i in order.tolist())
    return replace(answer, ranking=ranking)
