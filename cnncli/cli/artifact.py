"""An exported network, opened for a command: without TensorFlow where its format allows."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cnncli.serving.artifact import Artifact


def open_artifact(path: Path) -> Artifact:
    """Open an exported network of any kind.

    Raises:
        ExportError: If it cannot be opened, was changed after it was proven, or its runtime is not installed.
    """
    from cnncli.serving.proven import check_proven

    check_proven(path)
    from cnncli.serving import open as plain

    if plain.opens(path):
        return plain.open_artifact(path)
    from cnncli.engine.exporting.open import open_artifact as open_with_tensorflow

    return open_with_tensorflow(path)
