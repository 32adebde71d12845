"""The encoded pictures of classification's sections: examples of every confusion, mistakes and hits."""

from __future__ import annotations

from collections.abc import Sequence

from cnncli.datasets.images import thumbnail
from cnncli.datasets.splits import Split
from cnncli.datasets.splits import image as image_of
from cnncli.errors import RunError
from cnncli.plural import counted
from cnncli.report.figures_pixels import photo
from cnncli.report.html_material import Image
from cnncli.tasks.classification.html import Cell, ExamplePictures
from cnncli.tasks.classification.predictions import EvaluatedExample, best, evaluated_examples, worst
from cnncli.tasks.pages import EvaluatedSplit

MOST_GALLERY = 18
MOST_IMAGES = 1200
"""Images of the confusion matrix's cells, all together."""
MOST_BYTES = 1_500_000
"""Their size."""
MOST_IN_CELL = 12
THUMBNAIL = 64


def example_pictures(evaluated: EvaluatedSplit) -> ExamplePictures:
    """Return the pictures of a split's examples, with what was predicted for them."""
    split, found = evaluated.examples, predictions_of(evaluated)
    return ExamplePictures(
        cells(split, found),
        tuple(examples(split, worst(found, MOST_GALLERY))),
        tuple(examples(split, best(found, MOST_GALLERY))),
    )


def predictions_of(evaluated: EvaluatedSplit) -> list[EvaluatedExample]:
    """Return what was predicted for a split, one line for each of its examples.

    Raises:
        RunError: If there are more or fewer, or they cannot be read.
    """
    found = evaluated_examples(evaluated.predictions_file)
    if len(found) != len(evaluated.examples):
        raise RunError(
            f"{evaluated.predictions_file} cannot be read: it has {counted(len(found), 'line')}, "
            f"expected {len(evaluated.examples)}, one for each example of {evaluated.split}",
            "`cnn eval` writes it again.",
        )
    return found


def cells(split: Split, found: Sequence[EvaluatedExample]) -> dict[tuple[str, str], Cell]:
    """Return examples of every true and predicted class: mistakes by falling, hits by rising confidence.

    As many a cell as fit into `MOST_IMAGES` and `MOST_BYTES`.
    """
    grouped: dict[tuple[str, str], list[EvaluatedExample]] = {}
    for prediction in found:
        grouped.setdefault((prediction.true, prediction.predicted), []).append(prediction)
    for (true, predicted), group in grouped.items():
        group.sort(key=lambda prediction: prediction.probability, reverse=true != predicted)
    most = _fitting([len(group) for group in grouped.values()], MOST_IMAGES)
    drawn = {key: examples(split, group[:most]) for key, group in grouped.items()}
    while most > 1 and sum(len(i.content) for images in drawn.values() for i in images[:most]) > MOST_BYTES:
        most -= 1
    return {key: Cell(tuple(images[:most]), len(grouped[key])) for key, images in drawn.items()}


def _fitting(counts: Sequence[int], limit: int) -> int:
    """Return how many of each group may be taken so that there are at most `limit` in all, but one of each."""
    return max((k for k in range(1, MOST_IN_CELL + 1) if sum(min(k, n) for n in counts) <= limit), default=1)


def examples(split: Split, found: Sequence[EvaluatedExample]) -> list[Image]:
    """Return images no larger than a thumbnail, with what they are and what was predicted."""
    return [Image(photo(thumbnail(image_of(split, a.row), THUMBNAIL)), _caption(a)) for a in found]


def _caption(found: EvaluatedExample) -> str:
    name = f"no. {found.example}" if found.example.isdecimal() else found.example
    return f"true {found.true}, predicted {found.predicted} ({100 * found.probability:.1f} %), {name}"
