"""`cnn data`: what the examples are, before anything is trained on them."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cnncli.cli.console import err, print_json, print_page
from cnncli.cli.reference import ConfigOrRun, load_reference
from cnncli.cli.train import Json, RunsDir, Sets

if TYPE_CHECKING:
    from cnncli.config.schema.schema import Config
    from cnncli.datasets import Splits
    from cnncli.errors import Problem


def data_cli(
    config: ConfigOrRun,
    samples: Annotated[
        Path | None, typer.Option("--samples", metavar="PNG", help="Draw a grid of labelled examples into this file.")
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
    found = problems(loaded, splits.passport)
    if samples is not None:
        from cnncli.datasets.samples import draw

        draw(splits, samples)
    if as_json:
        print_json(_document(splits.passport, found, samples))
    else:
        _print(loaded, splits, found)
        if samples is not None:
            err().print(f"samples: {samples}", soft_wrap=True, markup=False)
    if any(problem.severity == "error" for problem in found):
        raise typer.Exit(1)


def data_problems(config: Config) -> tuple[Problem, ...]:
    """Look at every example of a config, and return what is wrong or doubtful."""
    from cnncli.datasets import inspect
    from cnncli.datasets.problems import problems

    with measuring() as watch:
        return problems(config, inspect(config, watch).passport)


@contextmanager
def measuring() -> Iterator[Callable[[int, int], None]]:
    """Show on stderr how many files of how many are measured: a bar on a terminal, else a line now and then."""
    if not err().is_terminal:
        yield _lines()
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = TextColumn("measuring images"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    with Progress(*columns, console=err(), transient=True) as progress:
        task = progress.add_task("", total=None, visible=False)
        yield lambda done, total: progress.update(task, completed=done, total=total, visible=True)


def _lines(every: float = 10.0) -> Callable[[int, int], None]:
    told = time.monotonic()

    def tell(done: int, total: int) -> None:
        nonlocal told
        if time.monotonic() - told >= every:
            told = time.monotonic()
            sys.stderr.write(f"measured {done:,} of {total:,} images\n")
            sys.stderr.flush()

    return tell


def _document(passport: dict[str, Any], found: tuple[Problem, ...], samples: Path | None) -> dict[str, Any]:
    names = ("file", "line", "column", "path", "code", "severity", "message", "hint")
    listed = [{name: getattr(problem, name) for name in names} for problem in found]
    return {**passport, "problems": listed, "samples": None if samples is None else str(samples)}


def _print(config: Config, splits: Splits, found: tuple[Problem, ...]) -> None:
    from cnncli.report.passport import passport_page
    from cnncli.report.problems import print_problems

    print_page(passport_page(config.name, splits.passport))
    if found:
        err().print()
        print_problems(found, err())
