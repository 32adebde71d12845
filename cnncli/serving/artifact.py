"""An exported network that has been opened: what `cnn eval` and `cnn predict` ask."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cnncli.serving.description import Description
from cnncli.serving.preprocessing import to_size

Pixels = npt.NDArray[np.uint8]
Probabilities = npt.NDArray[np.float32]
Answer = Callable[[Pixels], Probabilities]

_PIXELS_AT_ONCE = 2**18
"""Most pixels of a batch, so that a large network's activations fit into memory."""

_MOST_AT_ONCE = 256


@dataclass(frozen=True)
class Artifact:
    """An exported network.

    Attributes:
        format: "keras", "saved_model", "litert", "onnx", "python" or "web".
        description: What it says about itself.
        answer: Its own runtime: uint8 images (number, height, width, channels) to probabilities (number, classes).
    """

    format: str
    description: Description
    answer: Answer

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names in the order of the probabilities."""
        return self.description.classes

    def probabilities(self, images: Pixels) -> Probabilities:
        """Return the probabilities (number, classes) of images of any one size.

        Args:
            images: uint8 (number, any height, any width, 1 or 3).
        """
        if not self.takes(images):
            images = to_size(images, self.description)
        size = max(1, min(_MOST_AT_ONCE, _PIXELS_AT_ONCE // (images.shape[1] * images.shape[2])))
        parts = [self.answer(images[start : start + size]) for start in range(0, len(images), size)]
        return np.concatenate(parts) if parts else np.empty((0, len(self.classes)), np.float32)

    def outputs(self, images: Pixels) -> dict[str, npt.NDArray[np.float32]]:
        """Return everything that the artifact answers for images of any one size, by name."""
        return {"probabilities": self.probabilities(images)}

    def takes(self, images: Pixels) -> bool:
        """Whether the artifact itself takes images of this shape."""
        about = self.description
        if images.shape[-1] != about.channels:
            return False
        return about.any_size or images.shape[1:3] == (about.height, about.width)
