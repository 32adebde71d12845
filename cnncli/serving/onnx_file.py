"""ONNX files, run by onnxruntime."""

from __future__ import annotations

from pathlib import Path

from cnncli.errors import ExportError
from cnncli.serving.artifact import Answer, Artifact, Pixels, Probabilities
from cnncli.serving.description import FILE, Description, missing
from cnncli.serving.packages import require


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
    return Artifact("onnx", Description.from_json(properties[FILE], str(path)), _answer(session))


def _answer(session: object) -> Answer:
    def answer(images: Pixels) -> Probabilities:
        found: Probabilities = session.run(["probabilities"], {"images": images})[0]  # type: ignore[attr-defined]
        return found

    return answer
