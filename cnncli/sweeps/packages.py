"""Optuna, which only sweeps need: there it is, or the line that says how to get it."""

from __future__ import annotations

from importlib.util import find_spec

from cnncli.errors import CnnError

EXTRA = ("optuna", "cmaes")


def is_installed() -> bool:
    """Say whether it is there."""
    return all(find_spec(name) is not None for name in EXTRA)


def require() -> None:
    """Refuse to go on without what chooses the values; be it there, let it only speak of errors.

    Raises:
        CnnError: If it is not installed.
    """
    missing = [name for name in EXTRA if find_spec(name) is None]
    if missing:
        verb = "is" if len(missing) == 1 else "are"
        raise CnnError(f"{', '.join(missing)} {verb} not installed", "pip install 'cnncli[sweep]'")
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
