"""`cnn data`: what the examples are, before anything is trained on them."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cnncli.cli.console import err, measuring, print_json, print_note, print_page
from cnncli.cli.options import Fold, Json, RunsDir, Sets
from cnncli.cli.reference import load_reference

if TYPE_CHECKING:
    from cnncli.config.schema.schema import Config
    from cnncli.datasets import Splits
    from cnncli.datasets.boxes.writing import Converted
    from cnncli.errors import Problem


class BoxForm(StrEnum):
    """Whose files of boxes."""

    coco = "coco"
    voc = "voc"
    yolo = "yolo"


def data_cli(
    config: Annotated[
        str,
        typer.Argument(
            metavar="CONFIG|RUN|DATA",
            help="A YAML file, a network of the zoo, or a run; or the data: a folder, a .zip, .npz or .csv file.",
        ),
    ],
    samples: Annotated[
        Path | None,
        typer.Option(
            "--samples", metavar="PNG", help="Write a grid of examples with their labels, masks or boxes to this file."
        ),
    ] = None,
    labels: Annotated[
        Path | None,
        typer.Option(
            "--labels",
            metavar="PNG",
            help="Write where all boxes have their centres, how large they are and how many a class has to this file.",
        ),
    ] = None,
    to: Annotated[
        tuple[BoxForm, Path] | None,
        typer.Option("--to", metavar="FORM DIR", help="Write images and boxes into a new folder: coco, voc or yolo."),
    ] = None,
    rehash: Annotated[
        bool,
        typer.Option("--rehash", help="Read every file again, whatever the cache knows, and say where they differ."),
    ] = False,
    fold: Fold = None,
    sets: Sets = None,
    as_json: Json = False,
    runs_dir: RunsDir = Path("runs"),
) -> None:
    """Show the passport of the data: classes, counts, sizes, duplicates, files that cannot be read.

    Example: cnn data photos/
    Example: cnn data digits_lenet --samples samples.png
    Example: cnn data cells.yaml --to coco cells_coco
    """
    chosen = [] if fold is None else [f"data.fold={fold}"]
    loaded = _config(config, runs_dir, [*(sets or ()), *chosen])
    from cnncli.datasets import inspect
    from cnncli.datasets.problems import problems
    from cnncli.datasets.rehash import rehashing

    with measuring() as watch, rehashing() if rehash else nullcontext() as reread:
        splits = inspect(loaded, watch)
    detected = problems(loaded, splits.passport)
    if not loaded.nodes:  # there is no file with a line to show
        detected = tuple(replace(each, line=None, column=None, excerpt=None) for each in detected)
    _draw(loaded, splits, samples, labels)
    converted = None if to is None else _convert(splits, detected, *to)
    if as_json:
        document = _document(splits.passport, detected, samples)
        # Of data without boxes there is nothing to convert, and the document is what it always was.
        written: dict[str, Any] = {} if converted is None else {"converted": converted.to_json()}
        if labels is not None:
            written["labels"] = str(labels)
        print_json({**document, **written, "rehash": reread and reread.to_json()})
    else:
        _print(loaded, splits, detected)
        for name, file in (("samples", samples), ("labels", labels)):
            if file is not None:
                err().print(f"{name}: {file}", soft_wrap=True, markup=False)
        if converted is not None and to is not None:
            err().print(f"{to[0].value}: {to[1]}, {converted.to_text()}", soft_wrap=True, markup=False)
    if reread is not None:
        print_note(reread.to_text())
    if any(problem.severity == "error" for problem in detected):
        raise typer.Exit(1)


def _draw(config: Config, splits: Splits, samples: Path | None, labels: Path | None) -> None:
    """Write the pictures that are asked for."""
    from cnncli.tasks.task import get_task

    task = get_task(config.task)
    if samples is not None:
        task.draw_samples(splits, samples)
    if labels is not None:
        task.draw_labels(splits, labels)


def _convert(splits: Splits, detected: tuple[Problem, ...], form: BoxForm, folder: Path) -> Converted | None:
    """Write the examples in another form; not where some of them cannot be used, which is told after this."""
    if any(problem.code in ("E401", "E402") for problem in detected):
        return None
    from cnncli.datasets.boxes.convert import convert

    return convert(splits, form.value, folder)


def _config(reference: str, runs_dir: Path, overrides: list[str]) -> Config:
    """Return the config that a reference means, or what stands for one where it is the path of data."""
    from cnncli.config import zoo

    path = Path(reference)
    if zoo.find(reference) or (path / "run.json").is_file():
        return load_reference(reference, runs_dir, overrides)
    from cnncli.datasets.data_path import config_of, is_data

    if not is_data(path) or _holds_runs(path):
        return load_reference(reference, runs_dir, overrides)
    return config_of(path, overrides)


def _holds_runs(path: Path) -> bool:
    """Say whether a folder is that of a name's runs, as the shell completes it."""
    return next(path.glob("[!.]*/run.json"), None) is not None


def data_problems(config: Config) -> tuple[Problem, ...]:
    """Look at every example of a config, and return errors and warnings."""
    from cnncli.datasets import inspect
    from cnncli.datasets.problems import problems

    with measuring() as watch:
        return problems(config, inspect(config, watch).passport)


def _document(passport: dict[str, Any], detected: tuple[Problem, ...], samples: Path | None) -> dict[str, Any]:
    problems = [problem.to_json() for problem in detected]
    return {**passport, "problems": problems, "samples": None if samples is None else str(samples)}


def _print(config: Config, splits: Splits, detected: tuple[Problem, ...]) -> None:
    from cnncli.report.passport import passport_page
    from cnncli.report.problems import print_problems

    print_page(passport_page(config.name, splits.passport))
    if detected:
        err().print()
        print_problems(detected, err())
