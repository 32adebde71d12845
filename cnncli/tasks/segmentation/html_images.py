"""The encoded pictures of segmentation's sections: examples with their masks laid over them."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from cnncli.datasets.images import Pixels, thumbnail
from cnncli.datasets.masks.targets import nearest
from cnncli.report.figures_pixels import encoded, photo
from cnncli.report.html_material import Image
from cnncli.tasks.colours import overlaid
from cnncli.tasks.pages import EvaluatedSplit
from cnncli.tasks.segmentation.examples import SegmentedExample, image_ious, legend, segmented, split_classes, worst
from cnncli.tasks.segmentation.html import ExamplePictures, MaskPictures

MOST_SHOWN = 8
"""Examples of a kind."""

LONGEST_SIDE = 240


def example_pictures(evaluated: EvaluatedSplit) -> ExamplePictures:
    """Return the examples with the lowest IoU and the first ones."""
    classes, ious = split_classes(evaluated), image_ious(evaluated)
    rows = list(dict.fromkeys((*worst(ious, MOST_SHOWN), *range(min(MOST_SHOWN, len(ious))))))
    found = dict(zip(rows, segmented(evaluated, rows, ious), strict=True))

    def drawn(rows: Iterable[int]) -> tuple[MaskPictures, ...]:
        return tuple(_pictures(found[row], classes) for row in rows)

    return ExamplePictures(
        drawn(worst(ious, MOST_SHOWN)),
        drawn(range(min(MOST_SHOWN, len(ious)))),
        tuple(legend(list(found.values()), classes, errors=True)),
    )


def _pictures(example: SegmentedExample, classes: tuple[str, ...]) -> MaskPictures:
    small = thumbnail(example.pixels, LONGEST_SIDE)
    size = (small.shape[0], small.shape[1])
    truth, predicted = (
        overlaid(small, nearest(mask, size), len(classes)) for mask in (example.truth, example.predicted)
    )
    errors = _shrunk(example.errors(), size)
    name = example.caption
    return MaskPictures(
        (
            Image(photo(small), f"Image {name}"),
            Image(photo(truth), f"Mask of {name}"),
            Image(photo(predicted), f"Prediction for {name}"),
            Image(encoded(errors), f"Errors in {name}"),
        ),
        name,
    )


def _shrunk(pixels: Pixels, size: tuple[int, int]) -> Pixels:
    """Return colours that stand for something in another size, each the nearest pixel's."""
    return np.stack([nearest(pixels[..., channel], size) for channel in range(3)], axis=-1)
