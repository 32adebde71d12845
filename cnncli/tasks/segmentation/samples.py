"""Training images beside their masks, for a look at the data: `cnn data --samples`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np

from cnncli.datasets.images import thumbnail
from cnncli.datasets.masks.targets import Masks, nearest
from cnncli.datasets.splits import Split, Splits, image
from cnncli.report.figures import new_figure, save, shortened, show_pixels
from cnncli.tasks.colours import class_colours, overlaid

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_ACROSS = 3
_MOST = 12
_WIDTH = 2.0
"""Inches of an image."""

_MOST_IN_LEGEND = 40
_LONGEST_SIDE = 400
_LONGEST_NAME = 60
_SHARE = 0.65
"""Of the colours in the mixture."""


def draw_samples(splits: Splits, path: Path) -> Path:
    """Write a PNG with training images, each beside itself with its mask laid over, and a legend.

    Raises:
        CnnError: If the file cannot be written.
    """
    chosen = chosen_rows(cast("Masks", splits.train.targets))
    down = -(-len(chosen) // _ACROSS)
    lines = -(-min(len(splits.classes), _MOST_IN_LEGEND) // _legend_columns(splits.classes))
    pairs = [_pair(splits.train, row, len(splits.classes)) for row in chosen]
    aspect = float(np.median([pixels.shape[0] / pixels.shape[1] for pixels, _ in pairs]))
    height = (_WIDTH * min(max(aspect, 0.3), 2) + 0.25) * down + 0.8 + 0.2 * lines
    figure = new_figure(2 * _WIDTH * _ACROSS, height, "Training images and their masks")
    grid = figure.subplots(down, 2 * _ACROSS, squeeze=False)
    for axes in grid.flat:
        axes.axis("off")
    for place, (row, pictures) in enumerate(zip(chosen, pairs, strict=True)):
        both = grid[place // _ACROSS, 2 * (place % _ACROSS) :][:2]
        for axes, pixels in zip(both, pictures, strict=True):
            axes.axis("on")
            show_pixels(axes, pixels)
        name = splits.train.ids[row]
        shown = name if len(name) <= _LONGEST_NAME else f"…{name[1 - _LONGEST_NAME :]}"
        both[0].set_title(shown, fontsize=7, loc="left", parse_math=False)
    _add_legend(figure, splits)
    return save(figure, path)


def chosen_rows(masks: Masks) -> list[int]:
    """Return the rows of examples that show most: those whose turn is in doubt, and the largest of each class.

    The classes are taken from the rarest on; then come the first examples that are not among these.
    """
    rows = [] if masks.turned_alone is None else np.flatnonzero(masks.turned_alone)[: _MOST // 2].tolist()
    pixels = masks.pixels[:, :-1]
    for number in np.argsort((pixels > 0).sum(axis=0), kind="stable").tolist():
        rows.append(int(pixels[:, number].argmax()))
    return list(dict.fromkeys((*rows, *range(len(masks)))))[:_MOST]


def _pair(split: Split, row: int, num_classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Return an image, and the same with its mask laid over, no side longer than is needed."""
    pixels = thumbnail(image(split, row), _LONGEST_SIDE)
    mask = nearest(cast("Masks", split.targets).read(row), (pixels.shape[0], pixels.shape[1]))
    return pixels, overlaid(pixels, mask, num_classes, _SHARE)


def _legend_columns(classes: tuple[str, ...]) -> int:
    """Return how many names stand beside each other."""
    longest = max(len(shortened(name)) for name in classes)
    return max(1, min(8, len(classes), 130 // (longest + 14)))


def _add_legend(figure: Figure, splits: Splits) -> None:
    """Name the colours, with each class's share of the pixels that count."""
    from matplotlib.patches import Patch

    pixels = cast("Masks", splits.train.targets).pixels[:, :-1].sum(axis=0)
    shares = 100 * pixels / max(int(pixels.sum()), 1)
    colours = class_colours(len(splits.classes)) / 255
    patches = [
        Patch(color=colour, label=f"{shortened(name)}: {share:.1f} %")
        for name, colour, share in zip(splits.classes, colours, shares, strict=True)
    ]
    ignored = int(cast("Masks", splits.train.targets).pixels[:, -1].sum())
    left_out = len(patches) - _MOST_IN_LEGEND
    if left_out > 0:
        patches = [*patches[:_MOST_IN_LEGEND], Patch(color="none", label=f"and {left_out} more")]
    if ignored:
        patches.append(Patch(facecolor="none", edgecolor="grey", label="not painted: counts nowhere"))
    legend = figure.legend(
        handles=patches, loc="outside lower center", ncols=_legend_columns(splits.classes), fontsize=8, frameon=False
    )
    for text in legend.get_texts():
        text.set_parse_math(False)
