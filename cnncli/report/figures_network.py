"""Figures of a network's inside: kernels, and what the layers make of an image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cnncli.layers import VOCABULARY
from cnncli.report.figures import AMOUNT, SIGNED, bare, mosaic, new_figure, shortened, show_pixels, tile_ticks
from cnncli.report.numbers import size

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    Floats = npt.NDArray[np.floating[Any]]


MOST_FILTERS = 64
MOST_ACROSS = 16
MOST_LAYERS = 16
"""Layers that are drawn below each other; of a deeper network, as many spread evenly."""
MOST_CHANNELS = 10


@dataclass(frozen=True)
class Kernels:
    """The filters of one layer.

    Attributes:
        layer: The layer's name.
        kind: Its type.
        weights: (height, width, channels seen, filters).
    """

    layer: str
    kind: str
    weights: Floats


@dataclass(frozen=True)
class FeatureMaps:
    """What one layer makes of one image.

    Attributes:
        layer: The layer's name.
        kind: Its type.
        values: (height, width, channels), or (values,) after the image's plane is gone.
    """

    layer: str
    kind: str
    values: Floats


def kernels_figure(kernels: Kernels) -> Figure:
    """Draw a layer's filters: as numbers where they are few, in colour where they see colour, else in signed colours.

    Filters that see many channels take a row each, with a column for each channel.
    """
    height, width, channels, filters = kernels.weights.shape
    text = f"{kernels.layer}: {filters} filters of {size((height, width, channels))}"
    if channels == 1:
        return _grey_kernels(kernels, text)
    if channels == 3:
        return _colour_kernels(kernels, text)
    return _deep_kernels(kernels, text)


def _grey_kernels(kernels: Kernels, text: str) -> Figure:
    import numpy as np

    tiles = np.moveaxis(kernels.weights[:, :, 0], -1, 0)[:MOST_FILTERS]
    height, width = tiles.shape[1:]
    numbered = len(tiles) <= 12 and max(height, width) <= 5
    columns = min(len(tiles), 4 if numbered else 8)
    rows = -(-len(tiles) // columns)
    cell = 0.45 * width if numbered else 1.0
    heading = _titled(text, len(tiles), kernels)
    figure = new_figure(max(columns * cell + 1.6, 5.0), rows * (cell * height / width + 0.3) + 0.8, heading)
    grid = figure.subplots(rows, columns, squeeze=False)
    limit = float(np.abs(tiles).max()) or 1.0
    for index, axes in enumerate(grid.reshape(-1)):
        bare(axes)
        if index < len(tiles):
            axes.imshow(tiles[index], cmap=SIGNED, vmin=-limit, vmax=limit)
            axes.set_title(str(index), fontsize=8)
            if numbered:
                _write_numbers(axes, tiles[index], limit)
    figure.colorbar(grid[0, 0].images[0], ax=grid, label="weight", shrink=0.8)
    return figure


def _write_numbers(axes: Axes, weights: npt.NDArray[np.float32], limit: float) -> None:
    whole = bool((weights == weights.round()).all())
    for row, values in enumerate(weights.tolist()):
        for column, value in enumerate(values):
            colour = "white" if abs(value) > 0.6 * limit else "black"
            text = (f"{value:.0f}" if whole else f"{round(value, 2) + 0:.2f}").replace("-", "−")
            axes.text(column, row, text, ha="center", va="center", fontsize=8, color=colour)


def _colour_kernels(kernels: Kernels, text: str) -> Figure:
    import numpy as np

    tiles = np.moveaxis(kernels.weights, -1, 0)[:MOST_FILTERS]
    columns = min(len(tiles), 12)
    rows = -(-len(tiles) // columns)
    limit = np.abs(tiles).max(axis=(1, 2, 3), keepdims=True)
    scaled = 0.5 + np.divide(tiles, 2 * limit, out=np.zeros_like(tiles), where=limit > 0)
    canvas = np.nan_to_num(mosaic(scaled, columns), nan=1.0)
    title = _titled(text, len(tiles), kernels)
    figure = new_figure(max(columns * 0.8 + 0.6, 4.5), rows * 0.8 + 0.9, title)
    axes = figure.subplots()
    axes.imshow(canvas)
    tile_ticks(axes, [], [str(row * columns) for row in range(rows)], (tiles.shape[1], tiles.shape[2]))
    axes.set_xlabel("red, green, blue weights as colours; grey is 0, each filter on its own scale", fontsize=8)
    return figure


def _deep_kernels(kernels: Kernels, text: str) -> Figure:
    import numpy as np

    height, width, channels, filters = kernels.weights.shape
    down, across = min(filters, MOST_ACROSS), min(channels, MOST_ACROSS)
    part = kernels.weights[:, :, :across, :down]
    tiles = part.transpose(3, 2, 0, 1).reshape(down * across, height, width)
    limit = float(np.abs(tiles).max()) or 1.0
    cell = 0.5
    shown = "" if (down, across) == (filters, channels) else f"; the first {down} filters and {across} channels"
    figure = new_figure(max(across * cell + 2.0, 4.5), down * cell + 1.3, text + shown)
    axes = figure.subplots()
    drawn = axes.imshow(mosaic(tiles, across), cmap=SIGNED, vmin=-limit, vmax=limit)
    tile_ticks(axes, list(map(str, range(across))), list(map(str, range(down))), (height, width))
    axes.set_xlabel("input channel", fontsize=9)
    axes.set_ylabel("filter", fontsize=9)
    figure.colorbar(drawn, ax=axes, label="weight", shrink=0.6)
    return figure


def _titled(text: str, shown: int, kernels: Kernels) -> str:
    return text if shown == kernels.weights.shape[-1] else f"{text}; the first {shown}"


def activations_figure(
    image: npt.NDArray[np.uint8], maps: Sequence[FeatureMaps], ranking: Sequence[tuple[str, float]], title: str
) -> Figure:
    """Draw an image on its way through the whole network, a row for each layer.

    Args:
        image: uint8 (height, width, channels) of the network's size.
        maps: What the layers make of it.
        ranking: The most probable classes and their probabilities; empty where the network does not end in such.
        title: What the image is.
    """
    chosen = _spread(maps, MOST_LAYERS)
    left_out = f"; {len(chosen)} of {len(maps)} layers" if len(chosen) < len(maps) else ""
    heights = [1.5, *(1.0 if one.values.ndim == 3 else 0.5 for one in chosen)]
    heights += [1.3] if ranking else []
    figure = new_figure(9.0, 0.9 * sum(heights) + 0.6, title + left_out)
    grid = figure.add_gridspec(len(heights), 1, height_ratios=heights)
    top = figure.add_subplot(grid[0])
    show_pixels(top, image)
    top.set_anchor("W")
    _row_label(top, f"image\n{size(image.shape)}")
    for row, one in enumerate(chosen, start=1):
        _draw_maps(figure.add_subplot(grid[row]), one)
    if ranking:
        _draw_ranking(figure.add_subplot(grid[-1]), ranking)
    return figure


def layer_figure(maps: FeatureMaps, title: str) -> Figure:
    """Draw all channels of one layer, up to 64."""
    import numpy as np

    if maps.values.ndim != 3:
        figure = new_figure(9.0, 1.8, title)
        _draw_maps(figure.subplots(), maps)
        return figure
    tiles = np.moveaxis(maps.values, -1, 0)[:MOST_FILTERS]
    columns = min(len(tiles), 8)
    rows = -(-len(tiles) // columns)
    remark = "" if len(tiles) == maps.values.shape[-1] else f"; the first {len(tiles)}"
    figure = new_figure(max(columns * 1.1 + 1.3, 4.5), rows * 1.1 + 1.0, f"{title}: {size(maps.values.shape)}{remark}")
    axes = figure.subplots()
    drawn = axes.imshow(mosaic(tiles, columns), cmap=AMOUNT)
    tile_ticks(axes, [], [str(row * columns) for row in range(rows)], (tiles.shape[1], tiles.shape[2]))
    axes.set_ylabel("first channel of the row", fontsize=9)
    figure.colorbar(drawn, ax=axes, label="activation", shrink=0.8)
    return figure


def _spread(maps: Sequence[FeatureMaps], most: int) -> list[FeatureMaps]:
    """Return at most so many, first and last among them; layers that only prepare others go first."""
    if len(maps) <= most:
        return list(maps)
    maps = [one for one in maps if not (one.kind in VOCABULARY and VOCABULARY[one.kind].looks_like_its_input)]
    most = min(most, len(maps))
    return [maps[round(i * (len(maps) - 1) / (most - 1))] for i in range(most)]


def _draw_maps(axes: Axes, maps: FeatureMaps) -> None:
    """Draw the first channels side by side, or a vector as a strip, from the layer's lowest value to its highest."""
    import numpy as np

    values = maps.values
    bare(axes)
    if values.ndim == 3:
        shown = min(values.shape[-1], MOST_CHANNELS)
        # Small maps are enlarged, so that the gap of a pixel between them stays narrow.
        factor = max(1, 28 // values.shape[0])
        tiles = np.moveaxis(values, -1, 0)[:shown].repeat(factor, axis=1).repeat(factor, axis=2)
        axes.imshow(mosaic(tiles, MOST_CHANNELS), cmap=AMOUNT)
        axes.set_anchor("W")
    else:
        axes.imshow(values.reshape(1, -1), cmap=AMOUNT, aspect="auto")
    _row_label(axes, f"{shortened(maps.layer)}\n{maps.kind}\n{size(values.shape)}")


def _row_label(axes: Axes, text: str) -> None:
    axes.set_ylabel(text, rotation=0, ha="right", va="center", fontsize=8, parse_math=False)


def _draw_ranking(axes: Axes, ranking: Sequence[tuple[str, float]]) -> None:
    names = [shortened(name) for name, _ in ranking]
    values = [value for _, value in ranking]
    axes.barh(range(len(ranking)), values, color="#31688e")
    axes.set_yticks(range(len(ranking)), names, fontsize=8, parse_math=False)
    axes.invert_yaxis()
    axes.set_xlim(0, 1)
    axes.tick_params(labelsize=8)
    axes.set_xlabel("probability", fontsize=8)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
