"""An exported network, opened for a command: what a stranger may have made, in a child process."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cnncli.serving.artifact import Artifact


def open_artifact(path: Path, *, trust: bool = False) -> Artifact:
    """Open an exported network of any kind.

    Args:
        path: The artifact.
        trust: Whether one that is a program may be run.

    Raises:
        ExportError: If it cannot be opened, was changed after it was proven, is for a task that is not known, its
            runtime is not installed, or it is a program and not trusted.
    """
    artifact = _opened(path, trust=trust)
    artifact.description.require_known_task(str(path))
    return artifact


def _opened(path: Path, *, trust: bool) -> Artifact:
    from cnncli.serving.kinds import APART, refuse_program, require_kind
    from cnncli.serving.packages import require
    from cnncli.serving.proven import check_proven

    if not trust:
        refuse_program(path)
    kind = require_kind(path)
    check_proven(path)
    if kind in APART:
        require(APART[kind])
        from cnncli.serving.child import Child

        # The runtime is loaded there while the rest is here.
        child = Child(kind, path, trust=trust)
        from cnncli.serving.open import from_child

        return from_child(child, kind, path)
    from cnncli.serving import open as plain

    if plain.opens(path):
        return plain.open_artifact(path)
    from cnncli.engine.exporting.open import open_python

    return open_python(path)
