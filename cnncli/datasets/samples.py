"""A grid of examples with their labels, for a look at the data."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np

from cnncli.datasets.images import Pixels
from cnncli.datasets.splits import Splits, image
from cnncli.errors import DataError
from cnncli.files import durable
from cnncli.files.output import output

_COLUMNS = 10
_MAX_CLASSES = 20


def draw(splits: Splits, path: Path) -> Path:
    """Write a PNG with a row of training images for each of the first classes.

    The images are drawn as they are stored, in the config's channels.

    Raises:
        DataError: If the file cannot be written.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    classes = splits.classes[:_MAX_CLASSES] if splits.train.targets.strata() is not None else ("all",)
    figure = Figure(figsize=(_COLUMNS + 1.5, len(classes) * 1.05 + 0.5), layout="constrained")
    FigureCanvasAgg(figure)
    grid = figure.subplots(len(classes), _COLUMNS, squeeze=False)
    strata = splits.train.targets.strata()
    for label, row in enumerate(grid):
        rows = np.arange(len(splits.train)) if strata is None else np.flatnonzero(strata == label)
        for place, axes in enumerate(row):
            axes.set_xticks([])
            axes.set_yticks([])
            axes.set_frame_on(False)
            if place < len(rows):
                axes.imshow(_shown(image(splits.train, int(rows[place]))), cmap="gray", vmin=0, vmax=255)
        label_text = f"{classes[label]}\n{len(rows):,}"
        row[0].set_ylabel(label_text, rotation=0, ha="right", va="center", parse_math=False)
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=100)
    try:
        with output(path) as file:
            durable.write(file, content.getbuffer())
    except OSError as error:
        raise DataError(f"{path} cannot be written: {error.strerror or error}") from error
    return path


def _shown(pixels: Pixels) -> Pixels:
    return pixels[..., 0] if pixels.shape[-1] == 1 else pixels
