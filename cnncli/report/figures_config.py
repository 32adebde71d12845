"""Figures of what a config says before anything is trained: the schedule, the receptive fields."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cnncli.report.figures import AMOUNT, LINES, add_colours, new_figure, shortened, show_pixels

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from matplotlib.figure import Figure

    from cnncli.config.schema.schema import Config

POINTS = 200
"""Points of a schedule's curve for each epoch."""


@dataclass(frozen=True)
class Field:
    """The part of an image that one position of a layer's output sees.

    Attributes:
        layer: The layer's name.
        top: First row, negative in the padding.
        left: First column.
        height: Number of rows.
        width: Number of columns.
    """

    layer: str
    top: int
    left: int
    height: int
    width: int


def schedule_figure(config: Config, metrics: Sequence[dict[str, Any]] = ()) -> Figure:
    """Draw the learning rate over the epochs, and what a run's metrics recorded."""
    base, epochs, schedule = config.train.optimizer.learning_rate, config.train.epochs, config.train.schedule
    steps = range(epochs * POINTS)
    rates = [schedule.rate(base, step, POINTS, epochs) for step in steps]
    figure = new_figure(7.5, 3.6, f"{config.name}: learning rate, {schedule.type_name()}")
    axes = figure.subplots()
    axes.plot([(step + 1) / POINTS for step in steps], rates, color=LINES[0], label="from the config")
    known = [line for line in metrics if line.get("learning_rate") is not None]
    if known:
        seen = [line["epoch"] for line in known], [line["learning_rate"] for line in known]
        axes.plot(
            *seen, "o", color=LINES[1], markersize=4, clip_on=False, zorder=3, label="at the end of each trained epoch"
        )
        axes.legend(fontsize=8, frameon=False)
    axes.set_xlabel("epoch")
    axes.set_ylabel("learning rate")
    axes.set_xlim(0, epochs)
    axes.set_ylim(bottom=0)
    axes.grid(alpha=0.3)
    return figure


def augmentation_figure(
    rows: npt.NDArray[np.uint8], title: str, legend: Sequence[tuple[str, tuple[int, int, int]]] = ()
) -> Figure:
    """Draw images, each in a row with what the augmentation makes of it.

    Args:
        rows: uint8 (images, 1 + variants, height, width, channels), the original first.
        title: What the figure shows.
        legend: Names and colours of what is laid over the images.
    """
    figure = new_figure(rows.shape[1] * 1.15 + 0.4, rows.shape[0] * 1.15 + 0.9, title)
    add_colours(figure, legend)
    grid = figure.subplots(*rows.shape[:2], squeeze=False)
    for line, images in zip(grid, rows, strict=True):
        for axes, pixels in zip(line, images, strict=True):
            show_pixels(axes, pixels)
    grid[0, 0].set_title("original", fontsize=9)
    grid[0, 1].set_title("as used in training", fontsize=9, loc="left")
    return figure


def fields_figure(pixels: npt.NDArray[np.uint8], fields: Sequence[Field], title: str) -> Figure:
    """Draw on an image what the middle of each layer's output sees, deeper layers in brighter colours."""
    from matplotlib import colormaps
    from matplotlib.patches import Rectangle

    figure = new_figure(8.5, max(5.0, 0.24 * len(fields) + 1.2), title)
    axes = figure.subplots()
    show_pixels(axes, pixels)
    height, width = pixels.shape[:2]
    for place, field in enumerate(fields):
        colour = colormaps[AMOUNT](0.15 + 0.85 * place / max(len(fields) - 1, 1))
        label = f"{shortened(field.layer, 24)}: {field.height}×{field.width}"
        corner = field.left - 0.5, field.top - 0.5
        # Wide lines below narrow ones, so that edges in the same place are all seen.
        depth = place / max(len(fields) - 1, 1)
        box = Rectangle(
            corner, field.width, field.height, fill=False, edgecolor=colour, lw=1.5 + 3 * depth, label=label
        )
        axes.add_patch(box).set_zorder(3 - depth)
    low = min([0, *(min(field.top, field.left) for field in fields)])
    high = max([height, width, *(max(field.top + field.height, field.left + field.width) for field in fields)])
    margin = (high - low) * 0.03
    axes.set_xlim(low - margin - 0.5, high + margin - 0.5)
    axes.set_ylim(high + margin - 0.5, low - margin - 0.5)
    axes.set_facecolor("#dddddd")
    axes.set_frame_on(True)
    figure.legend(loc="outside right center", fontsize=8, frameon=False, title="sees (pixels)")
    return figure
