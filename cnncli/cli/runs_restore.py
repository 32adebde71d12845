"""`cnn runs restore`: runs brought back from the trash."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cnncli.cli.console import out, print_json, print_line, print_note
from cnncli.cli.options import Json, RunsDir


def runs_restore_cli(
    run: Annotated[
        str | None, typer.Argument(metavar="[RUN]", help="A deleted run: NAME/START, its name, its path, or `latest`.")
    ] = None,
    runs_dir: RunsDir = Path("runs"),
    as_json: Json = False,
) -> None:
    """Bring a run back that `cnn runs delete` has moved to the trash; without RUN, list what is there.

    Example: cnn runs restore lenet/20261122-091500
    """
    from cnncli.runs.trash import find_deleted, restore

    if run is None:
        _list(runs_dir, as_json)
        return
    restored = restore(find_deleted(run, runs_dir), runs_dir)
    if as_json:
        print_json({"run": str(restored.path)})
    else:
        print_line(str(restored.path))


def _list(runs_dir: Path, as_json: bool) -> None:
    from cnncli.report.runs import runs_table
    from cnncli.runs.listing import rows
    from cnncli.runs.trash import trash_of

    deleted = rows(trash_of(runs_dir))
    if as_json:
        print_json({"rows": [row.to_json() for row in deleted]})
    elif deleted:
        out().print(runs_table(deleted))
    else:
        print_note(f"Nothing is in the trash of {runs_dir}.")
