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
        print_note(_nothing(runs_dir, name))
    if not as_json and name is None:
        _tell_sweeps(runs_dir)


def _tell_sweeps(runs_dir: Path) -> None:
    """Say which sweeps there are: the runs of their trials are not listed."""
    from cnncli.sweeps.names import sweep_names

    names = sweep_names(runs_dir)
    if names:
        print_note(f"Sweeps: {', '.join(names)}. Their trials: cnn sweep show {names[-1]}")


def _nothing(runs_dir: Path, name: str | None) -> str:
    """Say that there is no such run, and what to do."""
    from cnncli.runs.find import TRAIN_ONE, all_runs, near

    runs = [] if name is None else list(all_runs(runs_dir))
    if name is None or not runs:
        return f"No runs in {runs_dir}. {TRAIN_ONE}"
    return f"No runs named {name} in {runs_dir}. {near(name, runs)}"
