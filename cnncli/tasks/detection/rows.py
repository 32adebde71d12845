"""The file predictions-<split>.csv, read back: the objects of each image, and what was detected."""

from __future__ import annotations

import csv
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from math import nan
from pathlib import Path
from sys import intern

import numpy as np

from cnncli.datasets.boxes.targets import Objects
from cnncli.errors import RunError
from cnncli.files.characters import from_csv_cell
from cnncli.files.read import open_text
from cnncli.runs import limits
from cnncli.tasks.detection.evaluation import COLUMNS, CROWD, DETECTION, DIFFICULT, FALSE, NOTHING, OBJECT, RIGHT
from cnncli.tasks.detection.outcomes import IGNORED
from cnncli.tasks.detection.overlap import Contents, Detections, Flags, Floats, Numbers
from cnncli.tasks.detection.overlap import areas as areas_of
from cnncli.tasks.detection.resampling import Ranked

_KINDS = (OBJECT, DIFFICULT, CROWD, DETECTION, NOTHING)


@dataclass(frozen=True)
class Rows:
    """The lines of a file of predictions.

    Attributes:
        examples: The images' files or indices, in the file's order.
        images: Number of each line's image.
        kinds: What each line is of: an object, a detection.
        classes: Name of its class.
        scores: Score of a detection; 0 elsewhere.
        corners: Its box in the original image's pixels, (lines, 4).
        outcomes: What came of a detection at IoU 0.5.
        areas: Its area in pixels: that of the box, or of an object's outline where the source says that.
    """

    examples: tuple[str, ...]
    images: Numbers
    kinds: np.ndarray
    classes: np.ndarray
    scores: Floats
    corners: Floats
    outcomes: np.ndarray
    areas: Floats

    def __len__(self) -> int:
        return len(self.examples)

    def contents(self, classes: tuple[str, ...]) -> Contents:
        """Return the objects and detections of each image; lines of other classes are left out.

        The images' sizes are not in the file: they are 0.
        """
        labels = self._labels(classes)
        bounds = np.searchsorted(self.images, np.arange(len(self.examples) + 1))
        objects, detections = [], []
        for start, end in zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True):
            own = np.arange(start, end)[labels[start:end] >= 0]
            found, true = own[self.kinds[own] == DETECTION], own[self.kinds[own] != DETECTION]
            detections.append(Detections(self.corners[found], labels[found], self.scores[found]))
            kinds, corners = self.kinds[true], self.corners[true]
            flags = kinds == DIFFICULT, kinds == CROWD
            objects.append(Objects(corners, labels[true], *flags, self.areas[true], (0, 0)))
        return Contents(objects, detections)

    def ranked(self, classes: tuple[str, ...]) -> Ranked:
        """Return the detections that count at IoU 0.5, by class and score, and the number of objects."""
        labels = self._labels(classes)
        counted = np.flatnonzero((self.kinds == DETECTION) & (self.outcomes != IGNORED) & (labels >= 0))
        counted = counted[np.lexsort((-self.scores[counted], labels[counted]))]
        objects = np.zeros((len(self.examples), len(classes)), np.int64)
        true = (self.kinds == OBJECT) & (labels >= 0)
        np.add.at(objects, (self.images[true], labels[true]), 1)
        right = self.outcomes[counted] == RIGHT
        return Ranked(labels[counted], self.images[counted], self.scores[counted], right, objects)

    def truth(self) -> Flags:
        """Return which lines are of objects."""
        lines: Flags = np.isin(self.kinds, (OBJECT, DIFFICULT, CROWD))
        return lines

    def _labels(self, classes: tuple[str, ...]) -> Numbers:
        numbers = {name: number for number, name in enumerate(classes)}
        return np.array([numbers.get(name, -1) for name in self.classes.tolist()], np.int64)


def read_rows(path: Path) -> Rows | None:
    """Return the lines of predictions-<split>.csv, or None where there is no such file.

    Raises:
        RunError: If the file is there but cannot be read.
    """
    try:
        with open_text(path, limits.PREDICTIONS, follow=False) as file:
            return _rows(csv.reader(file))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise RunError(f"{path} cannot be read: {error.strerror}", "`cnn eval` writes it again.") from error
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, csv.Error) as error:
        raise RunError(
            f"{path} cannot be read: expected the columns {', '.join(COLUMNS)}, a line for each object and detection",
            "`cnn eval` writes it again.",
        ) from error


def _rows(lines: Iterator[list[str]]) -> Rows:
    """Return lines of text as arrays; the texts that come again and again are held once."""
    if tuple(next(lines, ())) not in (COLUMNS, COLUMNS[:-1]):  # An earlier version wrote no areas.
        raise ValueError("other columns")
    numbers: dict[str, int] = {}
    images, scores, corners, areas = array("q"), array("d"), array("d"), array("d")
    words: tuple[list[str], list[str], list[str]] = ([], [], [])
    for example, kind, label, score, left, top, right, bottom, outcome, *area in lines:
        images.append(numbers.setdefault(from_csv_cell(example), len(numbers)))
        if kind not in _KINDS or (kind == DETECTION) != (outcome in (RIGHT, FALSE, IGNORED)):
            raise ValueError("neither an object nor a detection")
        scores.append(float(score) if kind == DETECTION else 0.0)
        corners.extend(map(float, (left, top, right, bottom)) if kind != NOTHING else (0.0,) * 4)
        areas.append(float(*area) if any(area) else nan)
        for column, text in zip(words, (kind, from_csv_cell(label), outcome), strict=True):
            column.append(intern(text))
    own, boxes, known = np.array(images, np.int64), np.array(corners).reshape(-1, 4), np.array(areas)
    sizes = np.where(np.isnan(known), areas_of(boxes), known)
    if not all(np.isfinite(column).all() for column in (boxes, scores, sizes)) or (np.diff(own) < 0).any():
        raise ValueError("a number is not finite, or the lines of an image do not stand together")
    kinds, classes, outcomes = (np.array(column, object) for column in words)
    return Rows(tuple(numbers), own, kinds, classes, np.array(scores), boxes, outcomes, sizes)
