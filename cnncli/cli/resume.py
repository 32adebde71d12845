"""`cnn resume`: go on with a stopped run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import typer

from cnncli.cli.moved import MovedData
from cnncli.cli.options import Device, DeviceName, Json, RunArgument, RunsDir, Sets, StopAfter
from cnncli.cli.resuming import Resumption, resume_run, work_for_chief
from cnncli.cli.workers import ClusterText, Crew, Inexact, NumWorkers, Rank, Restarts

if TYPE_CHECKING:
    from cnncli.runs.run import Run


def resume_cli(
    run: RunArgument = "latest",
    sets: Sets = None,
    data: MovedData = None,
    stop_after: StopAfter = None,
    runs_dir: RunsDir = Path("runs"),
    device: Device = DeviceName.auto,
    as_json: Json = False,
    num_workers: NumWorkers = None,
    restarts: Restarts = 0,
    cluster: ClusterText = None,
    rank: Rank = None,
    inexact: Inexact = False,
) -> None:
    """Resume a run exactly where it stopped.

    Example: cnn resume latest --set train.epochs=20
    """
    from cnncli.runs.find import find

    crew = Crew.of(num_workers, restarts, cluster, rank, inexact)
    if not crew.is_chief:
        if (data is not None or sets) and not crew.is_launched:
            raise typer.BadParameter("--data and --set are the chief's to give: leave them out with another rank")
        work_for_chief(crew, device)
    found, how = find(run, runs_dir), Resumption(data, sets, device, as_json, stop_after)
    if crew.num_workers is not None:
        _launch(crew, found, how, runs_dir)
    resume_run(found, how, crew)


def _launch(crew: Crew, run: Run, how: Resumption, runs_dir: Path) -> NoReturn:
    """Resume a run with several processes of this machine."""
    with run.lock():
        pass  # Whoever holds it is told before anything of the run is touched.
    crew.require_shards(run.config(how.sets or ()).train.shards)
    crew.launch(["resume", str(run.path)], runs_dir, ["--runs-dir", str(runs_dir), *how.to_options()], run.path)
