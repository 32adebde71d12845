"""Figures of attribution: heat laid over images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cnncli.report.figures import AMOUNT, new_figure, show_pixels, wrapped

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from matplotlib.figure import Figure

LINE = 0.14
"""Height of a further line of a caption, in inches."""


@dataclass(frozen=True)
class Heated:
    """An image with how much each of its places counts.

    Attributes:
        pixels: uint8 (height, width, channels).
        heat: (height, width) from 0 to 1.
        caption: Which image it is, and what the network predicted.
    """

    pixels: npt.NDArray[np.uint8]
    heat: npt.NDArray[np.float32]
    caption: str


def heat_figure(heated: Sequence[Heated], title: str, meaning: str) -> Figure:
    """Draw each image beside its heat, and both laid over each other.

    Args:
        heated: The images.
        title: What the figure shows.
        meaning: What the heat means, for its colour bar.
    """
    pairs = 2 if len(heated) > 4 else 1
    rows = -(-len(heated) // pairs)
    captions = [wrapped(item.caption, 50) for item in heated]
    extra = LINE * max((caption.count("\n") for caption in captions), default=0)
    figure = new_figure(4.6 * pairs + 0.8, (1.75 + extra) * rows + 0.9, title)
    grid = figure.subplots(rows, 3 * pairs, squeeze=False)
    drawn = None
    for place, item in enumerate(heated):
        original, alone, over = grid[place // pairs, 3 * (place % pairs) : 3 * (place % pairs) + 3]
        show_pixels(original, item.pixels)
        show_pixels(alone, item.pixels * 0)
        drawn = alone.imshow(item.heat, cmap=AMOUNT, vmin=0, vmax=1)
        show_pixels(over, item.pixels)
        over.imshow(item.heat, cmap=AMOUNT, vmin=0, vmax=1, alpha=0.15 + 0.6 * item.heat)
        alone.set_title(captions[place], fontsize=8, parse_math=False)
    for axes in grid.reshape(-1)[3 * len(heated) :]:
        axes.set_visible(False)
    if drawn is not None:
        figure.colorbar(drawn, ax=grid, label=meaning, shrink=min(0.8, 3 / (1.75 * rows)), ticks=[0, 0.5, 1])
    return figure
