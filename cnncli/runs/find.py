"""What a user means by a RUN: a path, a run's name, or `latest`."""

from __future__ import annotations

import difflib
import logging
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cnncli.errors import CheckpointError, RunError
from cnncli.runs.run import Run

if TYPE_CHECKING:
    import numpy.typing as npt

    from cnncli.runs.checkpoint import Checkpoint

log = logging.getLogger(__name__)


def all_runs(runs_dir: Path) -> Iterator[Run]:
    """Yield every run below a folder, in no order; also those of which this user may not read a file.

    Raises:
        PermissionError: If the folder itself may not be read.
    """
    for named in _inside(runs_dir):
        try:
            folders = _inside(named)
        except PermissionError as error:
            log.warning("the runs in %s are left out: %s", named, error.strerror)
            continue
        yield from (Run(folder) for folder in folders if _has_record(folder))


def _inside(folder: Path) -> list[Path]:
    """Return what is in a folder and not hidden: nothing where there is no folder."""
    try:
        return [path for path in folder.iterdir() if not path.name.startswith(".")]
    except (FileNotFoundError, NotADirectoryError):
        return []


def _has_record(folder: Path) -> bool:
    try:
        return (folder / "run.json").exists()
    except PermissionError:
        return folder.is_dir()


def find(reference: str, runs_dir: Path) -> Run:
    """Return the run that a user means.

    Args:
        reference: A run directory's path; "name/start"; a start; a name, meaning its latest run; or "latest".
        runs_dir: Folder of all runs.

    Raises:
        RunError: If there is none, with the nearest names.
    """
    return max(find_all(reference, runs_dir), key=lambda run: run.started)


def find_all(reference: str, runs_dir: Path) -> list[Run]:
    """Return all runs that a reference can mean, oldest first: of a name each of its runs; of "latest" the latest.

    Args:
        reference: As `find` takes it.
        runs_dir: Folder of all runs.

    Raises:
        RunError: If there is none, with the nearest names.
    """
    path = Path(reference)
    if (path / "run.json").is_file():
        return [Run(path)]
    runs = list(all_runs(runs_dir))
    if not runs:
        raise RunError(f"no runs in {runs_dir}", "Train one: cnn train digits_lenet.")
    matching = [run for run in runs if reference in ("latest", run.name, run.id, f"{run.name}/{run.id}")]
    if not matching:
        # A path to the folder of a name's runs, as the shell completes it.
        matching = [run for run in runs if path.resolve() == run.path.parent.resolve()]
    if not matching:
        raise RunError(f"no run {reference!r} in {runs_dir}", _near(reference, runs))
    ordered = sorted(matching, key=lambda run: run.started)
    return ordered[-1:] if reference == "latest" else ordered


def _near(reference: str, runs: list[Run]) -> str:
    """Return a hint with the names nearest to what was read."""
    names = {text for run in runs for text in (run.name, f"{run.name}/{run.id}")}
    near = difflib.get_close_matches(reference, sorted(names), n=3, cutoff=0.5)
    return f"Did you mean {' or '.join(near)}?" if near else "`cnn runs` lists them."


def find_checkpoint(run: Run, checkpoint: str) -> Checkpoint:
    """Load a run's checkpoint.

    Args:
        run: The run.
        checkpoint: "best", "last", or a checkpoint's name or path.

    Raises:
        CheckpointError: If there is none, or it is damaged.
    """
    if checkpoint not in ("best", "last"):
        return run.checkpoints.load(Path(checkpoint).name)
    checkpoint_found = run.checkpoints.best() if checkpoint == "best" else None
    checkpoint_found = checkpoint_found or run.checkpoints.latest()
    if checkpoint_found is None:
        raise CheckpointError(f"{run.path} has no checkpoint yet.", "Wait for its first epoch, or train again.")
    return checkpoint_found


def evaluated_weights(arrays: Mapping[str, npt.NDArray[Any]]) -> dict[str, npt.NDArray[Any]]:
    """Return a checkpoint's "model/…" arrays, with the running average of a weight in its place where there is one."""
    model = {name: array for name, array in arrays.items() if name.startswith("model/")}
    averages = {name.replace("average/", "model/", 1): a for name, a in arrays.items() if name.startswith("average/")}
    return model | averages
