"""`cnn resume`: go on with a stopped run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import typer

from cnncli.cli.moved import MovedData
from cnncli.cli.options import Device, DeviceName, Json, RunArgument, RunsDir, Sets
from cnncli.cli.resuming import resume_run, work_for_chief
from cnncli.cli.workers import ClusterText, Crew, Inexact, NumWorkers, Rank, Restarts

if TYPE_CHECKING:
    from cnncli.runs.run import Run


def resume_cli(
    run: RunArgument = "latest",
    sets: Sets = None,
    data: MovedData = None,
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
    found = find(run, runs_dir)
    if crew.num_workers is not None:
        _launch(crew, found, data, sets, runs_dir, device, as_json)
    resume_run(found, data, sets, device, as_json, crew)


def _launch(
    crew: Crew,
    run: Run,
    data: MovedData,
    sets: Sets,
    runs_dir: Path,
    device: DeviceName,
    as_json: bool,
) -> NoReturn:
    """Resume a run with several processes of this machine."""
    with run.lock():
        pass  # Whoever holds it is told before anything of the run is touched.
    crew.require_shards(run.config(sets or ()).train.shards)
    options = ["--runs-dir", str(runs_dir), "--device", device.value, *(["--json"] if as_json else [])]
    options += [] if data is None else ["--data", str(data)]
    options += [argument for text in sets or () for argument in ("--set", text)]
    crew.launch(["resume", str(run.path)], runs_dir, options, run.path)
