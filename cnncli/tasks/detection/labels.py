"""The objects of a split as a whole: where their centres are, how large they are, how many there are of each class."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, cast

import numpy as np
import numpy.typing as npt

from cnncli.datasets.boxes.targets import Boxes
from cnncli.datasets.splits import Split, Splits
from cnncli.report.figures import AMOUNT, new_figure, save, shortened
from cnncli.tasks.colours import class_colours

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PLACES = 40
"""Places along the longer side of the images in which centres are counted."""

MOST_POINTS = 4000
"""Boxes whose sizes are drawn: of more, every so many."""

MOST_CLASSES = 24
"""Classes that are drawn, those with most objects; the others are told to be left out."""

_MARKERS = "os^DvP*X"
"""Of further rounds of the colours: what has the same colour has another form."""

_COLOURS = 8
_WIDE = 25
"""Largest width or height, in smallest ones, from which on both have a logarithmic axis."""


class Labels(NamedTuple):
    """All objects of a split.

    Attributes:
        centres: x and y as shares of the image's width and height: (objects, 2).
        sides: Widths and heights in pixels of the original images: (objects, 2).
        labels: Class numbers, (objects,).
        aspect: Median height over width of the images.
    """

    centres: npt.NDArray[np.float64]
    sides: npt.NDArray[np.float64]
    labels: npt.NDArray[np.int64]
    aspect: float

    @classmethod
    def of(cls, boxes: Boxes) -> Labels:
        """Return the objects of all images."""
        corners = np.concatenate([np.zeros((0, 4)), *(own.corners for own in boxes.objects)])
        labels = np.concatenate([np.zeros(0, np.int64), *(own.labels for own in boxes.objects)])
        sizes = np.array([own.size for own in boxes.objects], np.float64).reshape(-1, 2)
        of_objects = np.repeat(sizes, [len(own.labels) for own in boxes.objects], axis=0)
        centres = (corners[:, :2] + corners[:, 2:]) / 2 / of_objects[:, ::-1]
        aspect = float(np.median(sizes[:, 0] / sizes[:, 1])) if len(sizes) else 1.0
        return cls(centres, corners[:, 2:] - corners[:, :2], labels, aspect)

    def density(self) -> npt.NDArray[np.float64]:
        """Return the number of centres in each place of the images: (rows, columns)."""
        columns = max(1, round(PLACES / max(1.0, self.aspect)))
        rows = max(1, round(PLACES * min(1.0, self.aspect)))
        x, y = self.centres.T
        found, _, _ = np.histogram2d(y, x, bins=[rows, columns], range=[[0.0, 1.0], [0.0, 1.0]])
        return cast("npt.NDArray[np.float64]", found)


def draw_labels(splits: Splits, path: Path) -> Path:
    """Write a PNG of the training split's objects: `cnn data --labels`.

    Raises:
        CnnError: If the file cannot be written.
    """
    return save(labels_figure(splits.train, splits.classes), path)


def labels_figure(split: Split, classes: tuple[str, ...]) -> Figure:
    """Draw where the centres of a split's objects are, widths and heights of their boxes, and how many a class has."""
    found = Labels.of(cast("Boxes", split.targets))
    numbers = np.bincount(found.labels, minlength=len(classes))
    shown = sorted(np.argsort(-numbers, kind="stable")[:MOST_CLASSES].tolist())
    title = f"{len(found.labels):,} objects in the {len(split):,} images of {split.name}"
    figure = new_figure(12, max(4.2, 0.2 * len(shown) + 1.4), title)
    places, sizes, counts = figure.subplots(1, 3, width_ratios=(1.15, 1, 1))
    _draw_places(figure, places, found)
    _draw_sizes(sizes, found, shown, len(classes))
    _draw_counts(counts, numbers, shown, classes)
    return figure


def _draw_places(figure: Figure, axes: Axes, found: Labels) -> None:
    from matplotlib.ticker import MaxNLocator

    density = found.density()
    drawn = axes.imshow(
        density, cmap=AMOUNT, vmin=0, vmax=max(1, density.max()), extent=(0, 1, 1, 0), aspect=found.aspect
    )
    axes.set(title="Centres", xlabel="share of the width", ylabel="share of the height")
    ticks = MaxNLocator(6, integer=True)
    figure.colorbar(drawn, ax=axes, label="objects", shrink=0.8 * min(1.0, found.aspect), ticks=ticks)


def _draw_sizes(axes: Axes, found: Labels, shown: list[int], num_classes: int) -> None:
    """Draw a point for each box, those of rare classes over those of frequent ones."""
    step = -(-max(len(found.labels), 1) // MOST_POINTS)
    sides, labels, colours = found.sides[::step], found.labels[::step], class_colours(num_classes) / 255
    for label in sorted(shown, key=lambda label: -int((labels == label).sum())):
        widths, heights = sides[labels == label].T
        marker = _MARKERS[label // _COLOURS % len(_MARKERS)]
        axes.scatter(widths, heights, s=14, marker=marker, color=colours[label], alpha=0.6, linewidths=0)
    axes.set(title="Boxes", xlabel="width in pixels", ylabel="height in pixels")
    axes.grid(alpha=0.3)
    largest = sides.max(axis=0, initial=1.0)
    if (largest > _WIDE * sides.min(axis=0, initial=float(largest.max()))).any():
        axes.set(xscale="log", yscale="log")
        axes.xaxis.set_major_formatter("{x:g}")
        axes.yaxis.set_major_formatter("{x:g}")
    else:
        axes.set(xlim=(0, 1.05 * largest[0]), ylim=(0, 1.05 * largest[1]))


def _draw_counts(axes: Axes, numbers: npt.NDArray[np.int64], shown: list[int], classes: tuple[str, ...]) -> None:
    """Draw a bar for each class, with its colour and mark in the other picture: this is the legend."""
    colours, places = class_colours(len(classes)) / 255, range(len(shown))
    bars = axes.barh(places, numbers[shown], color=colours[shown], edgecolor="#888888", linewidth=0.5)
    axes.bar_label(bars, labels=[f"{numbers[label]:,}" for label in shown], padding=3, fontsize=8)
    for place, label in zip(places, shown, strict=True):
        marker = _MARKERS[label // _COLOURS % len(_MARKERS)]
        axes.plot(-0.03, place, marker, color=colours[label], transform=axes.get_yaxis_transform(), clip_on=False)
    axes.set_yticks(places, [shortened(classes[label]) for label in shown], parse_math=False)
    axes.tick_params(axis="y", length=0, pad=14)
    left_out = len(classes) - len(shown)
    axes.set(title="Classes" + (f" (and {left_out:,} more)" if left_out else ""), xlabel="objects")
    axes.set_xlim(0, 1.15 * max(1, numbers.max(initial=0)))
    axes.invert_yaxis()
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
