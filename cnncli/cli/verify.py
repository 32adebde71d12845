"""`cnn verify`: does a stop change a run's result?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from cnncli.cli.console import print_json, print_line, print_note
from cnncli.cli.moved import MovedData, MovedSet, moved_path, override_of
from cnncli.cli.options import Json, RunArgument, RunsDir
from cnncli.plural import counted

if TYPE_CHECKING:
    from cnncli.runs.run import Run
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
    verdict = verify(found, print_note, _location(found, moved_path(data, sets)))
    if as_json:
        print_json(verdict.to_json())
    else:
        for line in _lines(verdict):
            print_line(line)
    if not verdict.identical:
        raise typer.Exit(1)


def _location(run: Run, moved: Path | None) -> list[str]:
    """Return the override that lets processes of other folders find a run's examples, where they lie at a path."""
    from cnncli.datasets import own
    from cnncli.datasets.location import WITHOUT_PATH, located

    config = run.config()
    if moved is not None:
        own(config, run.passport(), moved)
    path = located(config).path if moved is None else str(moved)
    return [] if path is None or config.data.source in WITHOUT_PATH else [override_of(Path(path))]


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
