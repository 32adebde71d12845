"""What a network answered, example by example: as CSV, and as a table on the terminal."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from cnncli.report.grid import Column, Grid

if TYPE_CHECKING:
    from cnncli.serving.predict import Answer
    from cnncli.tasks.classification.evaluation import Evaluation

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
