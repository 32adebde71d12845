"""What an exported network returns: the outputs of its task, by their names."""

from collections.abc import Mapping
from typing import Any

import numpy.typing as npt

NamedOutputs = Mapping[str, npt.NDArray[Any]]
"""For a batch of images, an array (images, …) for each name; see `TaskSpec.output_names`."""

BATCH_SIZE = 256
"""Images computed together, where each ends in a few numbers."""

_MOST_PIXELS = 2**21


def images_together(image_size: tuple[int, int], has_places: bool) -> int:
    """Return how many images a network computes at a time.

    Args:
        image_size: Height and width that it reads.
        has_places: Whether it ends in planes, several numbers for every pixel: of these, fewer fit into memory.
    """
    if not has_places:
        return BATCH_SIZE
    fitting = max(1, _MOST_PIXELS // (image_size[0] * image_size[1]))
    return min(BATCH_SIZE, 1 << (fitting.bit_length() - 1))
