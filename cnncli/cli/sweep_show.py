"""`cnn sweep show`: what a sweep has found."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cnncli.cli.console import print_json, print_line, print_note
from cnncli.cli.options import Json, RunsDir

if TYPE_CHECKING:
    from cnncli.sweeps.results import Results


def sweep_show_cli(
    sweep: Annotated[str, typer.Argument(metavar="SWEEP", help="A sweep's directory, or its name.")],
    best: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the config of the best trial to this file.")
    ] = None,
    export_optuna: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the trials to this file, as a journal of Optuna's.")
    ] = None,
    runs_dir: RunsDir = Path("runs"),
    as_json: Json = False,
) -> None:
    """Show the trials of a sweep, the best of them, and which keys mattered.

    Example: cnn sweep show lenet_search --best best.yaml
    """
    from cnncli.report.files import write_text
    from cnncli.report.sweep import importance_lines
    from cnncli.sweeps.directory import SweepDirectory
    from cnncli.sweeps.export import export
    from cnncli.sweeps.importance import importance
    from cnncli.sweeps.packages import is_installed
    from cnncli.sweeps.results import best_config, results

    found = results(SweepDirectory.find(sweep, runs_dir))
    if best is not None:
        write_text(best, best_config(found))
    if export_optuna is not None:
        export(found, export_optuna)
    shares = importance(found) if is_installed() else {}
    print_results(found, as_json, {"importance": shares})
    if not as_json:
        for line in importance_lines(shares):
            print_line(line)
    if best is not None:
        print_note(f"The config of trial {found.best[0]} is in {best}.")


def print_results(found: Results, as_json: bool, more: dict[str, object] | None = None) -> None:
    """Print all trials, as a table or as JSON."""
    from cnncli.cli.console import out
    from cnncli.report.sweep import results_lines

    if as_json:
        print_json({**found.to_json(), **(more or {})})
        return
    for part in results_lines(found):
        if isinstance(part, str):
            print_line(part)
        else:
            out().print(part)
