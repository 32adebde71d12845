"""`cnn init`: a config to begin with."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cnncli.cli.console import measuring, print_line, print_note

if TYPE_CHECKING:
    from cnncli.datasets.survey import Survey

BACKBONES = ("mobilenet_v2", "efficientnet_b0", "resnet50_keras", "densenet121")
"""Networks of the zoo that Keras publishes weights of."""


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
    backbone: Annotated[
        str | None,
        typer.Option(
            "--backbone",
            metavar="NAME",
            help="With --data: two configs that train a network with ImageNet's weights for these images; "
            f"{', '.join(BACKBONES)}.",
        ),
    ] = None,
) -> None:
    """Write a commented config to start from.

    Example: cnn init photos.yaml --data photos/
    Example: cnn init photos.yaml --data photos/ --backbone mobilenet_v2
    Example: cnn init my.yaml --from lenet5
    """
    from cnncli.config.starter import require_new, write

    require_new(file)
    if backbone is not None:
        _write_for_backbone(file, backbone, source, data)
        return
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

    with measuring() as watch:
        found = write_for_data(file, data, watch)
    _tell(found, data)


def _write_for_backbone(file: Path, backbone: str, source: str | None, data: Path | None) -> None:
    """Write two configs for the images at a path, and tell what was found and how to go on."""
    from cnncli.config.language.suggestions import suggestion
    from cnncli.datasets.backbone_starter import write_for_backbone
    from cnncli.errors import CnnError

    if data is None or source is not None:
        raise CnnError("--backbone needs --data, and goes without --from", "Name the images: --data PATH.")
    if backbone not in BACKBONES:
        near = suggestion(backbone, BACKBONES)
        raise CnnError(f'Keras publishes no weights for "{backbone}".{near}', f"Backbones: {', '.join(BACKBONES)}.")
    with measuring() as watch:
        steps = write_for_backbone(file, data, backbone, watch)
    _tell(steps.found, data)
    print_line(str(steps.head))
    print_line(str(steps.whole))
    print_note(f"First: cnn train {steps.head}. Then: cnn train {steps.whole}.")


def _tell(found: Survey, data: Path) -> None:
    """Tell what was found at a path."""
    from cnncli.datasets.survey import BoxSurvey
    from cnncli.plural import counted

    classes = counted(len(found.counts), "class")
    height, width = found.usual_size
    colour = "grey" if found.is_grey else "in colour"
    print_note(f"{data}: {counted(found.num_images, 'image')} of {classes}, {colour}, usually {height}×{width}.")
    if isinstance(found, BoxSurvey):
        print_note(f"{counted(len(found.shares), 'object')} with boxes.")
