"""The invariance profile as curves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from cnncli.report.figures import LINES, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def invariance_figure(document: Mapping[str, Any], title: str) -> Figure:
    """Draw accuracy with its 95 % interval, and the share of unchanged predictions, over each distortion's strength."""
    curves = document["curves"]
    rows = -(-len(curves) // 4)
    figure = new_figure(11.0, 2.7 * rows + 0.9, title)
    grid = figure.subplots(rows, 4, squeeze=False, sharey=True)
    for axes, curve in zip(grid.reshape(-1), curves, strict=False):
        amounts = [point["amount"] for point in curve["points"]]
        accuracy = [point["accuracy"] for point in curve["points"]]
        low, high = zip(*(point["accuracy_interval"] for point in curve["points"]), strict=True)
        axes.fill_between(amounts, low, high, color=LINES[0], alpha=0.2, linewidth=0)
        axes.plot(amounts, accuracy, "o-", color=LINES[0], markersize=3.5, label="accuracy, 95 % interval")
        agreement = [point["agreement"] for point in curve["points"]]
        axes.plot(amounts, agreement, "--", color=LINES[1], label="same prediction as without distortion")
        axes.set_title(curve["distortion"], fontsize=10)
        axes.set_xlabel(curve["unit"], fontsize=8)
        axes.set_ylim(0, 1.03)
        axes.tick_params(labelsize=8)
        axes.grid(alpha=0.3)
    for axes in grid.reshape(-1)[len(curves) :]:
        axes.set_visible(False)
    for row in grid:
        row[0].set_ylabel("share", fontsize=9)
    handles, labels = grid[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=2, fontsize=9, frameon=False)
    return figure
