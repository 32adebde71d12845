"""`cnn eval`: how well a run's network does on a split."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

import typer

from cnncli.cli.console import err, out, print_json, print_note, print_page
from cnncli.cli.train import Json, RunsDir

RunArgument = Annotated[str, typer.Argument(metavar="RUN", help="A run's path or name, or `latest`.")]
CheckpointOption = Annotated[str, typer.Option("--checkpoint", help="best, last, or a checkpoint's name or path.")]


def eval_cli(
    run: RunArgument = "latest",
    checkpoint: CheckpointOption = "best",
    split: Annotated[str, typer.Option(help="train, validation or test.")] = "test",
    data: Annotated[
        Path | None,
        typer.Option(help="Other examples instead: a folder of class folders, a .zip of one, an .npz or a .csv file."),
    ] = None,
    csv: Annotated[Path | None, typer.Option(help="Write every prediction into this file as well.")] = None,
    invariance: Annotated[
        bool, typer.Option("--invariance", help="Also measure shifted, turned, blurred, … images; takes a while.")
    ] = False,
    runs_dir: RunsDir = Path("runs"),
    as_json: Json = False,
) -> None:
    """Measure a run on one split: accuracy with its 95 % interval, loss, every class, calibration.

    The run keeps the numbers as evaluation-<split>.json and every prediction as predictions-<split>.csv.

    Example: cnn eval latest --split validation
    Example: cnn eval latest --data photos --csv answers.csv
    """
    from cnncli.runs.find import find

    found = find(run, runs_dir)
    from cnncli.engine.evaluate import examine, examine_elsewhere, keep

    examination = examine(found, checkpoint, split) if data is None else examine_elsewhere(found, checkpoint, data)
    document = keep(found, examination)
    profile = None
    if invariance:
        from cnncli.engine import invariance as profiles

        profile = profiles.profile(examination)
        profiles.keep(found, profile)
    if csv is not None:
        from cnncli.report.files import write_text
        from cnncli.report.predictions import evaluation_csv

        write_text(csv, evaluation_csv(examination.evaluation))
    if as_json:
        print_json({**document, "invariance": profile} if profile else document)
        return
    _print(document)
    if profile:
        from cnncli.report.evaluation_invariance import invariance_page

        out().print()
        print_page(invariance_page(profile))


def _print(document: dict[str, Any]) -> None:
    from cnncli.report.evaluation import evaluation_page

    known = out().is_terminal or "COLUMNS" in os.environ
    print_page(evaluation_page(document, out().width if known else None))
    for doubt in document["doubts"]:
        err().print(f"warning: {doubt}", style="yellow", markup=False, soft_wrap=True)
    if document["split"] == "test" and document["test_uses"] > 1:
        print_note(f"the test split has been used {document['test_uses']} times for this run")
