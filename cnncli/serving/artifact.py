"""An exported network that has been opened: what `cnn eval` and `cnn predict` measure and use."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from cnncli.config.schema.tasks import TASKS
from cnncli.errors import CnnError, ExportError
from cnncli.serving.description import AGAIN, Description
from cnncli.serving.preprocessing import to_size
from cnncli.tasks.outputs import NamedOutputs

Pixels = npt.NDArray[np.uint8]
Runtime = Callable[[Pixels], NamedOutputs]

_PIXELS_AT_ONCE = 2**18
"""Most pixels of a batch, so that a large network's activations fit into memory."""

_MOST_AT_ONCE = 256


@dataclass(frozen=True)
class Artifact:
    """An exported network.

    Attributes:
        format: "keras", "saved_model", "litert", "onnx", "python" or "web".
        description: What it says about itself.
        runtime: Its own: uint8 images (number, height, width, channels) to outputs.
    """

    format: str
    description: Description
    runtime: Runtime

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names in the order of the outputs."""
        return self.description.classes

    def outputs(self, images: Pixels) -> dict[str, npt.NDArray[Any]]:
        """Return what the artifact computes for images of any one size.

        Args:
            images: uint8 (number, any height, any width, 1 or 3).
        """
        if not self.takes(images):
            images = to_size(images, self.description)
        # No runtime computes a batch without images; of one, none is kept.
        some = images if len(images) else np.zeros((1, *images.shape[1:]), np.uint8)
        size = max(1, min(_MOST_AT_ONCE, _PIXELS_AT_ONCE // (some.shape[1] * some.shape[2])))
        parts = [self._computed(some[start : start + size]) for start in range(0, len(some), size)]
        return {name: np.concatenate([part[name] for part in parts])[: len(images)] for name in parts[0]}

    def _computed(self, images: Pixels) -> NamedOutputs:
        """Return the outputs for a batch, of the shapes that the artifact's task has."""
        try:
            found = {name: np.asarray(values) for name, values in self.runtime(images).items()}
        except (CnnError, MemoryError):
            raise
        except Exception as error:  # Each runtime has its own, none of them documented.
            raise ExportError(f"the exported network fails ({self.format}): {_first_line(error)}", AGAIN) from error
        task, shapes = TASKS[self.description.task], {name: values.shape for name, values in found.items()}
        problem = task.check_answer(shapes, len(images), len(self.classes)) or _not_numbers(found)
        if problem is not None:
            raise ExportError(f"the exported network's answer cannot be used ({self.format}): {problem}", AGAIN)
        return found

    def takes(self, images: Pixels) -> bool:
        """Whether the artifact itself takes images of this shape."""
        about = self.description
        if images.shape[-1] != about.channels:
            return False
        return about.any_size or images.shape[1:3] == (about.height, about.width)


def _not_numbers(found: NamedOutputs) -> str | None:
    """Return which output holds something else than numbers, or None."""
    for name, values in found.items():
        if values.dtype.kind not in "fiub":
            return f'its output "{name}" holds {values.dtype}, expected numbers'
    return None


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
