"""`cnn explore`: a run's network as a page in which every number can be looked at."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cnncli.cli.console import loading_tensorflow, print_json, print_line, print_note, telling
from cnncli.cli.moved import MovedData, MovedSet, moved_path
from cnncli.cli.options import CheckpointOption, Json, RunArgument, RunsDir


def explore_cli(
    run: RunArgument = "latest",
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="HTML", help="Output file; explore.html in the run by default."),
    ] = None,
    examples: Annotated[int, typer.Option(min=0, max=1000, help="Number of test examples in the page.")] = 30,
    layers: Annotated[
        list[str] | None,
        typer.Option("--layers", metavar="NAME", help="Hold the network only up to these layers: c1,c3 or repeated."),
    ] = None,
    open_page: Annotated[bool, typer.Option("--open", help="Open the page in the browser.")] = False,
    checkpoint: CheckpointOption = "best",
    data: MovedData = None,
    sets: MovedSet = None,
    runs_dir: RunsDir = Path("runs"),
    as_json: Json = False,
) -> None:
    """Write a run's network as one page: every map, every number, what if, learning, a quiz.

    It is self-contained: it computes in the browser, and needs no network connection and no other file.

    Example: cnn explore latest -o lenet.html
    Example: cnn explore latest --open
    """
    from cnncli.runs.find import find

    moved = moved_path(data, sets)
    found = find(run, runs_dir)
    names = tuple(name.strip() for part in layers or () for name in part.split(",") if name.strip())
    with loading_tensorflow():
        from cnncli.engine.exploring.explore import Wanted, explore
    from cnncli.report.files import write_page

    with telling("reading the examples and the weights"):
        explored = explore(found, Wanted(examples, names, checkpoint, moved), print_note)
    print_note(f"{explored.bytes / 1e6:,.2f} MB: {explored.contents}")
    target = write_page(explored.text, found, found.explore_file, output, "cnn explore")
    if as_json:
        print_json({"file": str(target), **explored.to_json()})
    else:
        print_line(str(target))
    if open_page:
        import webbrowser

        webbrowser.open(target.resolve().as_uri())
