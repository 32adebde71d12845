"""Which runtime computes the source of an import, for a comparison with what was imported."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from cnncli.importing.graph import GraphImportError

Runtime = Literal["onnxruntime", "keras"]

_FOREIGN = {".prototxt": "Caffe", ".cfg": "Darknet"}


def runtime_of(path: Path, *, trust: bool) -> Runtime:
    """Return what computes a file.

    Args:
        path: The file that is imported.
        trust: Whether Keras may build what a .keras file names.

    Raises:
        GraphImportError: If nothing that can be installed beside cnn does, it is not installed, or Keras may not.
    """
    suffix = path.suffix.lower()
    if suffix == ".onnx":
        if find_spec("onnxruntime") is None:
            raise GraphImportError("--check: onnxruntime is not installed", "pip install 'cnncli[onnx]'")
        return "onnxruntime"
    if suffix == ".keras":
        if not trust:
            raise GraphImportError(
                f"--check: Keras itself would build the layers that {path} names, and such a file can be a program",
                "Give --trust if you know where it comes from.",
            )
        return "keras"
    runtime = _FOREIGN.get(suffix, "a program that has the network: weights alone compute nothing")
    raise GraphImportError(
        f"--check: {path} cannot be computed here: it needs {runtime}", "--check is for .onnx and .keras files."
    )
