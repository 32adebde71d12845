"""Figures of a segmentation: the confusion matrix, and images with their masks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from cnncli.report.figures import new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from cnncli.tasks.pages import EvaluatedSplit


def confusion_figure(evaluated: EvaluatedSplit) -> Figure:
    """Draw the share of each true class's pixels that are predicted as each class."""
    document = evaluated.document
    matrix = np.array(document["confusion_matrix"], np.float64)
    shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    classes: Sequence[str] = document["classes"]
    side = 3 + 0.42 * len(classes)
    title = f"{evaluated.run.name}, {document['checkpoint']}: mean IoU {document['mean_iou']:.4f}"
    figure = new_figure(side + 1, side, title)
    axes = figure.subplots()
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    axes.set_xticks(range(len(classes)), classes, rotation=60, ha="right", parse_math=False)
    axes.set_yticks(range(len(classes)), classes, parse_math=False)
    axes.set_xlabel("predicted class")
    axes.set_ylabel("true class; shares of its pixels in %")
    for row, values in enumerate(shares):
        for column, share in enumerate(values):
            if share >= 0.005:
                colour = "white" if share > 0.5 else "black"
                axes.text(column, row, f"{100 * share:.0f}", ha="center", va="center", color=colour, fontsize=8)
    return figure
