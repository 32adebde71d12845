"""What a network predicts for image files, whatever its task: as JSON, as CSV, and as a table on the terminal."""

from __future__ import annotations

import csv
import io
import shutil
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, BinaryIO, Protocol, TextIO

import numpy as np

from cnncli.datasets.images import Pixels
from cnncli.files.characters import csv_cell
from cnncli.report.grid import Column, Grid
from cnncli.tasks.ood import OodScore

if TYPE_CHECKING:
    from PIL.Image import Image as PillowImage

    from cnncli.config.schema.schema import Data

NO_PIXELS: Pixels = np.empty((0, 0, 1), np.uint8)
"""In place of an image that is not there."""

LEAST_SCORE = 0.3
"""Score from which on an object counts as found, where nobody says another."""

NOTES = ("warning", "error")
"""The last columns of the CSV: how an image differs from those of training, and why a file cannot be read."""


class Prediction(Protocol):
    """What a network predicts for one image."""

    @property
    def columns(self) -> tuple[Column, ...]:
        """Columns of the table on the terminal, besides the file; the same for all images of a network."""
        ...

    def to_json(self) -> list[dict[str, Any]] | dict[str, Any]:
        """Return what `cnn predict --json` prints as "predictions", or fields that it prints instead of these."""
        ...

    def csv_rows(self) -> list[dict[str, str]]:
        """Return the values of each line of the CSV by their columns, besides the file."""
        ...

    def cells(self) -> tuple[str, ...]:
        """Return the texts of the table's row, one for each of `columns`."""
        ...


class Drawing(Protocol):
    """A prediction that has a place in its image for everything it says: a class for every pixel, or boxes."""

    def over(self, pixels: Pixels) -> Pixels:
        """Return an image (height, width, 1 or 3), of any size, with the prediction laid over it in colours."""
        ...

    def legend(self) -> Sequence[tuple[str, tuple[int, int, int]]]:
        """Return name and colour of each class that is in it, the largest first."""
        ...

    def classes_csv(self) -> str:
        """Return number, name and colour of every class, for a file beside the drawings."""
        ...

    def lay_over(self, image: PillowImage) -> None:
        """Do the same to the image itself, of mode RGB, in place: it may be too large for a copy."""
        ...


class MaskDrawing(Drawing, Protocol):
    """A prediction that is a mask."""

    def write_png(self, file: BinaryIO) -> None:
        """Write the number of each pixel's class as a PNG file whose palette has the classes' colours."""
        ...


class BoxDrawing(Drawing, Protocol):
    """A prediction that is boxes of objects."""

    def label_lines(self) -> str:
        """Return YOLO's lines: class number, centre and size of the box as shares of the image's, and score."""
        ...

    def data_yaml(self) -> str:
        """Return the lines of YOLO's `data.yaml` that name the classes."""
        ...


@dataclass(frozen=True)
class PredictionOptions:
    """What a task needs besides a network's outputs.

    Attributes:
        classes: Names of the classes.
        image_size: Height and width that the network reads.
        fit: How images of another aspect ratio were made to fit: stretch, crop or pad.
        top: Number of classes to name for each image.
        threshold: Score from which on a detected object is named; of all classes, or of each.
    """

    classes: Sequence[str]
    image_size: tuple[int, int]
    fit: str
    top: int = 3
    threshold: float | Sequence[float] = LEAST_SCORE

    @classmethod
    def of(cls, data: Data, classes: Sequence[str]) -> PredictionOptions:
        """Return the options that follow from a config's `data` section."""
        return cls(classes, data.image_size, str(data.resize.fit))


@dataclass(frozen=True)
class PredictedFile:
    """A file, and what a network predicts for it.

    Attributes:
        file: The file as the user named it.
        prediction: What the network predicts; None for a file that cannot be read.
        doubts: How the image differs from those that the network was trained on, a sentence each.
        ood: How unlike those it is; None where the network has no detector for that.
        error: Why the file cannot be read, or None.
        pixels: The image, small; empty where it was not asked for, or the file cannot be read.
        written: Files that the prediction was written into, by what they are: "mask", "overlay", "labels".
    """

    file: str
    prediction: Prediction | None = None
    doubts: tuple[str, ...] = ()
    ood: OodScore | None = None
    error: str | None = None
    pixels: Pixels = field(default_factory=lambda: NO_PIXELS, repr=False, compare=False)
    written: Mapping[str, str] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return an entry of what `cnn predict --json` prints."""
        found = [] if self.prediction is None else self.prediction.to_json()
        return {
            "file": self.file,
            **self.written,
            **(found if isinstance(found, dict) else {"predictions": found}),
            "doubts": list(self.doubts),
            "out_of_distribution": None if self.ood is None else self.ood.to_json(),
            "error": self.error,
        }


class PredictionsCsv:
    """Writes predictions as they come: the file, the columns of its task, `warning` and `error`.

    A file that cannot be read has a line of its own, without a prediction. The header is that of the first file.
    Where a later one has more columns, `close` writes all lines anew.

    Args:
        file: Where to write; it can also be read, unless all files have the same columns.
    """

    def __init__(self, file: TextIO) -> None:
        self._file = file
        self._writer = csv.writer(file, lineterminator="\n")
        self._columns: list[str] = []
        self._written: int | None = None

    def add(self, predicted: PredictedFile) -> None:
        """Write the lines of one file."""
        notes = "; ".join(predicted.doubts), predicted.error or ""
        for row in [{}] if predicted.prediction is None else predicted.prediction.csv_rows():
            self._columns += [column for column in row if column not in self._columns]
            self._write_header()
            cells = [predicted.file, *(row.get(column, "") for column in self._columns), *notes]
            self._writer.writerow(map(csv_cell, cells))

    def close(self) -> None:
        """Write what is still missing: a header without lines, or columns that the first lines lack."""
        self._write_header()
        if self._written == len(self._columns):
            return
        self._file.seek(0)
        with tempfile.TemporaryFile("w+", encoding="utf-8", errors="backslashreplace", newline="") as copy:
            shutil.copyfileobj(self._file, copy)
            copy.seek(0)
            self._file.seek(0)
            rows = csv.reader(copy)
            next(rows)
            self._writer.writerow(self._header())
            most, notes = len(self._header()), len(NOTES)
            self._writer.writerows([*row[:-notes], *[""] * (most - len(row)), *row[-notes:]] for row in rows)

    def _write_header(self) -> None:
        if self._written is None:
            self._written = len(self._columns)
            self._writer.writerow(self._header())

    def _header(self) -> list[str]:
        return [csv_cell(column) for column in ("file", *self._columns, *NOTES)]


def predictions_csv(files: Iterable[PredictedFile]) -> str:
    """Return the predictions for all files, with every column that any of them has."""
    text = io.StringIO(newline="")
    table = PredictionsCsv(text)
    for file in files:
        table.add(file)
    table.close()
    return text.getvalue()


def predictions_table(files: Sequence[PredictedFile]) -> Grid:
    """Return a row for each file that could be read."""
    read = [(one.file, one.prediction) for one in files if one.prediction is not None]
    columns = read[0][1].columns if read else ()
    return Grid((Column("File", left=True), *columns), [(file, *prediction.cells()) for file, prediction in read])


def csv_text(rows: Iterable[Sequence[str]]) -> str:
    """Return rows as CSV, each ended by a line feed, with no cell that a spreadsheet takes for a formula."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(map(csv_cell, row) for row in rows)
    return text.getvalue()
