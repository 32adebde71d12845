"""What a user means by a RUN: a path, a run's name, or `latest`."""

from __future__ import annotations

import logging
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cnncli.config.language.suggestions import suggestion
from cnncli.errors import CheckpointError, RunError
from cnncli.plural import counted
from cnncli.runs.run import Run

if TYPE_CHECKING:
    import numpy.typing as npt

    from cnncli.runs.checkpoint import Checkpoint

log = logging.getLogger(__name__)


LATEST = "latest"
"""What stands for the run that began last."""
TRAIN_ONE = "Train one: cnn train CONFIG (`cnn init` writes a config; cnn train digits_lenet needs none)."
"""What to do where there is no run yet."""


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
        RunError: If there is none, with the nearest name.
    """
    return max(find_all(reference, runs_dir), key=lambda run: run.started)


def find_all(reference: str, runs_dir: Path) -> list[Run]:
    """Return all runs that a reference can mean, oldest first: of a name each of its runs; of "latest" the latest.

    Args:
        reference: As `find` takes it.
        runs_dir: Folder of all runs.

    Raises:
        RunError: If there is none, with the nearest name.
    """
    path = Path(reference)
    if (path / "run.json").is_file():
        return [Run(path)]
    runs = list(all_runs(runs_dir))
    matching = matches(reference, runs)
    if not matching:
        # A path to the folder of a name's runs, as the shell completes it.
        matching = [run for run in runs if path.resolve() == run.path.parent.resolve()]
    if not matching:
        raise _missing(reference, runs, runs_dir)
    return sorted(matching, key=lambda run: run.started)


def _missing(reference: str, runs: Sequence[Run], runs_dir: Path) -> RunError:
    """Return the error of a reference that means no run."""
    if Path(reference).is_file():
        hint = "`cnn train CONFIG` makes a run; of a file with a section sweep, `cnn sweep FILE` makes several."
        return RunError(f"{reference} is a file, not a run", hint)
    if not runs:
        return RunError(f"no runs in {runs_dir}", TRAIN_ONE)
    return RunError(f"no run {reference!r} in {runs_dir}", near(reference, runs))


def matches(reference: str, runs: Iterable[Run]) -> list[Run]:
    """Return the runs that a name, a start, "name/start" or "latest" can mean."""
    if reference == LATEST:
        return sorted(runs, key=lambda run: run.started)[-1:]
    return [run for run in runs if reference in (run.name, run.id, f"{run.name}/{run.id}")]


def only(reference: str, runs: Sequence[Run]) -> Run:
    """Return the one run that a reference means, for what may not happen to another one by mistake.

    Raises:
        RunError: If there are several, naming some of them.
    """
    if len(runs) > 1:
        named = [f"{run.name}/{run.id}" for run in runs]
        some = f"{', '.join(named[:3])}, …" if len(named) > 3 else " or ".join(named)
        raise RunError(f"{reference!r} can mean {counted(len(runs), 'run')}", f"Say which: {some}")
    return runs[0]


def of_slurm_step(step: str, runs_dir: Path) -> Run | None:
    """Return the latest run that a step of a Slurm job began, or None where it has begun none.

    Args:
        step: What `workers.slurm.step_name` says of it; run.json has it as `slurm_step`.
        runs_dir: Folder of all runs.
    """
    return max(
        (run for run in all_runs(runs_dir) if _slurm_step(run) == step), key=lambda run: run.started, default=None
    )


def _slurm_step(run: Run) -> str | None:
    """Return the step that began a run; None also where its record cannot be read."""
    with suppress(RunError):
        return run.record.get("slurm_step")
    return None


def near(reference: str, runs: Iterable[Run], command: str = "cnn runs") -> str:
    """Return a hint with the name nearest to what was read, or the command that lists the runs."""
    names = dict.fromkeys(text for run in runs for text in (run.name, f"{run.name}/{run.id}"))
    return suggestion(reference, (LATEST, *names)).strip() or f"`{command}` lists them."


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
        raise CheckpointError(f"{run.path} has no checkpoint yet", _without_checkpoint(run))
    return checkpoint_found


def _without_checkpoint(run: Run) -> str:
    """Say what to do with a run that has no checkpoint."""
    status = run.status_of(run.record)
    if status == "running":
        return "Wait until its training begins."
    return f"It was {status} before its training began. Train it: cnn resume {shlex.quote(str(run.path))}"


def evaluated_weights(arrays: Mapping[str, npt.NDArray[Any]]) -> dict[str, npt.NDArray[Any]]:
    """Return a checkpoint's "model/…" arrays, with the running average of a weight in its place where there is one."""
    model = {name: array for name, array in arrays.items() if name.startswith("model/")}
    averages = {name.replace("average/", "model/", 1): a for name, a in arrays.items() if name.startswith("average/")}
    return model | averages
