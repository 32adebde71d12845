"""A job that Slurm starts again goes on with the run that it began before."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from cnncli.cli.console import print_note

if TYPE_CHECKING:
    from cnncli.runs.run import Run


def requeued_run(environment: Mapping[str, str], runs_dir: Path) -> Run | None:
    """Return the run to go on with, and say so; None where a new one begins.

    For the chief of `cnn train --cluster slurm`. A run that is done is returned as well: a later step of its job was
    not, and resuming it prints its result once more.

    Args:
        environment: The environment variables of the task, `os.environ`.
        runs_dir: Folder of all runs.

    Raises:
        CnnError: If this is no task of a step.
    """
    from cnncli.runs.find import of_slurm_step
    from cnncli.workers.slurm import is_requeued, step_name

    if not is_requeued(environment):
        return None
    step = step_name(environment)
    run = of_slurm_step(step, runs_dir)
    if run is None:
        print_note(
            f"The Slurm step {step} was started again, but has no run in {runs_dir}: a new one begins. "
            "It can go on with its run only if that is on a disk that every node has."
        )
    else:
        print_note(f"The Slurm step {step} was started again: {run.path} goes on.")
    return run
