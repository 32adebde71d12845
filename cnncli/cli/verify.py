"""`cnn verify`: does a stop change a run's result?"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cnncli.cli.console import print_json, print_line, print_note, telling
from cnncli.cli.moved import MovedData, MovedSet, moved_path
from cnncli.cli.options import Json, RunArgument, RunsDir
from cnncli.plural import counted

if TYPE_CHECKING:
    from cnncli.runs.verification import Verdict


WorkerNumbers = Annotated[
    str | None,
    typer.Option(
        "--workers",
        metavar="N,N,…",
        help="Train with each of these numbers of processes, and resume with the last: 1,2,4.",
    ),
]


def verify_cli(
    run: RunArgument = "latest",
    data: MovedData = None,
    sets: MovedSet = None,
    runs_dir: RunsDir = Path("runs"),
    as_json: Json = False,
    workers: WorkerNumbers = None,
) -> None:
    """Train a run's config twice, once killed in the middle and resumed, and compare bit by bit.

    Takes as long as training it twice; the run itself is only read. Exit code 1 if they differ. With --workers 1,2,4
    it is trained with each number of processes too, killed with the first number and resumed with the last.

    Example: cnn verify latest
    """
    from cnncli.runs.find import find
    from cnncli.runs.verification import verify

    found = find(run, runs_dir)
    num_workers = () if workers is None else _numbers(workers, found.config().train.shards)
    moved = moved_path(data, sets)
    if moved is not None:
        from cnncli.datasets import own

        with telling("reading the examples"):
            own(found.config(), found.passport(), moved)  # refuses other examples before anything is trained
    verdict = verify(found, print_note, moved, num_workers)
    if as_json:
        print_json(verdict.to_json())
    else:
        for line in _lines(verdict):
            print_line(line)
    if not verdict.identical:
        raise typer.Exit(1)


def _numbers(text: str, shards: int) -> tuple[int, ...]:
    """Return the numbers of workers, each of which can share batches of so many shards."""
    from cnncli.workers.cluster import require_power_of_two, require_shards

    if not re.fullmatch(r"[0-9]{1,6}(,[0-9]{1,6})*", text):
        raise typer.BadParameter(f'--workers takes numbers of processes, such as 1,2,4; got "{text}"')
    numbers = tuple(map(int, text.split(",")))
    for number in numbers:
        require_power_of_two(number, "--workers")
    require_shards(max(numbers), shards)
    return numbers


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
    return [*lines, *_lines_of_workers(verdict), outcomes[verdict.same_as_run]]


def _lines_of_workers(verdict: Verdict) -> list[str]:
    """Return a line for each number of workers, and with which numbers the killed training began and ended."""
    if not verdict.workers:
        return []
    first, *others = verdict.workers
    ends = (f"{counted(each.workers, 'worker')}: {'identical' if each.identical else 'different'}" for each in others)
    compared = [f"{end}, compared with {first.workers}" for end in ends]
    return [*compared, f"Killed with {counted(first.workers, 'worker')}, resumed with {verdict.workers[-1].workers}."]
