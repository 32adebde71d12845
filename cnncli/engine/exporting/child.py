"""The child process in which TensorFlow opens a stranger's artifact; `serving.child` starts and watches it."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cnncli.errors import CnnError
from cnncli.serving.runtimes import Pixels, Session, serve

REFUSALS = ("MemoryError", "ResourceExhaustedError")
"""Names of what is raised where memory is refused."""


def load(*, trust: bool) -> Callable[[str], Session]:
    """Load TensorFlow and return what opens an artifact.

    Args:
        trust: Whether a SavedModel may do more than compute.
    """
    # As in the command itself: looking for garbage often would take a tenth of the time.
    gc.set_threshold(200_000)
    from cnncli.engine.exporting.open import open_artifact

    def opened(path: str) -> Session:
        artifact = open_artifact(Path(path), trust=trust)

        def compute(images: Pixels) -> list[tuple[str, Any]]:
            return list(artifact.runtime(images).items())

        return Session(artifact.description.to_json(), compute)

    return opened


def told(error: Exception) -> dict[str, Any]:
    """Return what the parent hears of an error: one of ours as it is, whatever else in its first line."""
    if _is_refusal(error):
        return {"error": "memory", "memory": True}
    if isinstance(error, CnnError):
        return {"error": error.message, "hint": error.hint, "known": True}
    return {"error": (str(error).strip().splitlines() or [type(error).__name__])[0][:300]}


def _is_refusal(error: BaseException | None) -> bool:
    """Whether memory was refused, be it that an error of ours says what was being done."""
    if type(error).__name__ in REFUSALS:
        return True
    return isinstance(error, CnnError) and _is_refusal(error.__cause__)


if __name__ == "__main__":
    serve(lambda: load(trust=sys.argv[2] == "trust"), sys.argv[1], told, writes=True)
