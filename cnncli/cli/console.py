"""Where the commands print: results on stdout, everything else on stderr."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from cnncli.errors import CnnError, ConfigError

if TYPE_CHECKING:
    from rich.console import Console

    from cnncli.report.page import Page


@lru_cache(maxsize=1)
def out() -> Console:
    """Return the console for results (stdout)."""
    from rich.console import Console

    return Console(highlight=False, soft_wrap=False)


@lru_cache(maxsize=1)
def err() -> Console:
    """Return the console for progress, log lines and errors (stderr)."""
    from rich.console import Console

    return Console(highlight=False, stderr=True)


def print_json(document: Any) -> None:
    """Print one JSON document alone on stdout."""
    sys.stdout.write(json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def print_line(text: str) -> None:
    """Print one line on stdout as it is, without markup or wrapping."""
    sys.stdout.write(text + "\n")


def print_page(page: Page) -> None:
    """Print a page: in a terminal in its width and with colours, elsewhere plain and with nothing cut off."""
    if _may_be_terminal() and out().is_terminal:
        out().print(page)
        return
    columns = os.environ.get("COLUMNS", "")
    print_line(page.text(int(columns) if columns.isdigit() else None))


def _may_be_terminal() -> bool:
    """Say whether rich could take stdout for a terminal, without the time that importing rich takes."""
    return sys.stdout.isatty() or "FORCE_COLOR" in os.environ or "TTY_COMPATIBLE" in os.environ


def print_note(text: str) -> None:
    """Print one line on stderr as it is."""
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


def print_error(error: CnnError) -> None:
    """Print a known error on stderr: what happened, then what to do."""
    if isinstance(error, ConfigError):
        from cnncli.report.problems import print_problems

        print_problems(error.problems, err())
        return
    from rich.text import Text

    whole_lines = not err().is_terminal
    code = f" {error.code}" if error.code else ""
    err().print(Text.assemble((f"error{code}: ", "bold red"), error.message), soft_wrap=whole_lines)
    if error.hint:
        err().print(Text(f"  {error.hint}"), soft_wrap=whole_lines)


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
    last_shown = time.monotonic()

    def show(done: int, total: int) -> None:
        nonlocal last_shown
        if time.monotonic() - last_shown >= every:
            last_shown = time.monotonic()
            sys.stderr.write(f"measured {done:,} of {total:,} images\n")
            sys.stderr.flush()

    return show
