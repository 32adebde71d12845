"""How many objects of each class are found: of each image as CSV, of all together as a table."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from typing import TextIO

import numpy as np

from cnncli.files.characters import csv_cell
from cnncli.report.grid import Column, Grid
from cnncli.tasks.detection.overlap import Numbers
from cnncli.tasks.detection.predictions import DetectedImage
from cnncli.tasks.predictions import NOTES, PredictedFile


class ObjectCounts:
    """Counts the objects of each class, image by image.

    Args:
        classes: Names of the classes.
    """

    def __init__(self, classes: Sequence[str]) -> None:
        self._classes = classes
        self._objects, self._images, self._most = (np.zeros(len(classes), np.int64) for _ in range(3))
        self.num_images, self._with_any, self._most_of_all = 0, 0, 0

    def add(self, predicted: PredictedFile) -> None:
        """Count the objects of one image."""
        numbers = numbers_of(predicted, self._classes)
        if numbers is None:
            return
        self.num_images += 1
        self._objects += numbers
        self._images += numbers > 0
        self._most = np.maximum(self._most, numbers)
        self._with_any += int(numbers.any())
        self._most_of_all = max(self._most_of_all, int(numbers.sum()))

    def table(self) -> Grid:
        """Return a row for each class that is found, the most frequent first, and one for all."""
        order = [label for label in np.argsort(-self._objects, kind="stable").tolist() if self._objects[label]]
        rows = [
            (
                self._classes[label],
                f"{self._objects[label]:,}",
                f"{self._objects[label] / self.num_images:.2f}",
                f"{self._most[label]:,}",
                f"{self._images[label]:,}",
            )
            for label in order
        ]
        number = int(self._objects.sum())
        total = "all", f"{number:,}", f"{number / self.num_images:.2f}", f"{self._most_of_all:,}", f"{self._with_any:,}"
        columns = Column("Class", left=True), *map(Column, ("Objects", "Per image", "Most", "Images with one"))
        return Grid(columns, rows, [total])


class CountsCsv:
    """Writes a line for each image as they come: the file, the number of objects of each class, and of all.

    Args:
        file: Where to write.
        classes: Names of the classes.
    """

    def __init__(self, file: TextIO, classes: Sequence[str]) -> None:
        self._writer, self._classes = csv.writer(file, lineterminator="\n"), classes
        self._write("file", *classes, "objects", *NOTES)

    def add(self, predicted: PredictedFile) -> None:
        """Write the line of one image; of a file that cannot be read, why."""
        numbers = numbers_of(predicted, self._classes)
        cells = [""] * (len(self._classes) + 1) if numbers is None else [*map(str, numbers), str(numbers.sum())]
        self._write(predicted.file, *cells, "; ".join(predicted.doubts), predicted.error or "")

    def _write(self, *cells: str) -> None:
        self._writer.writerow(map(csv_cell, cells))


def numbers_of(predicted: PredictedFile, classes: Sequence[str]) -> Numbers | None:
    """Return the number of objects of each class (classes,); None for a file that cannot be read."""
    found = predicted.prediction
    if not isinstance(found, DetectedImage):
        return None
    return np.bincount(found.detections.labels, minlength=len(classes))
