"""Training images with their boxes, for a look at the data: `cnn data --samples`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np

from cnncli.datasets.boxes.targets import Boxes, Objects
from cnncli.datasets.images import Pixels, thumbnail
from cnncli.datasets.splits import Splits, image
from cnncli.report.figures import new_figure, save, shortened, show_pixels
from cnncli.tasks.colours import class_colours
from cnncli.tasks.detection.marks import Mark, corners_of, drawn, scaled

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_ACROSS = 3
_MOST = 12
_WIDTH = 3.6
"""Inches of an image."""

_MOST_IN_LEGEND = 40
_LONGEST_SIDE = 640
_LONGEST_NAME = 50
_SPARED = (0x96, 0x96, 0x96)
"""Colour of crowds and of objects that are difficult: evaluation leaves them out."""


def draw_samples(splits: Splits, path: Path) -> Path:
    """Write a PNG with training images and their boxes, and a legend.

    Raises:
        CnnError: If the file cannot be written.
    """
    boxes = cast("Boxes", splits.train.targets)
    chosen = chosen_rows(boxes, len(splits.classes))
    across = min(_ACROSS, len(chosen))
    down = -(-len(chosen) // across)
    pictures = [_picture(image(splits.train, row), boxes.read(row), len(splits.classes)) for row in chosen]
    aspect = float(np.median([pixels.shape[0] / pixels.shape[1] for pixels in pictures]))
    lines = -(-min(len(splits.classes), _MOST_IN_LEGEND) // _legend_columns(splits.classes))
    height = (_WIDTH * min(max(aspect, 0.3), 2) + 0.3) * down + 0.8 + 0.2 * lines
    figure = new_figure(max(_WIDTH * across, 7.2), height, "Training images and their objects")
    grid = figure.subplots(down, across, squeeze=False)
    for axes in grid.flat[len(chosen) :]:
        axes.axis("off")
    for axes, row, pixels in zip(grid.flat, chosen, pictures, strict=False):
        show_pixels(axes, pixels)
        name = splits.train.ids[row]
        shown = name if len(name) <= _LONGEST_NAME else f"…{name[1 - _LONGEST_NAME :]}"
        axes.set_title(f"{shown}: {boxes.name(row, splits.classes)}"[:64], fontsize=7, loc="left", parse_math=False)
    _add_legend(figure, splits.classes, boxes)
    return save(figure, path)


def chosen_rows(boxes: Boxes, num_classes: int) -> list[int]:
    """Return the rows of examples that show most: of each class the one with most objects, from the rarest class on.

    Then come the first examples that are not among these.
    """
    counts = np.stack([np.bincount(own.labels, minlength=num_classes) for own in boxes.objects])
    rarest = np.argsort((counts > 0).sum(axis=0), kind="stable")
    rows = [int(counts[:, label].argmax()) for label in rarest.tolist()]
    return list(dict.fromkeys((*rows, *range(len(boxes)))))[:_MOST]


def _picture(pixels: Pixels, objects: Objects, num_classes: int) -> Pixels:
    small = thumbnail(pixels, _LONGEST_SIDE)
    colours = [(red, green, blue) for red, green, blue in class_colours(num_classes).tolist()]
    spared = (objects.crowd | objects.difficult).tolist()
    along, down = small.shape[1] / objects.size[1], small.shape[0] / objects.size[0]
    rows = zip(corners_of(objects.corners), objects.labels.tolist(), spared, strict=True)
    marks = [Mark(corners, _SPARED if out else colours[label], is_dashed=True) for corners, label, out in rows]
    return drawn(small, [scaled(mark, along, down) for mark in marks])


def _legend_columns(classes: tuple[str, ...]) -> int:
    """Return how many names stand beside each other."""
    longest = max(len(shortened(name)) for name in classes)
    return max(1, min(8, len(classes), 130 // (longest + 14)))


def _add_legend(figure: Figure, classes: tuple[str, ...], boxes: Boxes) -> None:
    """Name the colours, with the number of each class's objects."""
    from matplotlib.patches import Patch

    labels = np.concatenate([own.labels for own in boxes.objects])
    numbers = np.bincount(labels, minlength=len(classes)).tolist()
    colours = class_colours(len(classes)) / 255
    patches = [
        Patch(color=colour, label=f"{shortened(name)}: {number:,}")
        for name, colour, number in zip(classes, colours, numbers, strict=True)
    ]
    left_out = len(patches) - _MOST_IN_LEGEND
    if left_out > 0:
        patches = [*patches[:_MOST_IN_LEGEND], Patch(color="none", label=f"and {left_out} more")]
    if any((own.crowd | own.difficult).any() for own in boxes.objects):
        patches.append(Patch(color="#969696", label="difficult, or a crowd"))
    legend = figure.legend(
        handles=patches, loc="outside lower center", ncols=_legend_columns(classes), fontsize=8, frameon=False
    )
    for text in legend.get_texts():
        text.set_parse_math(False)
