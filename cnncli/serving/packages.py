"""Optional packages, and the one line that says how to get them."""

from __future__ import annotations

from importlib.util import find_spec

from cnncli.errors import ExportError

EXTRAS = {
    "onnx": "onnx",
    "tf2onnx": "onnx",
    "onnxruntime": "onnx",
    "ai_edge_litert": "litert",
}
"""Import name of a package → the extra that installs it."""


def absent(*packages: str) -> ExportError | None:
    """Return one error that says what is not installed and what to do, or None if all is there."""
    missing = [name for name in packages if find_spec(name) is None]
    if not missing:
        return None
    verb = "is" if len(missing) == 1 else "are"
    return ExportError(f"{', '.join(missing)} {verb} not installed", f"pip install 'cnncli[{EXTRAS[missing[0]]}]'")


def require(*packages: str) -> None:
    """Refuse to go on without packages.

    Raises:
        ExportError: If one is not installed.
    """
    error = absent(*packages)
    if error is not None:
        raise error
