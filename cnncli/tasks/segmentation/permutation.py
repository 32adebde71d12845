"""A paired test of two segmentations: is one's mean IoU higher by more than chance?"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cnncli.errors import RunError
from cnncli.files.characters import from_csv_cell
from cnncli.files.read import open_text
from cnncli.runs import limits
from cnncli.tasks.permutation import Permutation, remark
from cnncli.tasks.segmentation.evaluation import COLUMNS
from cnncli.tasks.segmentation.scores import Counts, Floats

NUM_PERMUTATIONS = 10_000


@dataclass(frozen=True)
class ImageCounts:
    """Pixels of each image by class.

    Attributes:
        examples: The images' files or indices.
        counts: Pixels that are of a class and predicted so, that are of it, that are predicted: (3, images, classes).
    """

    examples: tuple[str, ...]
    counts: Counts


class MeanIouPermutation(Permutation):
    """The test of two segmentations' mean IoU."""

    remark = remark(NUM_PERMUTATIONS)
    score = "mean IoU"


def permutation_test(first: ImageCounts, second: ImageCounts) -> MeanIouPermutation | None:
    """Exchange the two runs' counts of random images, again and again; None where the images differ.

    If both were equally good, any image could as well have come from the other run.
    """
    if first.examples != second.examples or first.counts.shape != second.counts.shape:
        return None
    if not np.array_equal(first.counts[1], second.counts[1]):
        return None
    generator = np.random.default_rng(0)
    exchanged = generator.integers(0, 2, (NUM_PERMUTATIONS, len(first.examples))).astype(np.float64)
    gains = (second.counts - first.counts).astype(np.float64)
    moved = np.einsum("pi,kic->kpc", exchanged, gains)
    of_first = _means(first.counts.sum(axis=1)[:, None] + moved)
    of_second = _means(second.counts.sum(axis=1)[:, None] - moved)
    found = float(_means(second.counts.sum(axis=1)[:, None])[0] - _means(first.counts.sum(axis=1)[:, None])[0])
    return MeanIouPermutation.of(found, of_second - of_first)


def _means(counts: np.ndarray) -> Floats:
    """Return the mean IoU of each row of (3, rows, classes), over the classes that occur or are predicted."""
    shared, true, predicted = counts
    union = true + predicted - shared
    found = np.divide(shared, union, out=np.zeros(union.shape), where=union > 0)
    means: Floats = found.sum(axis=1) / np.maximum((union > 0).sum(axis=1), 1)
    return means


def read_counts(path: Path) -> ImageCounts | None:
    """Return the rows of predictions-<split>.csv, or None where there are none.

    Raises:
        RunError: If the file is there but cannot be read.
    """
    try:
        with open_text(path, limits.PREDICTIONS, follow=False) as file:
            lines = list(csv.DictReader(file))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise RunError(f"{path} cannot be read: {error.strerror}", "`cnn eval` writes it again.") from error
    try:
        counts = np.array(
            [[[int(n) for n in line[column].split()] for line in lines] for column in COLUMNS[-3:]], np.int64
        )
        if counts.ndim != 3 or (counts < 0).any():
            raise ValueError("not a number of pixels for each class")
        return ImageCounts(tuple(from_csv_cell(line[COLUMNS[0]]) for line in lines), counts)
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError) as error:
        expected = ", ".join(COLUMNS)
        raise RunError(
            f"{path} cannot be read: expected the columns {expected}, the last three with a number of pixels for "
            "each class",
            "`cnn eval` writes it again.",
        ) from error
