"""cnncli: train, explain, compare and export convolutional networks described in YAML.

What Python programs may use is listed in `__all__`; `cnncli.api` describes it. Nothing of it is imported before it is
asked for, TensorFlow last of all.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cnncli.api import Evaluation, NetworkSummary, Picture, Run, load, show, summary, train
    from cnncli.errors import CnnError, ConfigError

__version__ = "0.2.0"

__all__ = [
    "CnnError",
    "ConfigError",
    "Evaluation",
    "NetworkSummary",
    "Picture",
    "Run",
    "__version__",
    "load",
    "show",
    "summary",
    "train",
]

_ERRORS = ("CnnError", "ConfigError")


def __getattr__(name: str) -> Any:
    """Import a public name when it is first asked for."""
    if name not in __all__:
        raise AttributeError(f"module 'cnncli' has no attribute {name!r}")
    value = globals()[name] = getattr(import_module("cnncli.errors" if name in _ERRORS else "cnncli.api"), name)
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
