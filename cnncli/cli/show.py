"""`cnn show`: pictures of a network and of what it does."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cnncli.api.pictures import Subject, draw
from cnncli.cli.console import print_json, print_line, print_note
from cnncli.cli.moved import MovedData, override_of, without_path
from cnncli.cli.options import CheckpointOption, ConfigOrRun, Json, RunsDir, Sets
from cnncli.cli.terminal import TERMINAL
from cnncli.tasks.pages import Choice
from cnncli.tasks.task import all_kinds

if TYPE_CHECKING:
    Kind = str
else:
    # A choice for the command line, of the pictures of all tasks there are.
    Kind = StrEnum("Kind", all_kinds())


def show_cli(
    reference: ConfigOrRun,
    kind: Annotated[Kind, typer.Argument(help="What to plot.")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="PNG", help="Output file; KIND.png by default.")
    ] = None,
    image: Annotated[Path | None, typer.Option(help="Path of an image file.")] = None,
    index: Annotated[int | None, typer.Option(min=0, help="Index of an example of the split, from 0.")] = None,
    split: Annotated[str | None, typer.Option(help="train, validation or test.")] = None,
    layer: Annotated[str | None, typer.Option(help="Name of a layer.")] = None,
    label: Annotated[str | None, typer.Option("--class", help="Target class; the predicted class by default.")] = None,
    count: Annotated[int, typer.Option(min=1, max=200, help="Number of examples in a gallery.")] = 24,
    checkpoint: CheckpointOption = "best",
    sets: Sets = None,
    data: MovedData = None,
    runs_dir: RunsDir = Path("runs"),
    as_json: Json = False,
) -> None:
    """Plot a network's kernels, feature maps, attributions (Grad-CAM, saliency), mistakes and more.

    A config is shown with initial weights: enough for fixed kernels, schedules and receptive fields.

    Example: cnn show latest gradcam --image photo.jpg -o photo-gradcam.png
    Example: cnn show sobel activations
    """
    target = output or Path(f"{kind}.png")
    subject = _subject(reference, runs_dir, checkpoint, sets, data)
    picture = draw(str(kind), subject, Choice(image, index, split, layer, label, count), TERMINAL)
    picture.save(target)
    if picture.hint is not None:
        print_note(picture.hint)
    if as_json:
        print_json({"files": [str(target)]})
    else:
        print_line(str(target))


def _subject(reference: str, runs_dir: Path, checkpoint: str, sets: list[str] | None, data: Path | None) -> Subject:
    """Return what a reference means: a file is a config; a name is its latest run, and a config where there is none."""
    from cnncli.cli.reference import load_reference
    from cnncli.errors import RunError
    from cnncli.runs.find import find

    run, overrides = None, list(sets or ())
    moved, others = without_path(data, sets)
    if not Path(reference).is_file():
        try:
            run = find(reference, runs_dir)
        except RunError:
            run = None
    if run is None:
        config = load_reference(reference, runs_dir, overrides + ([] if data is None else [override_of(data)]))
    else:
        config = run.config(others)
    return Subject(config, run, checkpoint, None if run is None else moved)
