"""`cnn train`: a new run of a config."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cnncli.cli.console import err, out, print_json, print_line, print_note
from cnncli.cli.options import Device, DeviceName, Json, RunsDir, Sets
from cnncli.plural import counted

if TYPE_CHECKING:
    from cnncli.config.schema.schema import Config
    from cnncli.engine.training.train import Result
    from cnncli.runs.events import Listener


def train_cli(
    config: Annotated[str, typer.Argument(metavar="CONFIG", help="A YAML file, or the name of a network of the zoo.")],
    sets: Sets = None,
    name: Annotated[str | None, typer.Option(help="Name of the run; the config's by default.")] = None,
    runs_dir: RunsDir = Path("runs"),
    device: Device = DeviceName.auto,
    as_json: Json = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Train a few steps and estimate memory and time; write nothing.")
    ] = False,
    overfit_batch: Annotated[
        bool, typer.Option("--overfit-batch", help="Check that the network can overfit a single batch; write nothing.")
    ] = False,
) -> None:
    """Train the network of a config; the last line on stdout is the run's directory.

    Example: cnn train digits_lenet --set train.epochs=5
    """
    from cnncli.config.load import load

    overrides = list(sets or ()) + ([f"name={name}"] if name else [])
    loaded = load(config, overrides)
    show_warnings(loaded)
    choose_device(device)
    if dry_run or overfit_batch:
        _rehearse(loaded, dry_run, overfit_batch, as_json)
        return
    from cnncli.cli.console import measuring
    from cnncli.datasets.background import begin_loading

    with measuring() as watch:
        loading = begin_loading(loaded, watch)
        from cnncli.engine.training.train import train

        splits = loading()
    finish(train(loaded, runs_dir, make_listener(), splits), as_json)


def choose_device(device: DeviceName) -> None:
    """Tell TensorFlow where to train, if the user said so; CnnError if there is no such device."""
    if device != DeviceName.auto:
        from cnncli.engine.runtime import choose_device

        choose_device(device.value)


def _rehearse(config: Config, dry_run: bool, overfit_batch: bool, as_json: bool) -> None:
    """Do what `--dry-run` or `--overfit-batch` asks for; exit code 1 where the network does not learn."""
    from cnncli.report.dry_run import forecast_lines, overfit_lines

    if dry_run and overfit_batch:
        raise typer.BadParameter("use either --dry-run or --overfit-batch")
    if dry_run:
        from cnncli.engine.training.dry_run import dry_run as forecast_of

        forecast = forecast_of(config)
        _print(forecast.to_json(), forecast_lines(forecast), as_json)
        return
    from cnncli.engine.training.overfit_batch import memorize

    result = memorize(config, print_note)
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


def show_warnings(config: Config) -> None:
    """Print the warnings of the static check on stderr; raise ConfigError for what it refuses."""
    from cnncli.analysis.check import check
    from cnncli.errors import ConfigError

    problems = check(config)
    if any(problem.severity == "error" for problem in problems):
        raise ConfigError(problems)
    if problems:
        from cnncli.report.problems import print_problems

        print_problems(problems, err())


def make_listener() -> Listener:
    """Return what shows progress: a live display on a terminal, plain lines elsewhere."""
    from cnncli.report.progress import LiveDisplay, PlainLines

    return LiveDisplay(err()) if err().is_terminal else PlainLines(err())


def finish(result: Result, as_json: bool) -> None:
    """Print a training run's result, and end with 128 + signal if one stopped it."""
    if as_json:
        print_json(result.to_json())
    else:
        _print_result(result)
        print_line(result.run)
    if result.status == "interrupted":
        longer = "" if result.signal is not None else " --set train.max_minutes=null"
        print_note(f"Stopped after {counted(result.epochs, 'epoch')}. Continue with: cnn resume {result.run}{longer}")
    if result.signal is not None:
        raise typer.Exit(128 + result.signal)


def _print_result(result: Result) -> None:
    """Print the curves, what the regularizers add to the loss, and the best epoch."""
    from cnncli.report.penalty import penalty_sentence
    from cnncli.report.sparkline import curve_lines
    from cnncli.runs.run import Run

    metrics = Run(Path(result.run)).metrics()
    for line in curve_lines(metrics, out().width):
        print_line(line)
    penalty = penalty_sentence(metrics)
    if penalty is not None:
        print_line(penalty)
    if result.best is not None:
        monitor = result.best["monitor"].replace("_", " ")
        print_line(f"best epoch {result.best['epoch']}: {monitor} {result.best['value']:.4f}")
