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
