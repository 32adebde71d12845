"""What all figures share: how they are made, coloured, labelled and written."""

from __future__ import annotations

import io
import textwrap
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cnncli.report.files import write_bytes

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    Floats = npt.NDArray[np.floating[Any]]

DPI = 120

AMOUNT = "viridis"
"""Colours for how much: even in brightness, the same for the colour-blind, legible in print."""

SIGNED = "PuOr"
"""Colours for numbers below and above zero: orange below, white at zero, purple above."""

LINES = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
"""Colours that the colour-blind can tell apart.

Reference: Okabe and Ito, Color universal design, 2008.
"""


def new_figure(width: float, height: float, title: str = "") -> Figure:
    """Return an empty figure of a size in inches that lays itself out without overlaps."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained", dpi=DPI)
    FigureCanvasAgg(figure)
    if title:
        figure.suptitle(title, fontsize=11, parse_math=False)
    return figure


def add_colours(figure: Figure, entries: Sequence[tuple[str, tuple[int, int, int]]]) -> None:
    """Add a legend of colours (red, green, blue from 0 to 255) below a figure; none where there are none."""
    from matplotlib.patches import Patch

    patches = []
    for name, (red, green, blue) in entries:
        colour = red / 255, green / 255, blue / 255
        patches.append(Patch(facecolor=colour, edgecolor="#888888", linewidth=0.5, label=shortened(name, 20)))
    if patches:
        columns = max(1, int(figure.get_figwidth() / 1.15))
        made = figure.legend(handles=patches, loc="outside lower center", ncols=columns, fontsize=8, frameon=False)
        for text in made.get_texts():
            text.set_parse_math(False)


def to_png(figure: Figure) -> bytes:
    """Return a figure as a PNG file."""
    content = io.BytesIO()
    with warnings.catch_warnings():
        # A class name in a script that the font lacks is drawn as boxes.
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        figure.savefig(content, format="png")
    return content.getvalue()


def save(figure: Figure, path: Path) -> Path:
    """Write a figure as a PNG file; raises CnnError where the disk refuses."""
    write_bytes(path, to_png(figure))
    return path


def bare(axes: Axes) -> None:
    """Take ticks and frame away."""
    axes.set_xticks([])
    axes.set_yticks([])
    axes.set_frame_on(False)


def show_pixels(axes: Axes, pixels: npt.NDArray[np.uint8]) -> None:
    """Draw an image (height, width, 1 or 3) without ticks."""
    bare(axes)
    axes.imshow(pixels[..., 0] if pixels.shape[-1] == 1 else pixels, cmap="gray", vmin=0, vmax=255)


def mosaic(tiles: Floats, columns: int) -> Floats:
    """Lay tiles out in rows, one empty pixel (NaN) between neighbours.

    Args:
        tiles: (number, height, width) or (number, height, width, 3).
        columns: Tiles in a row.
    """
    import numpy as np

    number, height, width = tiles.shape[:3]
    rows = -(-number // columns)
    canvas = np.full((rows * (height + 1) - 1, columns * (width + 1) - 1, *tiles.shape[3:]), np.nan, np.float32)
    for place, tile in enumerate(tiles):
        top, left = place // columns * (height + 1), place % columns * (width + 1)
        canvas[top : top + height, left : left + width] = tile
    return canvas


def tile_ticks(axes: Axes, across: Sequence[str], down: Sequence[str], size: tuple[int, int]) -> None:
    """Label the columns and rows of a mosaic whose tiles have that height and width."""
    height, width = size
    axes.set_xticks([(width - 1) / 2 + i * (width + 1) for i in range(len(across))], across, parse_math=False)
    axes.set_yticks([(height - 1) / 2 + i * (height + 1) for i in range(len(down))], down, parse_math=False)
    axes.tick_params(length=0, labelsize=8)
    axes.set_frame_on(False)


def wrapped(text: str, width: int, most: int = 3) -> str:
    """Return a text in lines; where there are more than `most`, the last ends with "…"."""
    lines = textwrap.wrap(text, width, break_on_hyphens=False)
    return "\n".join(
        lines if len(lines) <= most else [*lines[: most - 1], shortened(" ".join(lines[most - 1 :]), width)]
    )


def shortened(text: str, length: int = 18) -> str:
    """Return a text, cut with "…" where it is longer."""
    return text if len(text) <= length else f"{text[: length - 1]}…"
