"""An artifact's path → the artifact, where no TensorFlow is needed."""

from __future__ import annotations

from pathlib import Path

from cnncli.serving.artifact import Artifact
from cnncli.serving.child import TENSORFLOW, Child
from cnncli.serving.description import Description
from cnncli.serving.kinds import PLAIN, require_kind


def opens(path: Path) -> bool:
    """Whether the artifact at a path is opened without TensorFlow."""
    return require_kind(path) in PLAIN


def from_child(child: Child, kind: str, path: Path) -> Artifact:
    """Return the artifact that a child process has been started for.

    Raises:
        ExportError: If it cannot be opened, or takes more than it may.
    """
    if kind in TENSORFLOW:
        description = Description.from_json(child.open() or "", str(path))
        return Artifact(kind, description, lambda images: dict(child.compute(images)))
    if kind == "onnx":
        from cnncli.serving import onnx_file

        return onnx_file.from_child(child, path)
    from cnncli.serving import litert_file

    return litert_file.from_child(child, path)


def open_artifact(path: Path) -> Artifact:
    """Open an artifact that needs no TensorFlow and is ours, in this process.

    Raises:
        ExportError: If it cannot be opened, or its runtime is not installed.
    """
    kind = require_kind(path)
    if kind == "onnx":
        from cnncli.serving.onnx_file import open_onnx

        return open_onnx(path)
    if kind == "litert":
        from cnncli.serving.litert_file import open_litert

        return open_litert(path)
    from cnncli.serving.web_page import open_web

    return open_web(path)
