"""`cnn sweep show`: what a sweep has found."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cnncli.cli.console import out, print_json, print_note, print_page
from cnncli.cli.options import Json, RunsDir
from cnncli.sweeps.methods import Method

if TYPE_CHECKING:
    from cnncli.sweeps.landscape import Landscape
    from cnncli.sweeps.results import Results


def sweep_show_cli(
    sweep: Annotated[str, typer.Argument(metavar="SWEEP", help="A sweep's directory, or its name.")],
    best: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the config of the best trial to this file.")
    ] = None,
    html: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write a page to this file: plots, tables and the best config.")
    ] = None,
    png: Annotated[Path | None, typer.Option(metavar="FOLDER", help="Write the plots to this folder.")] = None,
    export_optuna: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the trials to this file, as a journal of Optuna's.")
    ] = None,
    method: Annotated[
        Method, typer.Option("--importance", help="How it is judged which keys mattered; fanova needs scikit-learn.")
    ] = Method.ped_anova,
    runs_dir: RunsDir = Path("runs"),
    as_json: Json = False,
) -> None:
    """Show the trials of a sweep, the best of them, and which keys mattered.

    The page is self-contained: it needs no network connection and no other file.

    Example: cnn sweep show lenet_search --html lenet_search.html
    Example: cnn sweep show lenet_search --best best.yaml
    """
    from cnncli.report.files import write_text
    from cnncli.sweeps.directory import SweepDirectory
    from cnncli.sweeps.export import export
    from cnncli.sweeps.landscape import landscape
    from cnncli.sweeps.results import best_config, results

    found = results(SweepDirectory.find(sweep, runs_dir))
    shown = landscape(found, method)
    if best is not None:
        write_text(best, best_config(found, best))
    if export_optuna is not None:
        export(found, export_optuna)
    files = _write_plots(shown, html, png)
    print_results(found, as_json, {**shown.importance.to_json(), "files": files})
    if not as_json:
        _print_findings(shown)
    if best is not None:
        print_note(f"The config of trial {found.best[0]} is in {best}.")
    for file in files:
        print_note(f"Written: {file}")


def _write_plots(shown: Landscape, html: Path | None, png: Path | None) -> list[str]:
    """Write the page and the figures that are asked for, and return their files."""
    from cnncli.report.files import write_text
    from cnncli.report.sweep_plots.page import sweep_page

    files = []
    if html is not None:
        write_text(html, sweep_page(shown))
        files.append(str(html))
    if png is not None:
        from cnncli.report.figures import save
        from cnncli.report.sweep_plots.figures import sweep_figures

        files += [str(save(figure, png / f"{name}.png")) for name, figure in sweep_figures(shown)]
    return files


def _print_findings(shown: Landscape) -> None:
    """Print what the trials say together: the Pareto front, the history, and which keys mattered."""
    from cnncli.report.page import Page
    from cnncli.report.sweep import front_parts, history_parts, importance_parts

    parts = (*front_parts(shown), *history_parts(shown, out().width), *importance_parts(shown.importance))
    if parts:
        print_page(Page(parts))


def print_results(found: Results, as_json: bool, more: Mapping[str, object] | None = None) -> None:
    """Print all trials, as a table or as JSON."""
    from cnncli.report.page import Page
    from cnncli.report.sweep import results_lines

    if as_json:
        print_json({**found.to_json(), **(more or {})})
    else:
        print_page(Page(tuple(results_lines(found))))
