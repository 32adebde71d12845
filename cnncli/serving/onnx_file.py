"""ONNX files, run by onnxruntime."""

from __future__ import annotations

from pathlib import Path

from cnncli.errors import ExportError
from cnncli.serving import runtimes
from cnncli.serving.artifact import Artifact, Pixels
from cnncli.serving.child import Child
from cnncli.serving.description import FILE, Description, missing
from cnncli.serving.packages import require
from cnncli.tasks.outputs import NamedOutputs


def open_onnx(path: Path) -> Artifact:
    """Open an ONNX file that is ours, in this process.

    Raises:
        ExportError: If onnxruntime is not installed, or the file is damaged or says nothing about itself.
    """
    require("onnxruntime")
    try:
        session = runtimes.onnx(str(path))
    except Exception as error:
        raise ExportError(f"onnxruntime cannot run {path}: {str(error)[:200]}") from error

    def compute(images: Pixels) -> NamedOutputs:
        return dict(session.compute(images))

    return Artifact("onnx", _description(session.description, path), compute)


def from_child(child: Child, path: Path) -> Artifact:
    """Return the ONNX file that a child process has been started for.

    Raises:
        ExportError: As `open_onnx`; if it takes more than it may.
    """

    def compute(images: Pixels) -> NamedOutputs:
        return dict(child.compute(images))

    return Artifact("onnx", _description(child.open(), path), compute)


def _description(text: str | None, path: Path) -> Description:
    if text is None:
        raise missing(str(path))
    return Description.from_json(text, str(path))


assert FILE == runtimes.DESCRIPTION  # noqa: S101 - said twice, for runtimes.py imports nothing of cnncli
