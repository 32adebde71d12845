"""`cnn verify`: does a stop change a run's result?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from cnncli.cli.console import print_json, print_line, print_note, telling
from cnncli.cli.moved import MovedData, MovedSet, moved_path
from cnncli.cli.options import Json, RunArgument, RunsDir
from cnncli.plural import counted

if TYPE_CHECKING:
    from cnncli.runs.verification import Verdict


def verify_cli(
    run: RunArgument = "latest",
    data: MovedData = None,
    sets: MovedSet = None,
    runs_dir: RunsDir = Path("runs"),
    as_json: Json = False,
) -> None:
    """Train a run's config twice, once killed in the middle and resumed, and compare bit by bit.

    Takes as long as training it twice; the run itself is only read. Exit code 1 if they differ.

    Example: cnn verify latest
    """
    from cnncli.runs.find import find
    from cnncli.runs.verification import verify

    found = find(run, runs_dir)
    moved = moved_path(data, sets)
    if moved is not None:
        from cnncli.datasets import own

        with telling("reading the examples"):
            own(found.config(), found.passport(), moved)  # refuses other examples before anything is trained
    verdict = verify(found, print_note, moved)
    if as_json:
        print_json(verdict.to_json())
    else:
        for line in _lines(verdict):
            print_line(line)
    if not verdict.identical:
        raise typer.Exit(1)


def _lines(verdict: Verdict) -> list[str]:
    """Return the verdict as text."""
    compared = f"{verdict.num_arrays} arrays ({verdict.num_values:,} values) and {verdict.num_metrics} metrics"
    length = f"{counted(verdict.epochs, 'epoch')}, {counted(verdict.steps, 'step')}"
    where = f"{length}; resumed at step {verdict.resumed_at_step:,}"
    if verdict.identical:
        lines = [f"identical: {compared} are bit-identical ({where})"]
    else:
        lines = [f"different: of {compared}, these differ ({where})"]
        lines += [f"  {difference}" for difference in verdict.differences[:20]]
    outcomes = {
        None: "The run itself is not finished, so it was not compared.",
        True: "The run itself ended identically.",
        False: "The run itself ended differently: another machine, version, config or setting.",
    }
    return [*lines, outcomes[verdict.same_as_run]]
