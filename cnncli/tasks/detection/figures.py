"""Figures of a detector: the confusion matrix, precision against recall, and examples with their boxes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from cnncli.report.figures import LINES, add_colours, new_figure, shortened, show_pixels
from cnncli.tasks.confusion_figure import shares_figure
from cnncli.tasks.detection.average_precision import RECALLS
from cnncli.tasks.detection.evaluation import BACKGROUND
from cnncli.tasks.detection.examples import DetectedExample, legend

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from cnncli.tasks.pages import EvaluatedSplit

ACROSS = 3
"""Examples in a row."""

WIDTH = 3.4
"""Inches of a picture."""

_MOST_IN_LEGEND = 24


def confusion_figure(evaluated: EvaluatedSplit) -> Figure:
    """Draw the share of each class's objects that are detected as each class, and missed."""
    document = evaluated.document
    names = [*document["classes"], BACKGROUND]
    label = f"true class; shares of its objects in %\n({BACKGROUND}: of the false detections)"
    return shares_figure(names, document["confusion_matrix"], _title(evaluated), label)


def precision_recall_figure(evaluated: EvaluatedSplit) -> Figure:
    """Draw the precision at each recall of every class at IoU 0.5; a dot marks the threshold with the highest F1."""
    figure = new_figure(7.2, 5.2, _title(evaluated))
    axes = figure.subplots()
    known = [row for row in evaluated.document["per_class"] if row["ap50"] is not None]
    for place, row in enumerate(known):
        colour, style = LINES[place % len(LINES)], ("-", "--", ":", "-.")[place // len(LINES) % 4]
        name = f"{shortened(row['class'])}: AP50 {row['ap50']:.3f}"
        axes.plot(RECALLS, row["curve"], style, color=colour, label=name if place < _MOST_IN_LEGEND else "_")
        if row["precision"] is not None:
            axes.plot(row["recall"], row["precision"], "o", color=colour, markersize=5)
    axes.set(xlim=(0, 1), ylim=(0, 1.02), xlabel="recall", ylabel="precision at this recall or beyond, IoU 0.5")
    axes.grid(alpha=0.3)
    if known:
        made = figure.legend(loc="outside lower center", ncols=3, fontsize=8, frameon=False)
        for text in made.get_texts():
            text.set_parse_math(False)
    return figure


def boxes_figure(examples: Sequence[DetectedExample], title: str) -> Figure:
    """Draw each image with its objects, dashed, and its detections, solid."""
    across = min(ACROSS, max(len(examples), 1))
    down = max(-(-len(examples) // across), 1)
    ratio = float(np.median([e.pixels.shape[0] / e.pixels.shape[1] for e in examples])) if examples else 1.0
    height = WIDTH * min(max(ratio, 0.4), 2.5) + 0.5
    figure = new_figure(max(WIDTH * across + 0.4, 7.2), down * height + 1.1, title)
    for axes, example in zip(figure.subplots(down, across, squeeze=False).flat, examples, strict=False):
        show_pixels(axes, example.drawn())
        name = _ending(example.caption.removesuffix(f": {example.summary}"))
        axes.set_title(f"{name}\n{example.summary}", fontsize=8, loc="left", parse_math=False)
    for axes in figure.axes[len(examples) :]:
        axes.axis("off")
    if not examples:
        figure.text(0.5, 0.4, "none", ha="center")
    add_colours(figure, legend(examples))
    return figure


def _title(evaluated: EvaluatedSplit) -> str:
    document = evaluated.document
    ap, ap50 = ("–" if document[name] is None else f"{document[name]:.4f}" for name in ("ap", "ap50"))
    return f"{evaluated.run.name}, {document['checkpoint']}: AP {ap}, AP50 {ap50}"


def _ending(name: str) -> str:
    """Return a name, of a path the end: the name of a file says more than its folder."""
    return name if len(name) <= 52 else f"…{name[-51:]}"
