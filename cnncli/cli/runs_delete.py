"""`cnn runs delete`: runs moved to the trash, and the trash emptied."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cnncli.cli.console import print_json, print_line, print_note
from cnncli.cli.options import Json, RunsDir

if TYPE_CHECKING:
    from cnncli.runs.run import Run


def runs_delete_cli(
    runs: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[RUN…]", help="Runs: paths, NAME/START, or a name that only one run has; `latest` is the newest."
        ),
    ] = None,
    empty_trash: Annotated[bool, typer.Option("--empty-trash", help="Remove for good what is in the trash.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    runs_dir: RunsDir = Path("runs"),
    as_json: Json = False,
) -> None:
    """Move runs to the trash, `.trash` in the folder of runs, from where `cnn runs restore` brings them back.

    Example: cnn runs delete lenet/20261122-091500
    Example: cnn runs delete --empty-trash
    """
    if empty_trash == bool(runs):
        raise typer.BadParameter("name the runs to delete, or --empty-trash, and not both")
    if empty_trash:
        _empty_trash(runs_dir, yes, as_json)
    else:
        _delete(runs or (), runs_dir, yes, as_json)


def _delete(references: Sequence[str], runs_dir: Path, yes: bool, as_json: bool) -> None:
    from cnncli.runs.find import find_all, only
    from cnncli.runs.moving import inside
    from cnncli.runs.trash import delete, size_of

    named = [inside(only(reference, find_all(reference, runs_dir)), runs_dir) for reference in references]
    sizes = {run: size_of(run) for run in {run.path: run for run in named}.values()}
    for run in sizes:
        _require_unused(run)
    _ask("Move to the trash:", sizes, yes)
    deleted = []
    try:
        for run, num_bytes in sizes.items():
            deleted.append({"run": str(run.path), "trash": str(delete(run, runs_dir).path), "bytes": num_bytes})
            if not as_json:
                print_line(f"{deleted[-1]['run']} is now {deleted[-1]['trash']}")
    finally:  # Those before an error are in the trash, and are told.
        if as_json:
            print_json({"deleted": deleted})
    print_note("`cnn runs restore` brings back what is in the trash; `cnn runs delete --empty-trash` frees the space.")


def _empty_trash(runs_dir: Path, yes: bool, as_json: bool) -> None:
    from cnncli.runs.trash import deleted_runs, empty, size_of

    sizes = {run: size_of(run) for run in deleted_runs(runs_dir)}
    if sizes:
        _ask("Remove for good:", sizes, yes)
    removed = []
    try:
        for run in empty(sizes, runs_dir):
            removed.append({"run": f"{run.name}/{run.id}", "bytes": sizes[run]})
            if not as_json:
                print_line(f"{run.name}/{run.id} is removed for good")
    finally:
        if as_json:
            print_json({"removed": removed})
    if not sizes:
        print_note(f"Nothing is in the trash of {runs_dir}.")


def _require_unused(run: Run) -> None:
    """Raise RunError, saying which, if a process works on a run: before anything is asked, or moved."""
    from cnncli.runs.moving import unused

    with unused(run):
        pass


def _ask(what: str, sizes: Mapping[Run, int], yes: bool) -> None:
    """Show what is about to go, and ask; end the command where the answer is no.

    Raises:
        RunError: If nobody can be asked.
    """
    from cnncli.errors import RunError
    from cnncli.plural import counted
    from cnncli.report.numbers import short

    if yes:
        return
    if not sys.stdin.isatty():
        raise RunError("deleting asks first, and there is no terminal to ask on", "--yes deletes without asking.")
    print_note(what)
    for run, num_bytes in sizes.items():
        print_note(f"  {run.name}/{run.id}  {short(num_bytes, 'B')}")
    # Typer's own question would write on stdout.
    sys.stderr.write(f"{counted(len(sizes), 'run')}, {short(sum(sizes.values()), 'B')}? [y/N] ")
    sys.stderr.flush()
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        print_note("Nothing was changed.")
        raise typer.Exit(1)
