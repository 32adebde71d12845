"""`cnn resume`: go on with a stopped run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from cnncli.cli.console import loading_tensorflow
from cnncli.cli.moved import MovedData, override_of, without_path
from cnncli.cli.options import Device, DeviceName, Json, RunArgument, RunsDir, Sets
from cnncli.cli.training import choose_device, finish, make_listener, show_warnings
from cnncli.cli.workers import ClusterText, Crew, Inexact, NumWorkers, Rank, Restarts, end_of_work

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
        _work(crew, device)
    found = find(run, runs_dir)
    if crew.num_workers is not None:
        _launch(crew, found, data, sets, runs_dir, device, as_json)
    # Locked before anything slow is imported, so that a second process hears at once who holds the run.
    with found.lock():
        moved, overrides = without_path(data, sets)
        config = found.config([*overrides, *([] if moved is None else [override_of(moved)])])
        show_warnings(config)
        choose_device(device)
        with loading_tensorflow():
            from cnncli.engine.training.train import resume

        result = resume(found, config, make_listener(), crew.strategy(config.train.threads))
    finish(result, as_json)


def _work(crew: Crew, device: DeviceName) -> NoReturn:
    """Be a worker that has the run from the chief."""
    choose_device(device)
    with loading_tensorflow():
        from cnncli.engine.training.train import work
    strategy = crew.strategy()
    end_of_work(None if strategy is None else work(strategy))


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
    crew.require_shards(run.config(sets or ()).train.shards)
    options = ["--runs-dir", str(runs_dir), "--device", device.value, *(["--json"] if as_json else [])]
    options += [] if data is None else ["--data", str(data)]
    options += [argument for text in sets or () for argument in ("--set", text)]
    crew.launch(["resume", str(run.path)], runs_dir, options, run.path)
