"""What a network makes of a few images while it learns: each image, its mask and the prediction side by side."""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil
from typing import Any

import numpy as np
import numpy.typing as npt

from cnncli.config.schema.tasks import MASK
from cnncli.datasets.images import Pixels
from cnncli.tasks.colours import overlaid
from cnncli.tasks.segmentation.planes import class_planes, resized

LARGEST = 128
"""Height and width beyond which images are thinned out: a picture is kept of every validation."""

GAP = 2
"""White pixels between two images."""


def progress_picture(images: Pixels, masks: npt.NDArray[np.uint8], outputs: Any, num_classes: int) -> Pixels:
    """Return a row for each image: itself, its mask laid over it, the prediction laid over it.

    Args:
        images: uint8 (images, height, width, channels).
        masks: Class numbers of their pixels.
        outputs: Logits of whatever places, or several by the names of the outputs.
        num_classes: Number of classes.
    """
    logits = outputs[MASK] if isinstance(outputs, Mapping) else outputs
    size = images.shape[1], images.shape[2]
    step = ceil(max(size) / LARGEST)
    rows = []
    for image, mask, values in zip(images, masks, logits, strict=True):
        predicted = resized(class_planes(values), size).argmax(axis=0).astype(np.uint8)
        parts = [image.repeat(3 // image.shape[-1], axis=-1)]
        parts += [overlaid(image, laid, num_classes) for laid in (mask, predicted)]
        rows.append(np.concatenate([_framed(part[::step, ::step]) for part in parts], axis=1))
    return np.concatenate(rows)[:-GAP, :-GAP]


def _framed(pixels: Pixels) -> Pixels:
    return np.pad(pixels, ((0, GAP), (0, GAP), (0, 0)), constant_values=255)
