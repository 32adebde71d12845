"""The file predictions-<split>.csv, read back: what was measured of each image."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cnncli.errors import RunError
from cnncli.files.characters import from_csv_cell
from cnncli.files.read import open_text
from cnncli.runs import limits
from cnncli.runs.evaluations import AGAIN
from cnncli.tasks.segmentation.evaluation import BOUNDARY_F1, COLUMNS, COUNTS, RAND_ERROR
from cnncli.tasks.segmentation.scores import Counts, Floats

Lines = Sequence[Mapping[str, str]]


@dataclass(frozen=True)
class Rows:
    """The lines of a file of predictions.

    Attributes:
        examples: The images' files or indices.
        counts: Pixels that are of a class and predicted so, that are of it, that are predicted: (3, images, classes).
        losses: Mean cross-entropy of each image's pixels.
        boundary_scores: Boundary F1 of each image and class; None in a file of an earlier version.
        rand_errors: Adapted Rand error of each image; None where it was not measured.
    """

    examples: tuple[str, ...]
    counts: Counts
    losses: Floats
    boundary_scores: Floats | None = None
    rand_errors: Floats | None = None


def read_rows(path: Path) -> Rows | None:
    """Return the lines of predictions-<split>.csv, or None where there is no such file.

    Raises:
        RunError: If the file is there but cannot be read.
    """
    try:
        with open_text(path, limits.PREDICTIONS, follow=False) as file:
            return _rows(list(csv.DictReader(file)))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise RunError(f"{path} cannot be read: {error.strerror}", AGAIN) from error
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, csv.Error) as error:
        raise RunError(
            f"{path} cannot be read: expected the columns {', '.join(COLUMNS)}; {', '.join(COUNTS)} with a number of "
            "pixels for each class",
            AGAIN,
        ) from error


def _rows(lines: Lines) -> Rows:
    counts = np.array([[[int(n) for n in line[column].split()] for line in lines] for column in COUNTS], np.int64)
    if counts.ndim != 3 or (counts < 0).any():
        raise ValueError("not a number of pixels for each class")
    scores = _numbers(lines, BOUNDARY_F1)
    if scores is not None and scores.shape != counts.shape[1:]:
        raise ValueError("not a score for each class")
    errors = _numbers(lines, RAND_ERROR)
    return Rows(
        examples=tuple(from_csv_cell(line[COLUMNS[0]]) for line in lines),
        counts=counts,
        losses=np.array([float(line["loss"]) for line in lines]),
        boundary_scores=scores,
        rand_errors=None if errors is None else errors[:, 0],
    )


def _numbers(lines: Lines, column: str) -> Floats | None:
    """Return the numbers in each cell of a column, (lines, numbers); None where it is missing or empty."""
    cells = [line.get(column, "").split() for line in lines]
    return np.array(cells, np.float64) if any(cells) else None
