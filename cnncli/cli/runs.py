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
    """List the runs, newest last: status, epochs, best validation score, parameters.

    Example: cnn runs
    """
    from cnncli.runs.listing import rows

    table_rows = rows(runs_dir, name)
    if as_json:
        print_json({"rows": [row.to_json() for row in table_rows]})
    elif table_rows:
        from cnncli.report.runs import runs_table

        out().print(runs_table(table_rows))
        for row in table_rows:
            if row.problem is not None:
                print_note(f"damaged: {row.problem}")
    else:
        print_note(f"No runs{f' named {name}' if name else ''} in {runs_dir}. Train one: cnn train digits_lenet.")
