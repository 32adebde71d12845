"""What the commands share that train: warnings before it, and the result."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from cnncli.api.training import check
from cnncli.cli.console import out, print_json, print_line, print_note
from cnncli.cli.terminal import TERMINAL
from cnncli.plural import counted

if TYPE_CHECKING:
    from cnncli.config.schema.schema import Config
    from cnncli.engine.training.train import Result


def show_warnings(config: Config, quiet: bool = False) -> None:
    """Print the warnings of the static check on stderr, unless `quiet`; raise ConfigError for what it refuses."""
    check(config, replace(TERMINAL, warn=lambda _problems: None) if quiet else TERMINAL)


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
