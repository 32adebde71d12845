"""`cnn report`: a run as one HTML file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cnncli.cli.console import loading_tensorflow, print_json, print_line, telling
from cnncli.cli.moved import MovedData, MovedSet, moved_path
from cnncli.cli.options import CheckpointOption, Json, RunArgument, RunsDir


def report_cli(
    run: RunArgument = "latest",
    split: Annotated[
        str | None,
        typer.Option(help="Split whose predictions to show; by default test if it has been used, else validation."),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="HTML", help="Output file; report.html in the run by default."),
    ] = None,
    checkpoint: CheckpointOption = "best",
    data: MovedData = None,
    sets: MovedSet = None,
    runs_dir: RunsDir = Path("runs"),
    as_json: Json = False,
) -> None:
    """Write a run's report: one HTML file with curves, confusions, mistakes, filters, arithmetic, data and config.

    It is self-contained: it needs no network connection and no other file.

    Example: cnn report latest -o report.html
    """
    from cnncli.runs.find import find

    moved = moved_path(data, sets)
    found = find(run, runs_dir)
    with loading_tensorflow():
        from cnncli.engine.inspection.report import collect
    from cnncli.report.files import write_page
    from cnncli.report.html_page import report_page
    from cnncli.tasks.task import get_task

    with telling("reading the examples, and drawing what the network does with them"):
        material = collect(found, split, checkpoint, moved)
    text = report_page(material, get_task(found.config().task).pages.sections())
    target = write_page(text, found, found.report_file, output, "cnn report")
    if as_json:
        print_json({"file": str(target)})
    else:
        print_line(str(target))
