"""Figures of a classifier's predictions: the confusion matrix, and examples with what was predicted for them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cnncli.report.figures import AMOUNT, new_figure, shortened, show_pixels

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from cnncli.datasets.splits import Split
    from cnncli.tasks.classification.predictions import EvaluatedExample

MOST_NUMBERED = 25
"""Classes up to which a confusion matrix has its counts written in."""
MOST_NAMED = 60


@dataclass(frozen=True)
class Pictured:
    """An example with what a network predicted for it.

    Attributes:
        pixels: uint8 (height, width, channels).
        example: Its file or index.
        true: Name of its class.
        predicted: Name of the class that the network gave it.
        probability: The network's confidence.
    """

    pixels: npt.NDArray[np.uint8]
    example: str
    true: str
    predicted: str
    probability: float


def pictured(split: Split, found: Sequence[EvaluatedExample]) -> list[Pictured]:
    """Return predictions with their images at the size at which they are stored."""
    from cnncli.datasets.splits import image

    return [Pictured(image(split, a.row), a.example, a.true, a.predicted, a.probability) for a in found]


def confusion_figure(document: Mapping[str, Any], title: str) -> Figure:
    """Draw the confusion matrix: a row for each true class, coloured by its share of the row, counts written in."""
    import numpy as np

    classes, matrix = document["classes"], np.array(document["confusion_matrix"])
    support = matrix.sum(axis=1, keepdims=True)
    shares = np.divide(matrix, support, out=np.zeros(matrix.shape), where=support > 0)
    side = max(4.5, min(0.55 * len(classes), 14) + 2)
    figure = new_figure(side + 1.2, side, title)
    axes = figure.subplots()
    drawn = axes.imshow(shares, cmap=AMOUNT, vmin=0, vmax=1)
    step = 1 if len(classes) <= MOST_NAMED else -(-len(classes) // MOST_NAMED)
    places = range(0, len(classes), step)
    names = [shortened(classes[i], 14) for i in places]
    turned = 90 if max(map(len, names)) > 3 else 0
    axes.set_xticks(places, names, rotation=turned, fontsize=8, parse_math=False)
    axes.set_yticks(places, names, fontsize=8, parse_math=False)
    axes.set_xlabel("predicted class")
    axes.set_ylabel("true class")
    if len(classes) <= MOST_NUMBERED:
        _write_counts(axes, matrix, shares)
    figure.colorbar(drawn, ax=axes, label="fraction of the true class (each row sums to 1)", shrink=0.8)
    return figure


def _write_counts(axes: Axes, matrix: npt.NDArray[np.int64], shares: npt.NDArray[np.float64]) -> None:
    for row, counts in enumerate(matrix.tolist()):
        for column, count in enumerate(counts):
            if count:
                colour = "black" if shares[row, column] > 0.6 else "white"
                axes.text(column, row, str(count), ha="center", va="center", fontsize=7, color=colour)


def gallery_figure(examples: Sequence[Pictured], title: str, columns: int = 6) -> Figure:
    """Draw examples with their true and their predicted class below them."""
    columns = min(columns, max(len(examples), 3))
    rows = max(-(-len(examples) // columns), 1)
    figure = new_figure(columns * 1.6 + 0.3, rows * 2.15 + 0.6, title)
    grid = figure.subplots(rows, columns, squeeze=False).reshape(-1)
    for axes, found in zip(grid, examples, strict=False):
        show_pixels(axes, found.pixels)
        text = (
            f"true {shortened(found.true, 16)}\n"
            f"pred. {shortened(found.predicted, 16)}\n{100 * found.probability:.1f} %, {_ending(found.example)}"
        )
        axes.set_xlabel(text, fontsize=8, parse_math=False)
    for axes in grid[len(examples) :]:
        axes.set_visible(False)
    if not examples:
        figure.text(0.5, 0.4, "none", ha="center")
    return figure


def _ending(example: str) -> str:
    """Return an index as a number, and of a path the end: the name of a file says more than its folder."""
    if example.isdecimal():
        return f"no. {example}"
    return example if len(example) <= 16 else f"…{example[-15:]}"
