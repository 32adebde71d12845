"""Artifacts of strangers that are opened in this process, with a limit on the memory that they take.

TensorFlow is slow to start and large, so its artifacts are not opened in a child as others are (`child.py`): they are
bounded by what the system gives this process. Nothing limits their time; TensorFlow itself asks again for ten seconds
for memory that it was refused.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np

from cnncli.errors import CnnError
from cnncli.resources import at_most
from cnncli.serving.artifact import Artifact, Pixels
from cnncli.serving.child import Limits, too_much
from cnncli.tasks.outputs import NamedOutputs

MEMORY = 500_000_000
"""Bytes that TensorFlow may take beside the artifact, for the graphs that it makes of a network."""

PER_CORE = 64_000_000
"""Bytes for the stacks of the threads that it starts for each core, and for what the C library keeps for them."""

DECODING, DECODING_PER_CORE = 1_000_000_000, 200_000_000
"""Bytes that this process may take while the network computes: for the largest image, and for one on each core."""

SIGNS = ("MemoryError", "ResourceExhaustedError")
"""Names of what is raised where memory is refused."""


def bounded(path: Path, opened: Callable[[Path], Artifact]) -> Artifact:
    """Open an artifact with limited memory; so is every answer of its.

    Raises:
        ExportError: If it needs more, or what opening it raises.
    """
    size = sum(file.stat().st_size for file in ([path] if path.is_file() else path.rglob("*")) if file.is_file())
    with _limited(path, Limits.of(size)):
        artifact = opened(path)

    def compute(images: Pixels) -> NamedOutputs:
        beside = DECODING + DECODING_PER_CORE * (os.cpu_count() or 1)
        with _limited(path, Limits.of(size, int(np.prod(images.shape[:3]))), beside):
            return artifact.runtime(images)

    return replace(artifact, runtime=compute)


@contextmanager
def _limited(path: Path, limits: Limits, beside: int = 0) -> Iterator[None]:
    try:
        with at_most(MEMORY + PER_CORE * (os.cpu_count() or 1) + limits.memory + beside):
            yield
    except Exception as error:
        if _is_refusal(error):
            raise too_much(path, limits) from error
        raise


def _is_refusal(error: BaseException | None) -> bool:
    """Whether memory was refused, be it that an error of ours says what was being done."""
    if type(error).__name__ in SIGNS:
        return True
    return isinstance(error, CnnError) and _is_refusal(error.__cause__)
