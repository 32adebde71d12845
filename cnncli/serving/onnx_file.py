"""ONNX files, run by onnxruntime."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cnncli.config.schema.tasks import TASKS
from cnncli.errors import ExportError
from cnncli.serving.artifact import Artifact, Pixels, Runtime
from cnncli.serving.description import AGAIN, FILE, Description, missing
from cnncli.serving.packages import require
from cnncli.tasks.outputs import NamedOutputs


def open_onnx(path: Path) -> Artifact:
    """Open an ONNX file that `cnn export` wrote.

    Raises:
        ExportError: If onnxruntime is not installed, or the file is damaged or says nothing about itself.
    """
    require("onnxruntime")
    import onnxruntime

    try:
        session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    except Exception as error:
        raise ExportError(f"onnxruntime cannot run {path}: {str(error)[:200]}") from error
    properties = session.get_modelmeta().custom_metadata_map
    if FILE not in properties:
        raise missing(str(path))
    description = Description.from_json(properties[FILE], str(path))
    inputs, outputs = ([part.name for part in parts] for parts in (session.get_inputs(), session.get_outputs()))
    names = TASKS[description.task].output_names
    if inputs != ["images"] or not set(names) <= set(outputs):
        raise ExportError(
            f"{path} takes {', '.join(inputs) or 'nothing'} and returns {', '.join(outputs) or 'nothing'}, "
            f"expected images and {', '.join(names)}",
            AGAIN,
        )
    return Artifact("onnx", description, _runtime(session))


def _runtime(session: Any) -> Runtime:
    names = [output.name for output in session.get_outputs()]

    def compute(images: Pixels) -> NamedOutputs:
        return dict(zip(names, session.run(names, {"images": images}), strict=True))

    return compute
