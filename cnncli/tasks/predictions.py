"""What a network predicts for image files, whatever its task: as JSON, as CSV, and as a table on the terminal."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol

import numpy as np

from cnncli.datasets.images import Pixels
from cnncli.report.grid import Column, Grid


class Prediction(Protocol):
    """What a network predicts for one image.

    Attributes:
        columns: Columns of the table on the terminal, besides the file.
    """

    columns: ClassVar[tuple[Column, ...]]

    def to_json(self) -> list[dict[str, Any]]:
        """Return what `cnn predict --json` prints as "predictions"."""
        ...

    def csv_rows(self) -> list[dict[str, str]]:
        """Return the values of each line of the CSV by their columns, besides the file."""
        ...

    def cells(self) -> tuple[str, ...]:
        """Return the texts of the table's row, one for each of `columns`."""
        ...


@dataclass(frozen=True)
class PredictionOptions:
    """What a task needs besides a network's outputs.

    Attributes:
        classes: Names of the classes.
        image_size: Height and width that the network reads.
        fit: How images of another aspect ratio were made to fit: stretch, crop or pad.
        top: Number of classes to name for each image.
    """

    classes: Sequence[str]
    image_size: tuple[int, int]
    fit: str
    top: int = 3


@dataclass(frozen=True)
class PredictedFile:
    """A file, and what a network predicts for it.

    Attributes:
        file: The file as the user named it.
        prediction: What the network predicts; None for a file that cannot be read.
        doubts: How the image differs from those that the network was trained on, a sentence each.
        error: Why the file cannot be read, or None.
        pixels: The image, small; empty for a file that cannot be read.
    """

    file: str
    prediction: Prediction | None = None
    doubts: tuple[str, ...] = ()
    error: str | None = None
    pixels: Pixels = field(default_factory=lambda: np.empty((0, 0, 1), np.uint8), repr=False, compare=False)

    def to_json(self) -> dict[str, Any]:
        """Return an entry of what `cnn predict --json` prints."""
        predictions = [] if self.prediction is None else self.prediction.to_json()
        return {"file": self.file, "predictions": predictions, "doubts": list(self.doubts), "error": self.error}


def predictions_csv(files: Sequence[PredictedFile]) -> str:
    """Return the predictions for all files that could be read, with every column that any of them has."""
    rows = [
        {"file": one.file, **row} for one in files if one.prediction is not None for row in one.prediction.csv_rows()
    ]
    header = list(dict.fromkeys(["file", *(column for row in rows for column in row)]))
    return csv_text([header, *([row.get(column, "") for column in header] for row in rows)])


def predictions_table(files: Sequence[PredictedFile]) -> Grid:
    """Return a row for each file that could be read."""
    read = [(one.file, one.prediction) for one in files if one.prediction is not None]
    columns = read[0][1].columns if read else ()
    return Grid((Column("File", left=True), *columns), [(file, *prediction.cells()) for file, prediction in read])


def csv_text(rows: Iterable[Sequence[str]]) -> str:
    """Return rows as CSV, each ended by a line feed."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()
