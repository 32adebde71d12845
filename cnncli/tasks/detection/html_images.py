"""The encoded pictures of detection's sections: examples with their boxes."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from cnncli.datasets.images import thumbnail
from cnncli.datasets.splits import Split
from cnncli.report.figures import to_png
from cnncli.report.figures_pixels import photo
from cnncli.report.html_material import Image
from cnncli.tasks.detection.examples import DetectedExample, DetectedSplit, legend
from cnncli.tasks.detection.heatmap import HeatExample, heat_examples
from cnncli.tasks.detection.heatmap import legend as colours_of
from cnncli.tasks.detection.html import ExamplePictures
from cnncli.tasks.detection.labels import labels_figure
from cnncli.tasks.detection.marks import drawn, scaled
from cnncli.tasks.pages import EvaluatedSplit

MOST_SHOWN = 6
"""Examples of a kind."""

LONGEST_SIDE = 640

GAP = 8
"""White pixels between an image and its heatmap."""


def example_pictures(evaluated: EvaluatedSplit) -> ExamplePictures:
    """Return the examples with the lowest F1 and the first ones."""
    split = DetectedSplit(evaluated)
    worst, first = split.worst(MOST_SHOWN), range(min(MOST_SHOWN, len(split)))
    rows = list(dict.fromkeys((*worst, *first)))
    found = dict(zip(rows, split.at(rows), strict=True))

    def pictures(rows: Iterable[int]) -> tuple[Image, ...]:
        return tuple(_picture(found[row]) for row in rows)

    heated = heat_examples(evaluated, first)
    return ExamplePictures(
        pictures(worst),
        pictures(first),
        tuple(legend(list(found.values()))),
        tuple(_heatmap(example, len(split.classes)) for example in heated),
        tuple(colours_of(heated, split.classes)),
    )


def _heatmap(example: HeatExample, num_classes: int) -> Image:
    """Return an image with its objects, and beside it with the heatmap."""
    pair = [example.centres(num_classes), example.laid_over(num_classes)]
    gap = np.full((len(pair[0]), GAP, 3), 255, np.uint8)
    beside = np.concatenate([pair[0], gap, pair[1]], axis=1)
    caption = f"{example.name}: highest score {example.heat.max():.2f}"
    return Image(photo(thumbnail(beside, 2 * LONGEST_SIDE)), caption)


def label_picture(split: Split, classes: tuple[str, ...]) -> Image:
    """Return where a split's objects are, how large, and how many of each class."""
    figure = labels_figure(split, classes)
    return Image(to_png(figure), f"Centres, sizes and numbers of the objects of {split.name}")


def _picture(example: DetectedExample) -> Image:
    small = thumbnail(example.pixels, LONGEST_SIDE)
    down, along = (now / before for now, before in zip(small.shape[:2], example.pixels.shape[:2], strict=True))
    marks = [scaled(mark, along, down) for mark in example.marks()]
    return Image(photo(drawn(small, marks)), example.caption)
