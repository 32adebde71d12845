"""What the commands share that train: warnings before it, the device, progress, the result."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from cnncli.cli.console import err, out, print_json, print_line, print_note
from cnncli.cli.options import DeviceName
from cnncli.plural import counted

if TYPE_CHECKING:
    from cnncli.config.schema.schema import Config
    from cnncli.engine.training.train import Result
    from cnncli.runs.events import Listener


def show_warnings(config: Config, quiet: bool = False) -> None:
    """Print the warnings of the static check on stderr, unless `quiet`; raise ConfigError for what it refuses."""
    from cnncli.analysis.check import check
    from cnncli.errors import ConfigError

    problems = check(config)
    if any(problem.severity == "error" for problem in problems):
        raise ConfigError(problems)
    if problems and not quiet:
        from cnncli.report.problems import print_problems

        print_problems(problems, err())


def choose_device(device: DeviceName) -> None:
    """Tell TensorFlow where to train, if the user said so; CnnError if there is no such device."""
    if device != DeviceName.auto:
        from cnncli.engine.runtime import choose_device

        choose_device(device.value)


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
        longer = " --set train.max_minutes=null" if result.is_out_of_time else ""
        print_note(f"Stopped after {counted(result.epochs, 'epoch')}. Continue with: cnn resume {result.run}{longer}")
    if result.signal is not None:
        raise typer.Exit(128 + result.signal)


def _print_result(result: Result) -> None:
    """Print the curves, what the regularizers add to the loss, and the best epoch."""
    from cnncli.report.penalty import penalty_sentence
    from cnncli.report.sparkline import curve_lines
    from cnncli.runs.metrics import names
    from cnncli.runs.run import Run

    run = Run(Path(result.run))
    metrics = run.metrics()
    for line in curve_lines(metrics, names(run.record), out().width):
        print_line(line)
    penalty = penalty_sentence(metrics)
    if penalty is not None:
        print_line(penalty)
    if result.best is not None:
        monitor = result.best["monitor"].replace("_", " ")
        print_line(f"best epoch {result.best['epoch']}: {monitor} {result.best['value']:.4f}")
