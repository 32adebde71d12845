"""`cnn eval`: how well a run's network does on a split."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cnncli.cli.console import out, print_json
from cnncli.cli.train import Json, RunsDir


def eval_cli(
    run: Annotated[str, typer.Argument(metavar="RUN", help="A run's path or name, or `latest`.")] = "latest",
    checkpoint: Annotated[str, typer.Option(help="best, last, or a checkpoint's path.")] = "best",
    split: Annotated[str, typer.Option(help="train, validation or test.")] = "test",
    runs_dir: RunsDir = Path("runs"),
    as_json: Json = False,
) -> None:
    """Measure a run on one split: accuracy with its 95 % interval, loss, and every class.

    Example: cnn eval latest --split test
    """
    from cnncli.runs.find import find

    found = find(run, runs_dir)
    from cnncli.engine.evaluate import evaluate

    evaluation = evaluate(found, checkpoint, split)
    document = evaluation.to_json()
    found.write_json(found.evaluation_file(split), document)
    if as_json:
        print_json(document)
        return
    from cnncli.report.evaluation import evaluation_table

    out().print(evaluation_table(document))
