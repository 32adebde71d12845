"""An artifact's path → the artifact, in its own runtime, whatever its kind."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import weakref
from contextlib import suppress
from pathlib import Path
from typing import IO

import numpy as np

from cnncli.engine import NO_HOME
from cnncli.engine.exporting.keras_file import open_keras
from cnncli.engine.exporting.python_script import SCRIPT
from cnncli.engine.exporting.saved_model import open_saved_model
from cnncli.errors import ExportError
from cnncli.files.read import read_bytes
from cnncli.serving import open as plain
from cnncli.serving.artifact import Artifact, Pixels
from cnncli.serving.description import FILE, MOST_BYTES, Description, missing
from cnncli.serving.kinds import require_kind
from cnncli.tasks.outputs import NamedOutputs

_PREDICT = """
import sys
sys.modules["cnncli"] = None
sys.path.insert(0, sys.argv[1])
import numpy as np
import network
model = network.load()
for line in sys.stdin:
    images, outputs = line.rstrip("\\n").split("\\t")
    found = network.predict(np.load(images), model)
    np.savez(outputs, **(found if isinstance(found, dict) else {"probabilities": found}))
    print("saved", flush=True)
"""
"""What a process that knows nothing of cnncli does with an exported script, for each line it is sent."""


def open_artifact(path: Path, *, trust: bool = True) -> Artifact:
    """Open an artifact of any kind that is ours: one that is a program is run (see `kinds.refuse_program`).

    Args:
        path: The artifact.
        trust: Whether a SavedModel may do more than compute.

    Raises:
        ExportError: If it cannot be opened, or its runtime is not installed.
    """
    kind = require_kind(path)
    if kind == "keras":
        return open_keras(path)
    if kind == "saved_model":
        return open_saved_model(path, trust=trust)
    if kind == "python":
        return open_python(path)
    return plain.open_artifact(path)


def open_python(path: Path) -> Artifact:
    """Open the directory of an exported script; it is run in a process of its own.

    Raises:
        ExportError: If it says nothing about itself; when it computes, if the script fails.
    """
    try:
        description = Description.from_json(read_bytes(path / FILE, MOST_BYTES), str(path))
    except OSError:
        raise missing(str(path)) from None
    return Artifact("python", description, _Script(path).compute)


class _Script:
    """An exported script, running in a process of its own that ends with this object."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._process: subprocess.Popen[str] | None = None
        self._folder = tempfile.TemporaryDirectory()

    def compute(self, images: Pixels) -> NamedOutputs:
        """Return what the script's `predict` returns, by name; without a name, these are the probabilities."""
        process = self._running()
        given, found = (Path(self._folder.name) / name for name in ("images.npy", "outputs.npz"))
        np.save(given, images)
        try:
            _stream(process.stdin).write(f"{given}\t{found}\n")
            _stream(process.stdin).flush()
            heard = _stream(process.stdout).readline()
        except BrokenPipeError:
            heard = ""
        if heard != "saved\n":
            raise ExportError(f"{self._path / SCRIPT} fails: {self._last_words()}")
        with np.load(found) as outputs:
            return dict(outputs)

    def _running(self) -> subprocess.Popen[str]:
        if self._process is None:
            self._errors = (Path(self._folder.name) / "errors.txt").open("w+", encoding="utf-8")
            self._process = subprocess.Popen(  # noqa: S603 - our own script
                [sys.executable, "-c", _PREDICT, str(self._path.absolute())],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._errors,
                text=True,
                encoding="utf-8",
                env={
                    **os.environ,
                    "KERAS_BACKEND": "tensorflow",
                    "KERAS_HOME": NO_HOME,
                    "PYTHONDONTWRITEBYTECODE": "1",
                },
            )
            weakref.finalize(self, _end, self._process, self._errors, self._folder)
        return self._process

    def _last_words(self) -> str:
        self._errors.seek(0)
        lines = self._errors.read().strip().splitlines()
        return lines[-1][:300] if lines else "it ended without a message"


def _stream(pipe: IO[str] | None) -> IO[str]:
    assert pipe is not None  # noqa: S101 - opened above
    return pipe


def _end(process: subprocess.Popen[str], errors: IO[str], folder: tempfile.TemporaryDirectory[str]) -> None:
    for pipe in (process.stdin, process.stdout, errors):
        if pipe is not None:
            with suppress(OSError):
                pipe.close()
    process.wait()
    folder.cleanup()
