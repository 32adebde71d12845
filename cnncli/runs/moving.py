"""A run's folder in another place of the same folder of runs: one rename, while no process works on the run."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from cnncli.errors import RunError, WriteError
from cnncli.files import durable
from cnncli.runs.lock import lock
from cnncli.runs.run import Run

TRIES = 3
"""How often a folder is made that another process may remove while it is empty."""


def inside(run: Run, runs_dir: Path) -> Run:
    """Return a run by its place in the folder of all runs, however it was named.

    Raises:
        RunError: If it is elsewhere, or only a link is there: what is moved could be found by nobody.
    """
    if run.path.is_symlink():
        raise RunError(
            f"{run.path} is a link to a run elsewhere",
            "Move or remove the link itself, or name the run where it is, with its folder of runs as --runs-dir.",
        )
    path = run.path.resolve()
    if path.parent.parent != runs_dir.resolve():
        raise RunError(
            f"{run.path} is not a run of {runs_dir}", "Say in which folder its name's folder is: --runs-dir DIR."
        )
    return Run(runs_dir / path.parent.name / path.name)


@contextmanager
def unused(run: Run) -> Iterator[None]:
    """Run a block that moves a run, so that no process works on it meanwhile.

    Raises:
        RunError: If a process works on it, saying which, or has just moved it.
    """
    with lock(run.lock_file):
        _require_there(run.path)
        if os.name != "nt":
            yield
            return
    # Windows moves no folder with an open file in it: whoever opens the lock from here on makes the move fail.
    yield


def move(run: Run, target: Path) -> Run:
    """Rename a run's folder, in one step, and remove the folder of its former name where no other run is left.

    Args:
        run: The run; nobody works on it.
        target: Its new folder, on the same disk; the folder above is made where it is missing.

    Raises:
        RunError: If there is something, or the run has gone.
        WriteError: If the disk refuses.
    """
    # Whole paths: the working folder may be in the run, and moves with it.
    source, place = run.path.resolve(), target.parent.resolve() / target.name
    try:
        _rename(source, place)
        durable.fsync_directory(place.parent)
        durable.fsync_directory(source.parent)
    except OSError as error:
        raise WriteError(f"{run.path} cannot be moved to {target}: {error.strerror or error}") from error
    remove_if_empty(source.parent)
    return Run(target)


def remove_if_empty(folder: Path) -> None:
    """Remove a folder that has nothing in it; any other stays."""
    with suppress(OSError):
        durable.rmdir(folder)


def _require_there(path: Path) -> None:
    if not path.exists():
        raise RunError(f"{path} is no longer there: another process has moved it") from None


def _rename(source: Path, target: Path) -> None:
    for tries_left in reversed(range(TRIES)):
        durable.make_directories(target.parent)
        if os.path.lexists(target):
            raise RunError(f"{target} is there already", "Move that one first, or take another name.")
        try:
            durable.rename(source, target)
            return
        except FileNotFoundError:
            _require_there(source)
            if not tries_left:
                raise
        except OSError:
            if not os.path.lexists(target):
                raise
