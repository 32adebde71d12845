"""LiteRT files, run by ai-edge-litert."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from cnncli.config.schema.tasks import TASKS
from cnncli.errors import ExportError
from cnncli.plural import counted
from cnncli.serving.artifact import Artifact, Pixels
from cnncli.serving.description import AGAIN, CLASSES_FILE, FILE, Description, missing
from cnncli.serving.packages import require
from cnncli.serving.quiet import quiet
from cnncli.tasks.outputs import NamedOutputs


def open_litert(path: Path) -> Artifact:
    """Open a LiteRT file that `cnn export` wrote.

    Raises:
        ExportError: If ai-edge-litert is not installed, or the file is damaged or says nothing about itself.
    """
    require("ai_edge_litert")
    description = _description(path)
    with quiet():
        from ai_edge_litert.interpreter import Interpreter

        try:
            interpreter = Interpreter(model_content=path.read_bytes())
        except (OSError, ValueError, RuntimeError) as error:
            raise ExportError(f"LiteRT cannot run {path}: {str(error)[:200]}") from error
    names = TASKS[description.task].output_names
    inputs, outputs = len(interpreter.get_input_details()), len(interpreter.get_output_details())
    if inputs != 1 or outputs != len(names):
        raise ExportError(
            f"{path} has {counted(inputs, 'input')} and {counted(outputs, 'output')}, expected 1 and {len(names)}",
            AGAIN,
        )
    return Artifact("litert", description, _Session(interpreter, names).compute)


def _description(path: Path) -> Description:
    """Return what the file says: LiteRT files carry others in a zip archive behind the network."""
    try:
        with zipfile.ZipFile(path) as archive:
            description = Description.from_json(archive.read(FILE), str(path))
            description.check_classes(archive.read(CLASSES_FILE), str(path))
            return description
    except (OSError, zipfile.BadZipFile, KeyError):
        raise missing(str(path)) from None


class _Session:
    """An interpreter laid out anew whenever the number of images changes."""

    def __init__(self, interpreter: Any, names: Sequence[str]) -> None:
        self._interpreter = interpreter
        self._input = interpreter.get_input_details()[0]["index"]
        # LiteRT does not keep the names of outputs, only their order.
        self._outputs = {
            name: output["index"] for name, output in zip(names, interpreter.get_output_details(), strict=True)
        }
        self._shape: tuple[int, ...] = ()

    def compute(self, images: Pixels) -> NamedOutputs:
        if images.shape != self._shape:
            with quiet():
                self._interpreter.resize_tensor_input(self._input, images.shape)
                self._interpreter.allocate_tensors()
            self._shape = images.shape
        self._interpreter.set_tensor(self._input, images)
        self._interpreter.invoke()
        return {name: np.array(self._interpreter.get_tensor(index)) for name, index in self._outputs.items()}
