"""`cnn train`: a new run of a config."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cnncli.api.training import Training, choose_device, start, take_part
from cnncli.cli.console import loading_tensorflow, print_json, print_line, print_note
from cnncli.cli.options import (
    ConfigArgument,
    Device,
    DeviceName,
    Fold,
    Json,
    Name,
    RunsDir,
    Sets,
    StopAfter,
    name_overrides,
)
from cnncli.cli.repeat import Job, repeat
from cnncli.cli.repetition import Folds, GroupId, Repetition, Seeds
from cnncli.cli.resuming import Resumption, resume_run, work_for_chief
from cnncli.cli.terminal import TERMINAL
from cnncli.cli.training import finish, show_warnings
from cnncli.cli.workers import ClusterText, Crew, Inexact, NumWorkers, Rank, Restarts, end_of_work

if TYPE_CHECKING:
    from cnncli.config.schema.schema import Config


def train_cli(
    config: ConfigArgument,
    sets: Sets = None,
    name: Name = None,
    fold: Fold = None,
    seeds: Seeds = None,
    folds: Folds = None,
    group: GroupId = None,
    stop_after: StopAfter = None,
    runs_dir: RunsDir = Path("runs"),
    device: Device = DeviceName.auto,
    as_json: Json = False,
    num_workers: NumWorkers = None,
    restarts: Restarts = 0,
    cluster: ClusterText = None,
    rank: Rank = None,
    inexact: Inexact = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Train a few steps and estimate memory and time; write nothing.")
    ] = False,
    overfit_batch: Annotated[
        bool, typer.Option("--overfit-batch", help="Check that the network can overfit a single batch; write nothing.")
    ] = False,
) -> None:
    """Train the network of a config; the last line on stdout is the run's directory.

    With --seeds or --folds: trains several runs one after the other, and prints a table of them with their mean.

    Example: cnn train digits_lenet --set train.epochs=5
    Example: cnn train digits_lenet --seeds 5
    """
    from cnncli.config.load import load

    refused = {"--dry-run": dry_run, "--overfit-batch": overfit_batch, "--cluster": cluster is not None}
    refused["--stop-after"] = stop_after is not None
    if folds is not None:
        refused["--fold"] = fold is not None
    repetition = Repetition.of(seeds, folds, group, refused)
    crew = Crew.of(num_workers, restarts, cluster, rank, inexact)
    how = Resumption(device=device, as_json=as_json, stop_after=stop_after)
    if crew.is_requeued:
        _go_on(crew, runs_dir, how)
    overrides = [*(sets or ()), *name_overrides(name)]
    overrides += [] if fold is None else [f"data.fold={fold}"]
    loaded = load(config, overrides)
    crew.require_shards(loaded.train.shards)
    if repetition.is_asked:
        options = ["--runs-dir", str(runs_dir), "--device", device.value, *crew.options]
        repeat(Job(config, overrides, repetition, runs_dir, options, as_json), loaded)
        return
    if not crew.is_launched:
        show_warnings(loaded, quiet=not crew.is_chief)
    if (dry_run or overfit_batch) and not crew.is_alone:
        raise typer.BadParameter("--dry-run and --overfit-batch take one process: leave out --workers and --cluster")
    if crew.num_workers is not None:
        options = ["--runs-dir", str(runs_dir), *how.to_options()]
        sets_of_all = [argument for text in overrides for argument in ("--set", text)]
        crew.launch(["train", config, *sets_of_all], runs_dir, options, None)
    if dry_run or overfit_batch:
        choose_device(device.value)
        _rehearse(loaded, dry_run, overfit_batch, as_json)
        return
    training = Training(device.value, stop_after, crew, TERMINAL)
    if not crew.is_chief:
        end_of_work(take_part(loaded, training))
    finish(start(loaded, runs_dir, training), as_json)


def _go_on(crew: Crew, runs_dir: Path, how: Resumption) -> None:
    """Do what a job does that Slurm has started again: go on with its run, if it had begun one."""
    from cnncli.cli.requeue import requeued_run

    if not crew.is_chief:
        work_for_chief(crew, how.device)
    run = requeued_run(os.environ, runs_dir)
    if run is not None:
        resume_run(run, how, crew)
        raise typer.Exit


def _rehearse(config: Config, dry_run: bool, overfit_batch: bool, as_json: bool) -> None:
    """Do what `--dry-run` or `--overfit-batch` asks for; exit code 1 where the network does not learn."""
    from cnncli.report.dry_run import forecast_lines, overfit_lines

    if dry_run and overfit_batch:
        raise typer.BadParameter("use either --dry-run or --overfit-batch")
    if dry_run:
        with loading_tensorflow():
            from cnncli.engine.training.dry_run import dry_run as forecast_of

        forecast = forecast_of(config)
        _print(forecast.to_json(), forecast_lines(forecast), as_json)
        return
    with loading_tensorflow():
        from cnncli.engine.training.overfit_batch import overfit

    result = overfit(config, print_note)
    _print(result.to_json(), overfit_lines(result), as_json)
    if not result.learned:
        raise typer.Exit(1)


def _print(document: dict[str, Any], lines: list[str], as_json: bool) -> None:
    """Print a result as JSON or as lines."""
    if as_json:
        print_json(document)
        return
    for line in lines:
        print_line(line)
