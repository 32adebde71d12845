"""`cnn runs rename`: another name for a run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cnncli.cli.console import print_json, print_line
from cnncli.cli.options import Json, RunArgument, RunsDir


def runs_rename_cli(
    run: RunArgument,
    name: Annotated[str, typer.Argument(metavar="NEW_NAME", help="Its new name; other runs may have it too.")],
    runs_dir: RunsDir = Path("runs"),
    as_json: Json = False,
) -> None:
    """Give a run another name: its folder, its config and its record; it is resumed exactly as before.

    Example: cnn runs rename latest lenet_baseline
    """
    from cnncli.runs.find import find
    from cnncli.runs.renaming import rename

    former = find(run, runs_dir)
    renamed = rename(former, name, runs_dir)
    if as_json:
        print_json({"run": str(renamed.path), "name": renamed.name, "former_run": str(former.path)})
    else:
        print_line(str(renamed.path))
