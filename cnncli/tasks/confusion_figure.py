"""A confusion matrix drawn as shares of each true class."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from cnncli.report.figures import new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def shares_figure(names: Sequence[str], matrix: Sequence[Sequence[int]], title: str, label: str) -> Figure:
    """Draw the share of each row that is in each column, in percent.

    Args:
        names: What rows and columns are called.
        matrix: Numbers by true class (row) and predicted class (column).
        title: What was measured.
        label: What the rows are, and what their shares are of.
    """
    counts = np.array(matrix, np.float64)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    side = 3 + 0.42 * len(names)
    figure = new_figure(side + 1, side, title)
    axes = figure.subplots()
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    axes.set_xticks(range(len(names)), names, rotation=60, ha="right", parse_math=False)
    axes.set_yticks(range(len(names)), names, parse_math=False)
    axes.set_xlabel("predicted class")
    axes.set_ylabel(label)
    for row, values in enumerate(shares):
        for column, share in enumerate(values):
            if share >= 0.005:
                colour = "white" if share > 0.5 else "black"
                axes.text(column, row, f"{100 * share:.0f}", ha="center", va="center", color=colour, fontsize=8)
    return figure
