"""The trash of a folder of runs, `runs/.trash/<name>/<start>`: what is deleted lies there until it is emptied."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from cnncli.errors import RunError, WriteError
from cnncli.files import durable, folders
from cnncli.runs.find import all_runs, matches, near, only
from cnncli.runs.moving import inside, move, remove_if_empty, unused
from cnncli.runs.run import Run


def trash_of(runs_dir: Path) -> Path:
    """Return the folder of what was deleted; no run can have its name."""
    return runs_dir / ".trash"


def delete(run: Run, runs_dir: Path) -> Run:
    """Move a run to the trash, in one step.

    Args:
        run: The run.
        runs_dir: Folder of all runs, in which it is.

    Returns:
        The run in the trash.

    Raises:
        RunError: If a process works on it, or it is not in that folder.
        WriteError: If the disk refuses.
    """
    found = inside(run, runs_dir)
    with unused(found):
        return move(found, _free(trash_of(runs_dir) / found.name / found.id))


def restore(run: Run, runs_dir: Path) -> Run:
    """Move a run from the trash to where it was, in one step.

    Args:
        run: The run, as `find_deleted` returns it.
        runs_dir: Folder of all runs.

    Returns:
        The run in its place.

    Raises:
        RunError: If another run is there now.
        WriteError: If the disk refuses.
    """
    with unused(run):
        return move(run, runs_dir / run.name / run.id)


def find_deleted(reference: str, runs_dir: Path) -> Run:
    """Return the run in the trash that a user means.

    Args:
        reference: "name/start", a start, a name that only one of them has, "latest", or the path that it had or has.
        runs_dir: Folder of all runs.

    Raises:
        RunError: If there is none, or several.
    """
    runs = deleted_runs(runs_dir)
    if not runs:
        raise RunError(f"nothing is in the trash of {runs_dir}", "`cnn runs` lists the runs.")
    found = matches(_name_of(reference, runs_dir), runs)
    if not found:
        raise RunError(f"no run {reference!r} in {trash_of(runs_dir)}", near(reference, runs, "cnn runs restore"))
    return only(reference, found)


def deleted_runs(runs_dir: Path) -> list[Run]:
    """Return the runs in the trash, by their names."""
    return sorted(all_runs(trash_of(runs_dir)), key=lambda run: (run.name, run.id))


def empty(runs: Iterable[Run], runs_dir: Path) -> Iterator[Run]:
    """Remove runs for good, and yield each that is gone; and what is left of those that a dead process removed.

    Args:
        runs: Of the trash.
        runs_dir: Folder of all runs.

    Raises:
        RunError: If a process works on one of them.
        WriteError: If the disk refuses.
    """
    trash = trash_of(runs_dir)
    folders.remove_unfinished(trash)
    for run in runs:
        if not run.path.exists():  # Another process was quicker.
            continue
        try:
            # Out of reach first: nobody can bring back half a run.
            with folders.work_folder(trash) as gone:
                with unused(run):
                    durable.rename(run.path, gone / "run")
                durable.remove_tree(gone / "run")
        except OSError as error:
            raise WriteError(f"{run.path} cannot be removed: {error.strerror or error}") from error
        remove_if_empty(run.path.parent)
        yield run
    remove_if_empty(trash)


def size_of(run: Run) -> int:
    """Return how many bytes the files of a run have."""
    total = 0
    for folder, _, names in os.walk(run.path):
        for name in names:
            with suppress(OSError):
                total += os.lstat(os.path.join(folder, name)).st_size  # noqa: PTH118 - half the time of Path
    return total


def _free(path: Path) -> Path:
    """Return the path, or with "-2" and on where a run of that name and start was deleted before."""
    number = 1
    free = path
    while os.path.lexists(free):
        number += 1
        free = path.with_name(f"{path.name}-{number}")
    return free


def _name_of(reference: str, runs_dir: Path) -> str:
    """Return "name/start" of a path in the folder of runs or in its trash, and anything else as it is."""
    path = Path(reference).absolute()
    for folder in (trash_of(runs_dir), runs_dir):
        if path.is_relative_to(folder.absolute()):
            return path.relative_to(folder.absolute()).as_posix()
    return reference
