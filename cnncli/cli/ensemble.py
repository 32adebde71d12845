"""`cnn ensemble`: several runs made one, which predicts the mean of their probabilities."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cnncli.api.evaluation import evaluate
from cnncli.cli import completion
from cnncli.cli.console import out, print_json, print_line, print_note, telling
from cnncli.cli.options import Json, RunsDir
from cnncli.cli.terminal import TERMINAL

if TYPE_CHECKING:
    from cnncli.ensembles.members import Member
    from cnncli.ensembles.results import Results
    from cnncli.runs.run import Run


def ensemble_cli(
    runs: Annotated[
        list[str],
        typer.Argument(
            metavar="RUN…",
            autocompletion=completion.runs,
            help="Runs: paths or names; a name, a group's id or a trial's folder means all its runs.",
        ),
    ],
    split: Annotated[
        str | None, typer.Option(help="What to measure on: test or validation. Default: test if there is one.")
    ] = None,
    weights: Annotated[
        str | None, typer.Option(metavar="LIST", help="Weight of each run in the mean: 2,1,1. Default: equal ones.")
    ] = None,
    name: Annotated[str | None, typer.Option(help="Name of the ensemble. Default: ensemble-NAME.")] = None,
    runs_dir: RunsDir = Path("runs"),
    as_json: Json = False,
) -> None:
    """Average the probabilities of several runs, and evaluate the mean beside each of them.

    The ensemble is a run with one network, for `cnn eval`, `predict`, `export`, `show` and `report`. The runs have the
    same task, classes, examples, image_size, channels and resize; their networks may differ. Its path is the last line.

    Example: cnn ensemble digits_lenet --name five_seeds
    Example: cnn ensemble lenet resnet --weights 1,2
    """
    from cnncli.ensembles.members import read_members
    from cnncli.ensembles.run import common_splits, make_run
    from cnncli.runs.run import require_name

    if name is not None:
        require_name(name)
    members = read_members(runs, runs_dir, _weights(weights))
    measured = _split(split, common_splits(members))
    with telling("averaging"):
        run = make_run(members, name, runs_dir)
    document, found = (
        ({"run": str(run.path), "split": None}, None) if measured is None else _measure(run, members, measured)
    )
    if as_json:
        from cnncli.ensembles.results import described

        more = {"members": list(map(described, members)), "gain": None} if found is None else found.to_json()
        print_json({**document, **more})
        return
    if found is not None:
        _print(document, found, run)
    print_line(str(run.path))


def _weights(text: str | None) -> list[float] | None:
    """Return the numbers of a list such as 2,1,1."""
    if text is None:
        return None
    try:
        found = [float(part) for part in text.split(",")]
    except ValueError:
        found = []
    if not found or not all(0 < number < float("inf") for number in found):
        raise typer.BadParameter(f'--weights is "{text}"; it takes a positive number for each run: 2,1,1')
    return found


def _split(asked: str | None, common: Sequence[str]) -> str | None:
    """Return the split to measure on; None where each example was trained on by one of the runs.

    Raises:
        CnnError: If the one that is asked for is not the same for all runs.
    """
    from cnncli.errors import DataError

    if asked is None:
        if not common:
            print_note("not measured: the runs share no held-out examples (cnn help ensembles)")
        return next(iter(common), None)
    if asked not in common:
        raise DataError(
            f'the runs have no split "{asked}" in common that none of them was trained on',
            f"Available: {', '.join(common) or 'none; leave --split out, and the ensemble is not measured'}.",
        )
    return asked


def _measure(run: Run, members: Sequence[Member], split: str) -> tuple[dict[str, Any], Results]:
    """Evaluate an ensemble, and those of its members whose evaluation is not there; return what came of it."""
    from cnncli.ensembles.results import results
    from cnncli.runs.outcomes import evaluation_of
    from cnncli.tasks.measurement import EvaluationOptions

    options = EvaluationOptions(split=split)
    for member in members:
        if evaluation_of(member.run, split) is None:
            evaluate(member.run, options, TERMINAL)
    return evaluate(run, options, TERMINAL), results(run, members, split)


def _print(document: dict[str, Any], found: Results, run: Run) -> None:
    from cnncli.cli.eval import print_evaluation
    from cnncli.ensembles.page import results_page
    from cnncli.tasks.task import get_task

    for part in results_page(found):
        if isinstance(part, str):
            print_line(part)
        else:
            out().print(part, markup=False)
    out().print()
    print_evaluation(document, get_task(run.config().task).pages)
