"""`cnn explore`: a run's network in one page, every number of it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cnncli.cli.console import loading_tensorflow, print_json, print_line, print_note, telling
from cnncli.cli.moved import MovedData, MovedSet, moved_path
from cnncli.cli.options import Json, RunArgument, RunsDir


def explore_cli(
    run: RunArgument = "latest",
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="The page to write. Default: explore.html in the run.")
    ] = None,
    examples: Annotated[int, typer.Option(help="Test images in the page.", min=0)] = 30,
    checkpoint: Annotated[str, typer.Option(help="best, last, or a checkpoint's path.")] = "best",
    open_it: Annotated[bool, typer.Option("--open", help="Open the page in a browser.")] = False,
    data: MovedData = None,
    sets: MovedSet = None,
    runs_dir: RunsDir = Path("runs"),
    as_json: Json = False,
) -> None:
    """Write a page that shows every number of a run's network: maps, kernels, receptive fields, one value's arithmetic.

    The page is self-contained: it needs no network connection and no other file.

    Example: cnn explore latest --open
    """
    from cnncli.plural import counted
    from cnncli.runs.find import find

    found = find(run, runs_dir)
    with loading_tensorflow():
        from cnncli.engine.exporting.web.explore import ExploreOptions, explore

    target = output or found.path / "explore.html"
    with telling("writing the page"):
        written = explore(found, target, ExploreOptions(examples, checkpoint, moved_path(data, sets)))
    if as_json:
        print_json(written.to_json())
    else:
        print_line(str(written.path))
        kept = f"{counted(written.examples, 'test image')}, weights of {counted(len(written.epochs), 'epoch')}"
        print_note(f"{written.bytes / 1e6:.2f} MB: {kept}")
    if open_it:
        typer.launch(written.path.absolute().as_uri())
