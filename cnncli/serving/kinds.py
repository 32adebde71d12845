"""What kind of artifact a path is, told by its name and what lies in it."""

from __future__ import annotations

from pathlib import Path

from cnncli.errors import ExportError

SUFFIXES = {".keras": "keras", ".onnx": "onnx", ".tflite": "litert", ".html": "web"}
INSIDE = {"saved_model.pb": "saved_model", "network.py": "python"}

PLAIN = ("onnx", "litert", "web")
"""Kinds that are opened without TensorFlow."""


def kind_of(path: Path) -> str | None:
    """Return the kind of artifact at a path, or None if there is none (a run's directory, say)."""
    if path.is_file():
        return SUFFIXES.get(path.suffix.lower())
    return next((kind for name, kind in INSIDE.items() if (path / name).is_file()), None)


PROGRAMS = {"web": "its JavaScript", "python": "its network.py"}
"""Kinds that are run to be asked, by a runtime that lets them do whatever the user may, and what of them is run."""


APART = {"onnx": "onnxruntime", "litert": "ai_edge_litert", "keras": "tensorflow", "saved_model": "tensorflow"}
"""Kinds of which a stranger's file is opened in a child process, and the package of their runtime."""


def refuse_program(path: Path) -> None:
    """Refuse an artifact that is a program; the others are data, which their runtimes compute with.

    It does not matter where it lies: whoever can put a file into a run's `export` folder can put the record with its
    digest there too, and a whole run may come from somebody else.

    Raises:
        ExportError: With what would be run.
    """
    kind = require_kind(path)
    if kind in PROGRAMS:
        raise ExportError(
            f"{path} is a program: {PROGRAMS[kind]} would run with your rights",
            "Run it with --trust if you know who wrote it, or use another format: .keras, .onnx, .tflite.",
        )


def require_kind(path: Path) -> str:
    """Return the kind of artifact at a path.

    Raises:
        ExportError: If there is none.
    """
    kind = kind_of(path)
    if kind is None:
        known = ", ".join([*SUFFIXES, "a SavedModel's directory", "a Python export's directory"])
        raise ExportError(f"{path} is not an exported network", f"Expected: {known}.")
    return kind
