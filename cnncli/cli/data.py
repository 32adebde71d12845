"""`cnn data`: what the examples are, before anything is trained on them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cnncli.cli.console import err, measuring, print_json, print_page
from cnncli.cli.options import ConfigOrRun, Json, RunsDir, Sets
from cnncli.cli.reference import load_reference

if TYPE_CHECKING:
    from cnncli.config.schema.schema import Config
    from cnncli.datasets import Splits
    from cnncli.errors import Problem


def data_cli(
    config: ConfigOrRun,
    samples: Annotated[
        Path | None, typer.Option("--samples", metavar="PNG", help="Write a grid of labelled examples to this file.")
    ] = None,
    sets: Sets = None,
    as_json: Json = False,
    runs_dir: RunsDir = Path("runs"),
) -> None:
    """Show the passport of the data: classes, counts, sizes, duplicates, files that cannot be read.

    Example: cnn data digits_lenet --samples samples.png
    """
    loaded = load_reference(config, runs_dir, list(sets or ()))
    from cnncli.datasets import inspect
    from cnncli.datasets.problems import problems

    with measuring() as watch:
        splits = inspect(loaded, watch)
    detected = problems(loaded, splits.passport)
    if samples is not None:
        from cnncli.datasets.samples import draw

        draw(splits, samples)
    if as_json:
        print_json(_document(splits.passport, detected, samples))
    else:
        _print(loaded, splits, detected)
        if samples is not None:
            err().print(f"samples: {samples}", soft_wrap=True, markup=False)
    if any(problem.severity == "error" for problem in detected):
        raise typer.Exit(1)


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
