"""The predicted heatmap laid over images, beside the centres of their objects."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from cnncli.datasets.boxes.targets import NOTHING
from cnncli.datasets.images import Pixels
from cnncli.report.figures import AMOUNT, add_colours, new_figure, show_pixels
from cnncli.report.figures_pixels import tinted
from cnncli.tasks.colours import class_colours
from cnncli.tasks.detection.decoding import scales, sigmoid
from cnncli.tasks.detection.marks import Mark, corners_of, drawn
from cnncli.tasks.pages import EvaluatedSplit, LegendEntry

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_CENTRE = 0.02
"""Half a side of the square around a centre, as a share of the image's longer side."""

_WHITE = (255, 255, 255)
_DIMMED = 0.6
"""Brightness of an image below a heatmap, so that high scores are brighter than all of it."""

Planes = npt.NDArray[np.float32]

ACROSS = 2
"""Examples in a row."""

WIDTH = 2.7
"""Inches of an image."""


@dataclass(frozen=True)
class HeatExample:
    """An image as the network reads it, its objects, and how probable an object's centre is in each place.

    Attributes:
        name: Its file or index.
        pixels: uint8 (height, width, channels).
        objects: As `Boxes.fit` returns them, (capacity, 6).
        heat: Highest score of all classes, (height, width) from 0 to 1: each cell as large as it is.
    """

    name: str
    pixels: Pixels
    objects: npt.NDArray[np.float32]
    heat: Planes

    def centres(self, num_classes: int) -> Pixels:
        """Return the image with its objects' boxes, dashed, and a square on each centre, in the classes' colours."""
        return drawn(self.pixels, _marks(self.objects, num_classes, self.pixels))

    def laid_over(self, num_classes: int) -> Pixels:
        """Return the image, grey, with the heatmap laid over it, and the centres of its objects."""
        grey = _DIMMED * self.pixels.astype(np.float32).mean(axis=-1, keepdims=True)
        share = np.sqrt(self.heat[..., None])
        heated = np.rint(grey * (1 - share) + tinted(self.heat, AMOUNT) * share).astype(np.uint8)
        return drawn(heated, [mark for mark in _marks(self.objects, num_classes, self.pixels) if not mark.is_dashed])


def heat_examples(evaluated: EvaluatedSplit, rows: Sequence[int]) -> list[HeatExample]:
    """Return the examples of a split at `rows`."""
    read = evaluated.as_read(rows)
    heats = heat(read.logits, (read.pixels.shape[1], read.pixels.shape[2]))
    ids = [evaluated.examples.ids[row] for row in rows]
    names = [f"{'no. ' * name.isdecimal()}{name}" for name in ids]
    return [HeatExample(*parts) for parts in zip(names, read.pixels, read.targets, heats, strict=True)]


def heat(logits: Mapping[str, Any], size: tuple[int, int]) -> Planes:
    """Return the highest score of all classes and planes at each pixel of the network's input.

    Args:
        logits: What a network ends in, (images, rows, columns, …).
        size: Height and width of the input.

    Returns:
        float32 (images, height, width): a cell's score at all pixels that are its own.
    """
    found = []
    for scale in scales(logits):
        plane = sigmoid(scale.heatmap).max(axis=-1)
        down, along = (np.arange(side) * number // side for side, number in zip(size, plane.shape[1:], strict=True))
        found.append(plane[:, down[:, None], along])
    highest: Planes = np.max(found, axis=0)
    return highest


def heatmap_figure(examples: Sequence[HeatExample], classes: Sequence[str], title: str) -> Figure:
    """Draw each image with its objects beside the heatmap laid over it."""
    across = min(ACROSS, max(len(examples), 1))
    down = max(-(-len(examples) // across), 1)
    ratio = examples[0].pixels.shape[0] / examples[0].pixels.shape[1] if examples else 1.0
    height = WIDTH * min(max(ratio, 0.4), 2.5) + 0.4
    figure = new_figure(2 * WIDTH * across + 1.2, down * height + 1.0, title)
    grid = figure.subplots(down, 2 * across, squeeze=False)
    for place, example in enumerate(examples):
        left, right = grid[place // across, 2 * (place % across) : 2 * (place % across) + 2]
        show_pixels(left, example.centres(len(classes)))
        show_pixels(right, example.laid_over(len(classes)))
        left.set_title(_ending(example.name), fontsize=8, loc="left", parse_math=False)
        highest = f"highest score {example.heat.max():.2f}"
        right.set_title(highest, fontsize=8, loc="left")
    for axes in grid.reshape(-1)[2 * len(examples) :]:
        axes.axis("off")
    _add_bar(figure, grid)
    add_colours(figure, legend(examples, classes))
    return figure


def legend(examples: Sequence[HeatExample], classes: Sequence[str]) -> list[LegendEntry]:
    """Return name and colour of every class that has an object in some examples."""
    colours = class_colours(len(classes)).tolist()
    labels = {int(label) for example in examples for label in example.objects[:, 4].tolist() if label != NOTHING}
    return [(classes[label], (*colours[label],)) for label in sorted(labels)]


def _marks(objects: npt.NDArray[np.float32], num_classes: int, pixels: Pixels) -> list[Mark]:
    """Return the boxes of an image's objects, dashed, and two squares around the centre of each, solid."""
    there = objects[objects[:, 4] != NOTHING].astype(np.float64)
    colours = [(red, green, blue) for red, green, blue in class_colours(num_classes).tolist()]
    middles = (there[:, :2] + there[:, 2:4]) / 2
    half = _CENTRE * max(pixels.shape[:2])
    inner, outer = (corners_of(np.concatenate([middles - side, middles + side], axis=1)) for side in (0.7 * half, half))
    found = []
    for box, own, around, label in zip(corners_of(there[:, :4]), inner, outer, there[:, 4].astype(int), strict=True):
        found += [Mark(box, colours[label], is_dashed=True), Mark(around, _WHITE), Mark(own, colours[label])]
    return found


def _add_bar(figure: Figure, grid: Any) -> None:
    """Add the colours of scores from 0 to 1."""
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    drawn_with = ScalarMappable(Normalize(0, 1), AMOUNT)
    label = "highest score of all classes"
    figure.colorbar(drawn_with, ax=grid, label=label, shrink=min(0.8, 2.4 / figure.get_figheight()), ticks=[0, 0.5, 1])


def _ending(name: str) -> str:
    """Return a name, of a path the end: the name of a file says more than its folder."""
    return name if len(name) <= 40 else f"…{name[-39:]}"
