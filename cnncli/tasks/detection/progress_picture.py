"""What a detector makes of a few images while it learns: each image with its objects, and with what is detected."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from cnncli.datasets.boxes.targets import NOTHING
from cnncli.datasets.images import Pixels
from cnncli.tasks.colours import class_colours
from cnncli.tasks.detection.decoding import decode
from cnncli.tasks.detection.marks import Mark, corners_of, drawn
from cnncli.tasks.predictions import LEAST_SCORE

LARGEST = 256
"""Height and width beyond which images are thinned out: a picture is kept of every validation."""

SMALLEST = 128
"""Height or width to which small images are enlarged: a box's line is a pixel wide."""

GAP = 2
"""White pixels between two images."""


def progress_picture(
    images: Pixels,
    targets: npt.NDArray[np.float32],
    outputs: Mapping[str, Any],
    num_classes: int,
    nms: str = "none",
) -> Pixels:
    """Return a row for each image: with its objects, dashed, and with the detections, solid.

    Args:
        images: uint8 (images, height, width, channels).
        targets: Their objects, as `Boxes.fit` returns them.
        outputs: Logits by the names of the outputs.
        num_classes: Number of classes.
        nms: As the config's `model.nms`.
    """
    found = decode(outputs, (images.shape[1], images.shape[2]), nms=nms)
    step = -(-max(images.shape[1:3]) // LARGEST)
    rows = []
    for row, image in enumerate(images):
        # A network that diverges ends in boxes that cannot be drawn; its training goes on for a while.
        chosen = (found["scores"][row] >= LEAST_SCORE) & np.isfinite(found["boxes"][row]).all(axis=-1)
        corners, labels = found["boxes"][row][chosen], found["classes"][row][chosen]
        detected = marks_of(corners, labels.tolist(), num_classes, is_dashed=False)
        pair = [
            drawn(image, marks, least_side=SMALLEST) for marks in (object_marks(targets[row], num_classes), detected)
        ]
        rows.append(np.concatenate([_framed(pixels[::step, ::step]) for pixels in pair], axis=1))
    return np.concatenate(rows)[:-GAP, :-GAP]


def object_marks(targets: npt.NDArray[np.float32], num_classes: int) -> list[Mark]:
    """Return the objects of an image, dashed, in their classes' colours.

    Args:
        targets: As `Boxes.fit` returns them, (capacity, 6).
        num_classes: Number of classes.
    """
    some = targets[targets[:, 4] != NOTHING]
    return marks_of(some[:, :4], some[:, 4].astype(int).tolist(), num_classes, is_dashed=True)


def marks_of(
    corners: npt.NDArray[np.floating[Any]], labels: Sequence[int], num_classes: int, is_dashed: bool
) -> list[Mark]:
    """Return boxes (boxes, 4) in their classes' colours."""
    colours = [(red, green, blue) for red, green, blue in class_colours(num_classes).tolist()]
    boxes = zip(corners_of(np.asarray(corners, np.float64)), labels, strict=True)
    return [Mark(box, colours[label], is_dashed=is_dashed) for box, label in boxes]


def _framed(pixels: Pixels) -> Pixels:
    return np.pad(pixels, ((0, GAP), (0, GAP), (0, 0)), constant_values=255)
