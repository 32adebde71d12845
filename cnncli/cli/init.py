"""`cnn init`: a config to begin with."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cnncli.cli.console import measuring, print_line, print_note


def init_cli(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The file to write; never overwritten.")] = Path(
        "cnn.yaml"
    ),
    source: Annotated[
        str | None, typer.Option("--from", metavar="NAME", help="Start from a network of the zoo; see `cnn zoo`.")
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(
            "--data",
            metavar="PATH",
            help="Look at these images and write a config that suits them: a folder of class folders, or of images "
            "with masks or boxes (VOC, COCO, YOLO), a .zip of one, an .npz or a .csv file.",
        ),
    ] = None,
) -> None:
    """Write a commented config to start from.

    Example: cnn init photos.yaml --data photos/
    Example: cnn init my.yaml --from lenet5
    """
    from cnncli.config.starter import require_new, write

    require_new(file)
    if data is None:
        write(file, source)
    else:
        _write_for_data(file, source, data)
    print_line(str(file))
    print_note(f"Check it: cnn check {file}. Train it: cnn train {file}.")


def _write_for_data(file: Path, source: str | None, data: Path) -> None:
    """Write a config for the images at a path, and tell what was found."""
    from cnncli.errors import CnnError

    if source is not None:
        raise CnnError("--data writes a network that suits the images: use it without --from")
    from cnncli.datasets.starter import write_for_data
    from cnncli.datasets.survey import BoxSurvey
    from cnncli.plural import counted

    with measuring() as watch:
        found = write_for_data(file, data, watch)
    classes = counted(len(found.counts), "class")
    height, width = found.usual_size
    colour = "grey" if found.is_grey else "in colour"
    print_note(f"{data}: {counted(found.num_images, 'image')} of {classes}, {colour}, usually {height}×{width}.")
    if isinstance(found, BoxSurvey):
        print_note(f"{counted(len(found.shares), 'object')} with boxes.")
