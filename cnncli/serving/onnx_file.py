"""ONNX files, run by onnxruntime."""

from __future__ import annotations

from pathlib import Path

from cnncli.config.schema.tasks import TASKS
from cnncli.errors import ExportError
from cnncli.serving import runtimes
from cnncli.serving.artifact import Artifact
from cnncli.serving.child import Child
from cnncli.serving.description import AGAIN, FILE, Description, missing
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

    description = _description(session.description, path)
    return Artifact("onnx", description, lambda images: _named(session.compute(images), description, path))


def from_child(child: Child, path: Path) -> Artifact:
    """Return the ONNX file that a child process has been started for.

    Raises:
        ExportError: As `open_onnx`; if it takes more than it may.
    """
    description = _description(child.open(), path)
    return Artifact("onnx", description, lambda images: _named(child.compute(images), description, path))


def _named(outputs: runtimes.Named, description: Description, path: Path) -> NamedOutputs:
    """Return outputs by their names, those of the task among them."""
    found = dict(outputs)
    missing_names = [name for name in TASKS[description.task].output_names if name not in found]
    if missing_names:
        has = ", ".join(found)[:100] or "none"
        raise ExportError(f"{path} has no output {', '.join(missing_names)}; it has {has}", AGAIN)
    return found


def _description(text: str | None, path: Path) -> Description:
    if text is None:
        raise missing(str(path))
    return Description.from_json(text, str(path))


assert FILE == runtimes.DESCRIPTION  # noqa: S101 - said twice, for runtimes.py imports nothing of cnncli
