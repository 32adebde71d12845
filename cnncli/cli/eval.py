"""`cnn eval`: how well a run's network does on a split."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cnncli.api.evaluation import evaluate
from cnncli.cli.console import err, out, print_json, print_note, print_page, telling
from cnncli.cli.moved import MovedSet, moved_path
from cnncli.cli.options import CheckpointOption, Json, RunOrArtifact, RunsDir, Trust
from cnncli.cli.terminal import TERMINAL

if TYPE_CHECKING:
    from cnncli.tasks.pages import Pages


LEAST_SCALE, MOST_SCALE = 0.1, 10.0


def eval_cli(
    run: RunOrArtifact = "latest",
    checkpoint: CheckpointOption = "best",
    split: Annotated[str, typer.Option(help="train, validation or test.")] = "test",
    data: Annotated[
        Path | None,
        typer.Option(
            help="Evaluate on other examples: a folder of class folders, a .zip of one, an .npz or a .csv file. "
            "Where their content is the run's own, they have moved, and --split says which are measured."
        ),
    ] = None,
    sets: MovedSet = None,
    tta: Annotated[
        bool,
        typer.Option("--tta", help="Test-time augmentation: average over flipped and shifted images, as in training."),
    ] = False,
    tta_scales: Annotated[
        str | None,
        typer.Option(
            "--tta-scales",
            metavar="SCALES",
            help="Segmentation and detection: also average over the images at these scales, 0.75,1,1.25; with --tta, "
            "of each view.",
        ),
    ] = None,
    csv: Annotated[Path | None, typer.Option(help="Also write every prediction to this file.")] = None,
    invariance: Annotated[
        bool, typer.Option("--invariance", help="Also evaluate on shifted, rotated, blurred, … images; takes a while.")
    ] = False,
    trust: Trust = False,
    runs_dir: RunsDir = Path("runs"),
    as_json: Json = False,
) -> None:
    """Evaluate a run or an exported network: accuracy with its 95 % interval, loss, every class, calibration.

    Results are saved in the run as evaluation-<split>.json, predictions as predictions-<split>.csv; of another
    checkpoint than the best, under names that end in the checkpoint's.

    Example: cnn eval latest --split validation
    Example: cnn eval latest --data photos --csv predictions.csv
    """
    from cnncli.runs.find import find
    from cnncli.serving.kinds import kind_of
    from cnncli.tasks.measurement import EvaluationOptions
    from cnncli.tasks.task import get_task
    from cnncli.workers import parent

    parent.watch()
    moved = moved_path(None, sets)
    if data is not None and moved is not None:
        raise typer.BadParameter("use either --data or --set data.path")
    scales = _scales(tta_scales)
    not_kept: list[str] = []
    predictions: Callable[[], str]
    document: dict[str, Any]
    if kind_of(Path(run)) is not None:
        asked = {
            "--checkpoint": checkpoint != "best",
            "--tta": tta,
            "--tta-scales": bool(scales),
            "--invariance": invariance,
        }
        _refuse(option for option, is_asked in asked.items() if is_asked)
        from cnncli.cli.artifact import open_artifact
        from cnncli.serving.evaluate import evaluate_artifact

        with telling(f"loading {run}"):
            artifact = open_artifact(Path(run), trust=trust)
        with telling(f"reading and measuring {f'the {split} split' if data is None else data}"):
            measured, document = evaluate_artifact(artifact, Path(run), split, data, runs_dir, moved, not_kept.append)
        task, predictions = measured.task, measured.result.csv
    else:
        options = EvaluationOptions(checkpoint, split, moved or data, tta, moved is not None, scales)
        found = find(run, runs_dir)
        evaluation = evaluate(found, options, replace(TERMINAL, tell=not_kept.append))
        task, document, predictions = found.config().task, evaluation, evaluation.csv
        if data is not None and document["data"] is None:
            print_note(f"{data} holds the run's own examples: its {split} split is measured")
        if invariance:
            document["invariance"] = evaluation.invariance()
    if csv is not None:
        from cnncli.report.files import write_text

        write_text(csv, predictions())
    if as_json:
        print_json(document)
    else:
        print_evaluation(document, get_task(task).pages)
    for sentence in not_kept:
        print_note(f"warning: {sentence}")


def _refuse(options: Iterable[str]) -> None:
    """Refuse the first of some options, for an exported network is one set of weights that reads images of one size."""
    for option in options:
        raise typer.BadParameter(f"{option} needs a run, not an exported network")


def _scales(text: str | None) -> tuple[float, ...]:
    """Return the numbers of a list such as 0.75,1,1.25, the smallest first."""
    try:
        found = sorted(float(part) for part in (text or "").split(",")) if text is not None else []
    except ValueError:
        found = [0.0]
    if len(set(found)) < len(found) or not all(LEAST_SCALE <= scale <= MOST_SCALE for scale in found):
        raise typer.BadParameter(
            f'--tta-scales is "{text}"; it takes different numbers from {LEAST_SCALE:g} to {MOST_SCALE:g}: 0.75,1,1.25'
        )
    return tuple(found)


def print_evaluation(document: dict[str, Any], pages: Pages) -> None:
    """Print what an evaluation holds, then on stderr what must be known of it."""
    known = out().is_terminal or "COLUMNS" in os.environ
    print_page(pages.page(document, out().width if known else None))
    if "invariance" in document:
        from cnncli.tasks.invariance_page import invariance_page

        out().print()
        print_page(invariance_page(document["invariance"]))
    for doubt in document["doubts"]:
        err().print(f"warning: {doubt}", style="yellow", markup=False, soft_wrap=True)
    if document["split"] == "test" and document["test_uses"] > 1:
        print_note(f"the test split has been used {document['test_uses']} times for this run")
