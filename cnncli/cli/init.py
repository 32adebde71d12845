"""`cnn init`: a config to begin with."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cnncli.cli.console import print_line, print_note


def init_cli(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The file to write; never overwritten.")] = Path(
        "cnn.yaml"
    ),
    source: Annotated[
        str | None, typer.Option("--from", metavar="NAME", help="Start from a network of the zoo; see `cnn zoo`.")
    ] = None,
) -> None:
    """Write a commented config to start from.

    Example: cnn init my.yaml --from lenet5
    """
    from cnncli.config.starter import write

    print_line(str(write(file, source)))
    print_note(f"Check it: cnn check {file}. Train it: cnn train {file}.")
