"""`cnn runs`: the runs there are."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cnncli.cli.console import out, print_json, print_note
from cnncli.cli.options import Json, RunsDir


def runs_cli(
    name: Annotated[str | None, typer.Argument(help="Only runs of this name.")] = None,
    where: Annotated[
        list[str] | None,
        typer.Option(
            metavar="CONDITION",
            help="Only runs that meet this, 'train.batch_size>=64' or tag=baseline; of several, all must be met.",
        ),
    ] = None,
    sort: Annotated[
        str | None,
        typer.Option(metavar="KEY", help="Sort by a result or a path of the config: accuracy, train.batch_size."),
    ] = None,
    reverse: Annotated[bool, typer.Option("--reverse", help="Largest or newest first.")] = False,
    runs_dir: RunsDir = Path("runs"),
    as_json: Json = False,
) -> None:
    """List the runs, newest last: status, epochs, best validation score, parameters.

    A KEY is a path in config.yaml (train.batch_size, seed) or a result: name, status, epochs, seconds, params, tag,
    started, the best validation score by its metric's name (accuracy), or that on test (test_accuracy). A CONDITION
    is a KEY, one of = != < <= > >= ~ (contains), and a value. A run without the KEY does not meet it.

    `cnn runs tag`, `rename`, `delete` and `restore` are commands of their own; `cnn runs -- tag` lists runs named tag.

    Example: cnn runs --where 'train.batch_size>=64' --sort accuracy
    """
    from cnncli.runs.condition import Condition
    from cnncli.runs.listing import rows
    from cnncli.runs.selection import Selection, select

    selection = Selection(tuple(map(Condition.of, where or ())), sort, reverse)
    table_rows = rows(runs_dir, name)
    selected = select(table_rows, selection)
    if as_json:
        print_json({"rows": [row.to_json() for row in selected.rows]})
    elif selected.rows:
        from cnncli.report.runs import runs_table

        out().print(runs_table(selected.rows, selection.keys))
        damaged = (f"damaged: {row.problem}" for row in selected.rows if row.problem is not None)
        for note in dict.fromkeys((*damaged, *selected.notes)):
            print_note(note)
    else:
        for note in selected.notes:
            print_note(note)
        print_note("No run meets the conditions." if table_rows else _nothing(runs_dir, name))
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
