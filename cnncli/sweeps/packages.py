"""Packages that only sweeps need: there they are, or the line that says how to get them."""

from __future__ import annotations

from importlib.util import find_spec

from cnncli.errors import CnnError

EXTRAS = {
    "sweep": {"optuna": "optuna", "cmaes": "cmaes"},
    "fanova": {"optuna": "optuna", "cmaes": "cmaes", "sklearn": "scikit-learn"},
}
"""What each extra brings: by the name of the module, the name of the package."""


def is_installed(extra: str = "sweep") -> bool:
    """Say whether they are there."""
    return not _missing(extra)


def require(extra: str = "sweep") -> None:
    """Refuse to go on without the packages of an extra; be they there, let Optuna only speak of errors.

    Raises:
        CnnError: If one is not installed.
    """
    missing = _missing(extra)
    if missing:
        verb = "is" if len(missing) == 1 else "are"
        raise CnnError(f"{', '.join(missing)} {verb} not installed", f"pip install 'cnncli[{extra}]'")
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)


def _missing(extra: str) -> list[str]:
    return [package for module, package in EXTRAS[extra].items() if find_spec(module) is None]
