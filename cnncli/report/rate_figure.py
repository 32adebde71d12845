"""The picture of a search for a learning rate."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cnncli.report.files import write_bytes


def draw_search(document: Mapping[str, Any], path: Path) -> None:
    """Draw loss against learning rate into a PNG file, with the suggested rate marked."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4.2), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.plot(document["rates"], document["losses"], color="#0072B2")
    for name, colour, line in (("suggested", "#D55E00", "--"), ("steepest", "#555555", ":")):
        if document[name] is not None:
            axes.axvline(document[name], color=colour, linestyle=line, label=f"{name} {document[name]:.1e}")
    axes.set_xscale("log")
    start, lowest = document["losses"][0], min(document["losses"])
    axes.set_ylim(max(0.0, lowest - 0.1 * (start - lowest)), start + 0.5 * max(start - lowest, 0.1))
    axes.set_xlabel("learning rate")
    axes.set_ylabel("smoothed training loss")
    axes.grid(alpha=0.3)
    if document["suggested"] is None:
        axes.set_title("no advice: the loss has not clearly fallen")
    else:
        axes.legend()
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=130)
    write_bytes(path, content.getvalue())
