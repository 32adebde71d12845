"""`cnn compare`: runs side by side."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cnncli.cli import completion
from cnncli.cli.console import out, print_json
from cnncli.cli.options import CheckpointOption, Json, RunsDir


def compare_cli(
    runs: Annotated[
        list[str],
        typer.Argument(
            metavar="RUN…",
            autocompletion=completion.runs,
            help="Runs: paths, names, or `latest`; a name means all its runs.",
        ),
    ],
    checkpoint: CheckpointOption = "best",
    runs_dir: RunsDir = Path("runs"),
    as_json: Json = False,
) -> None:
    """Compare runs: what differs in their configs and results, mean ± sd over seeds, a paired test.

    Results on test are of each run's best checkpoint unless --checkpoint names another. The test (McNemar's for
    classification) needs `cnn eval --split test` of each run, on the same examples. Experiments with several runs,
    over seeds or folds, are compared over all of them: `cnn help comparing`.

    Example: cnn compare digits_lenet mnist_lenet5
    """
    from cnncli.runs.compare import compare
    from cnncli.runs.find import find_all
    from cnncli.tasks.task import get_task

    named = {run.path.resolve(): run for reference in runs for run in find_all(reference, runs_dir)}
    comparison = compare(list(named.values()), get_task, checkpoint)
    if as_json:
        print_json(comparison.to_json())
        return
    from cnncli.report.runs import comparison_lines

    for part in comparison_lines(comparison, out().width):
        out().print(part, markup=False)
