"""`cnn runs tag`: words by which runs are found again."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cnncli.cli.console import print_json, print_line
from cnncli.cli.options import Json, RunArgument, RunsDir


def runs_tag_cli(
    run: RunArgument,
    tags: Annotated[list[str], typer.Argument(metavar="TAG…", help="Words of at most 64 characters, without commas.")],
    remove: Annotated[bool, typer.Option("--remove", help="Remove the tags instead.")] = False,
    runs_dir: RunsDir = Path("runs"),
    as_json: Json = False,
) -> None:
    """Tag a run, which may be in training; `cnn runs --where tag=TAG` finds it again.

    Example: cnn runs tag latest baseline
    """
    from cnncli.runs.find import find
    from cnncli.runs.tags import add_tags, remove_tags

    found = find(run, runs_dir)
    kept = remove_tags(found, tags) if remove else add_tags(found, tags)
    if as_json:
        print_json({"run": str(found.path), "tags": list(kept)})
    else:
        print_line(f"{found.name}/{found.id}: {', '.join(kept) or 'no tags'}")
