"""What a network predicted, example by example: with the true class for a split, with the runners-up for files."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np
import numpy.typing as npt

from cnncli.errors import RunError
from cnncli.files.characters import from_csv_cell
from cnncli.files.form import share
from cnncli.files.read import open_text
from cnncli.report.grid import Column
from cnncli.runs import limits
from cnncli.tasks.classification.columns import EXAMPLE, MARGIN, PREDICTED, PROBABILITY, TRUE

Floats = npt.NDArray[np.floating[Any]]


@dataclass(frozen=True)
class EvaluatedExample:
    """One line of predictions-<split>.csv.

    Attributes:
        row: Place of the example in its split.
        example: File or index.
        true: Name of its class.
        predicted: Name of the class that the network predicted.
        probability: The predicted class's probability.
        margin: How far the next class's probability lay below it.
    """

    row: int
    example: str
    true: str
    predicted: str
    probability: float
    margin: float

    @property
    def is_right(self) -> bool:
        """Whether the prediction was correct."""
        return self.true == self.predicted


def evaluated_examples(predictions_file: Path) -> list[EvaluatedExample]:
    """Return the lines of predictions-<split>.csv, in the order of the examples.

    Raises:
        RunError: If the file is missing, or has other columns or values.
    """
    try:
        with open_text(predictions_file, limits.PREDICTIONS, follow=False) as file:
            return [_example(row, line) for row, line in enumerate(csv.DictReader(file))]
    except OSError as error:
        raise RunError(f"{predictions_file} cannot be read: {error.strerror}", "`cnn eval` writes it again.") from error
    except (ValueError, KeyError, TypeError, AttributeError, csv.Error) as error:
        expected = ", ".join((EXAMPLE, TRUE, PREDICTED, PROBABILITY, MARGIN))
        raise RunError(
            f"{predictions_file} cannot be read: expected the columns {expected}, the last two from 0 to 1",
            "`cnn eval` writes it again.",
        ) from error


def _example(row: int, line: Mapping[str, str]) -> EvaluatedExample:
    example, true, predicted = (from_csv_cell(line[column]) for column in (EXAMPLE, TRUE, PREDICTED))
    probability, margin = float(line[PROBABILITY]), float(line[MARGIN])
    share(probability)
    share(margin)
    return EvaluatedExample(row, example, true, predicted, probability, margin)


def worst(found: Sequence[EvaluatedExample], count: int) -> list[EvaluatedExample]:
    """Return the most confident mistakes."""
    return sorted((a for a in found if not a.is_right), key=lambda a: -a.probability)[:count]


def best(found: Sequence[EvaluatedExample], count: int) -> list[EvaluatedExample]:
    """Return the most confident correct predictions, taking turns between the classes."""
    right = sorted((a for a in found if a.is_right), key=lambda a: -a.probability)
    turns: dict[str, int] = {}
    numbered = []
    for example in right:
        turns[example.true] = turns.get(example.true, 0) + 1
        numbered.append((turns[example.true], example))
    return [example for _, example in sorted(numbered, key=lambda entry: entry[0])][:count]


def output_names(classes: Sequence[str], number: int) -> tuple[str, ...]:
    """Return the names of a network's outputs: the classes, and "output 7" for those beyond them.

    A network that an older version trained may have more outputs than classes.
    """
    return (*classes, *(f"output {i}" for i in range(len(classes), number)))


class Place(NamedTuple):
    """One class in a ranking."""

    name: str
    probability: float


@dataclass(frozen=True)
class Ranking:
    """What a network predicts for one image.

    Attributes:
        places: The most probable classes, best first.
    """

    places: tuple[Place, ...]

    columns: ClassVar[tuple[Column, ...]] = (
        Column("Class", left=True),
        Column(""),
        Column("Next", left=True, rank=1),
    )

    @classmethod
    def of(cls, probabilities: Floats, classes: Sequence[str], top: int) -> Ranking:
        """Rank the `top` most probable classes; ties stay in the order of the classes."""
        order = np.argsort(-probabilities, kind="stable")[:top].tolist()
        names = output_names(classes, len(probabilities))
        return cls(tuple(Place(names[i], float(probabilities[i])) for i in order))

    def to_json(self) -> list[dict[str, Any]]:
        """Return the classes with their probabilities."""
        return [{"class": place.name, "probability": place.probability} for place in self.places]

    def csv_rows(self) -> list[dict[str, str]]:
        """Return one line: the classes with their probabilities, in full precision."""
        row: dict[str, str] = {}
        for rank, place in enumerate(self.places, 1):
            row |= {f"class_{rank}": place.name, f"probability_{rank}": repr(place.probability)}
        return [row]

    def cells(self) -> tuple[str, ...]:
        """Return the most probable class, its probability, and the next classes."""
        first, *others = self.places
        following = ", ".join(f"{place.name} {_percent(place.probability)}" for place in others)
        return first.name, _percent(first.probability), following


def _percent(probability: float) -> str:
    return f"{100 * probability:.1f} %"
