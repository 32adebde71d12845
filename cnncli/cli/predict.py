"""`cnn predict`: what a run's network says of images."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cnncli.cli.console import err, out, print_json, print_note, print_page
from cnncli.cli.moved import MovedSet, moved_path
from cnncli.cli.options import CheckpointOption, Json, RunOrArtifact, RunsDir

if TYPE_CHECKING:
    from cnncli.serving.predict import Network
    from cnncli.tasks.predictions import PredictedFile

MOST_DRAWN = 4
MOST_NOTED = 10


def predict_cli(
    run: RunOrArtifact,
    files: Annotated[
        list[str], typer.Argument(metavar="FILE…", help="Image files, folders, 'patterns*.png', or - for stdin.")
    ],
    top: Annotated[int, typer.Option(min=1, help="Number of classes to list for each image.")] = 3,
    csv: Annotated[Path | None, typer.Option(help="Also write the predictions to this file.")] = None,
    checkpoint: CheckpointOption = "best",
    draw: Annotated[
        bool | None,
        typer.Option("--draw/--no-draw", help="Show small images in the terminal; by default the first few."),
    ] = None,
    data: Annotated[
        Path | None, typer.Option(help="As for the other commands; predicting does not need the run's examples.")
    ] = None,
    sets: MovedSet = None,
    runs_dir: RunsDir = Path("runs"),
    as_json: Json = False,
) -> None:
    """Classify images with a run's network; warn about those unlike the training images.

    Example: cnn predict latest photo.jpg photos/ --top 5 --csv predictions.csv
    Example: find . -name '*.png' | cnn predict latest -
    """
    from cnncli.datasets.pictures import pictures

    moved_path(data, sets)
    named = pictures(files, sys.stdin.buffer)
    network, usual = _network(run, runs_dir, checkpoint)
    from cnncli.serving.predict import predict

    found = list(predict(network, named, usual, top))
    good = [file for file in found if file.error is None]
    if csv is not None:
        from cnncli.report.files import write_text
        from cnncli.tasks.predictions import predictions_csv

        write_text(csv, predictions_csv(good))
    if as_json:
        print_json([file.to_json() for file in found])
    elif good:
        _print(good, draw)
    _note(found)
    if len(good) < len(found):
        raise typer.Exit(1)


def _network(reference: str, runs_dir: Path, checkpoint: str) -> tuple[Network, dict[str, Any]]:
    """Return what a reference means, a run or an exported network, and how its training images looked."""
    from cnncli.serving.kinds import kind_of

    if kind_of(Path(reference)) is not None:
        from cnncli.cli.artifact import open_artifact
        from cnncli.serving.predict import ArtifactNetwork

        artifact = open_artifact(Path(reference))
        return ArtifactNetwork(artifact), dict(artifact.description.look)
    from cnncli.runs.find import find

    run = find(reference, runs_dir)
    usual = run.passport()["looks"]["train"]
    from cnncli.engine.evaluation.predict import RunNetwork
    from cnncli.engine.evaluation.trained import load_trained

    return RunNetwork(load_trained(run, checkpoint)), usual


def _print(files: Sequence[PredictedFile], draw: bool | None) -> None:
    from cnncli.report.half_blocks import picture
    from cnncli.report.page import Page
    from cnncli.tasks.predictions import predictions_table

    if draw or (draw is None and out().is_terminal and len(files) <= MOST_DRAWN):
        for file in files:
            out().print(picture(file.pixels, out()))
            out().print(file.file, markup=False, soft_wrap=True)
            out().print()
    print_page(Page((predictions_table(files),)))


def _note(files: Sequence[PredictedFile]) -> None:
    """Tell on stderr which files could not be read, and which look unlike the training images."""
    for file in files:
        if file.error is not None:
            err().print(f"error: {file.file}: {file.error}", style="red", markup=False, soft_wrap=True)
    unusual = [file for file in files if file.doubts]
    for file in unusual[:MOST_NOTED]:
        text = f"warning: {file.file}: {'; '.join(file.doubts)}"
        err().print(text, style="yellow", markup=False, soft_wrap=True)
    if len(unusual) > MOST_NOTED:
        print_note(f"… and {len(unusual) - MOST_NOTED:,} more files look unlike the training images")
