"""`cnn runs`: the runs there are."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cnncli.cli.console import out, print_json, print_note
from cnncli.cli.options import Json, RunsDir


def runs_cli(
    name: Annotated[str | None, typer.Argument(help="Only runs of this name.")] = None,
    runs_dir: RunsDir = Path("runs"),
    as_json: Json = False,
) -> None:
    """List the runs, the newest last: status, epochs, best validation score, parameters.

    Example: cnn runs
    """
    from cnncli.runs.listing import rows

    found = rows(runs_dir, name)
    if as_json:
        print_json({"rows": [row.to_json() for row in found]})
    elif found:
        from cnncli.report.runs import runs_table

        out().print(runs_table(found))
    else:
        print_note(f"No runs{f' named {name}' if name else ''} in {runs_dir}. `cnn train digits_lenet` makes one.")
