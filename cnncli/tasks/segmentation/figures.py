"""Figures of a segmentation: the confusion matrix, and examples with their masks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from cnncli.report.figures import AMOUNT, add_colours, new_figure, show_pixels
from cnncli.tasks.colours import painted
from cnncli.tasks.confusion_figure import shares_figure
from cnncli.tasks.segmentation.examples import SegmentedExample, legend

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from cnncli.tasks.pages import EvaluatedSplit

Panel = tuple[str, Callable[["Axes", SegmentedExample], None]]
"""What a picture of an example is called, and what draws it."""

MOST_IN_ROW = 4
"""Examples from which on two stand in a row."""

WIDTH = 1.6
"""Inches of a picture."""

LEAST_WIDTH = 7.2
"""Inches that a title takes."""

GAP = 0.08
"""Share of it between two examples."""


def confusion_figure(evaluated: EvaluatedSplit) -> Figure:
    """Draw the share of each true class's pixels that are predicted as each class."""
    document = evaluated.document
    title = f"{evaluated.run.name}, {document['checkpoint']}: mean IoU {document['mean_iou']:.4f}"
    return shares_figure(
        document["classes"], document["confusion_matrix"], title, "true class; shares of its pixels in %"
    )


def masks_figure(examples: Sequence[SegmentedExample], classes: Sequence[str], title: str) -> Figure:
    """Draw each image beside its mask, the prediction, and where that is wrong."""
    panels: list[Panel] = [
        ("image", lambda axes, example: show_pixels(axes, example.pixels)),
        ("truth", lambda axes, example: show_pixels(axes, painted(example.truth, len(classes)))),
        ("prediction", lambda axes, example: show_pixels(axes, painted(example.predicted, len(classes)))),
        ("errors", lambda axes, example: show_pixels(axes, example.errors())),
    ]
    figure = _gallery(examples, panels, title)
    add_colours(figure, legend(examples, classes, errors=True) if examples else [])
    return figure


def uncertainty_figure(examples: Sequence[SegmentedExample], classes: Sequence[str], title: str) -> Figure:
    """Draw each image beside the prediction and how uncertain that is at each pixel."""

    def heat(axes: Axes, example: SegmentedExample) -> None:
        show_pixels(axes, example.pixels * 0)
        axes.imshow(example.uncertainty, cmap=AMOUNT, vmin=0, vmax=1)

    panels: list[Panel] = [
        ("image", lambda axes, example: show_pixels(axes, example.pixels)),
        ("prediction", lambda axes, example: show_pixels(axes, painted(example.predicted, len(classes)))),
        ("uncertainty", heat),
    ]
    figure = _gallery(examples, panels, title)
    if examples:
        heated = figure.axes[2].images[-1]
        height = float(figure.get_figheight())
        figure.colorbar(heated, ax=figure.axes, label="1 − largest probability", shrink=min(0.8, 3 / height))
        add_colours(figure, legend(examples, classes))
    return figure


def _gallery(examples: Sequence[SegmentedExample], panels: Sequence[Panel], title: str) -> Figure:
    """Draw the panels of each example side by side, its name above them."""
    together = 2 if len(examples) > MOST_IN_ROW else 1
    rows = max(-(-len(examples) // together), 1)
    ratio = float(np.median([e.pixels.shape[0] / e.pixels.shape[1] for e in examples])) if examples else 1.0
    height = WIDTH * min(max(ratio, 0.4), 2.5) + 0.45
    figure = new_figure(max(WIDTH * (len(panels) + GAP) * together + 0.4, LEAST_WIDTH), rows * height + 1.2, title)
    widths = [*[1.0] * len(panels), GAP] * together
    grid = figure.add_gridspec(rows, len(widths), width_ratios=widths)
    for place, example in enumerate(examples):
        row, column = place // together, place % together * (len(panels) + 1)
        own = [figure.add_subplot(grid[row, column + panel]) for panel in range(len(panels))]
        for axes, (name, draw) in zip(own, panels, strict=True):
            draw(axes, example)
            axes.set_xlabel(name, fontsize=7, labelpad=2)
        own[0].set_title(_ending(example.caption), fontsize=8, loc="left", parse_math=False)
    if not examples:
        figure.text(0.5, 0.4, "none", ha="center")
    return figure


def _ending(caption: str) -> str:
    """Return a caption, of a path the end: the name of a file says more than its folder."""
    return caption if len(caption) <= 48 else f"…{caption[-47:]}"
