"""What hears of a command's work while it goes on: a terminal, a notebook, a log."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cnncli.datasets.scan import Watch
    from cnncli.errors import Problem
    from cnncli.runs.events import Listener


@dataclass(frozen=True)
class Surroundings:
    """What hears of a piece of work besides its result.

    Attributes:
        tell: Hears a sentence that a user should read.
        warn: Hears what the static check doubts of a config.
        listener: Makes what shows a training's progress.
        importing: Is entered while TensorFlow is imported.
        doing: Is entered with what is done, "loading the run", while that may take long.
        measuring: Is entered while files are measured; what it gives hears how many of how many.
    """

    tell: Callable[[str], None]
    warn: Callable[[Sequence[Problem]], None]
    listener: Callable[[], Listener]
    importing: Callable[[], AbstractContextManager[None]]
    doing: Callable[[str], AbstractContextManager[None]]
    measuring: Callable[[], AbstractContextManager[Watch]]


def _tell(text: str) -> None:
    sys.stderr.write(f"{text}\n")


def _warn(problems: Sequence[Problem]) -> None:
    for problem in problems:
        _tell(f"warning: {problem.message}")


def _plain_lines() -> Listener:
    """Return what writes a line an epoch, which notebooks and logs keep."""
    from rich.console import Console

    from cnncli.report.progress import PlainLines

    return PlainLines(Console(stderr=True, force_jupyter=False))


def _ignore(_number: int, _total: int) -> None:
    """Hear how many files of how many are measured, and say nothing."""


STDERR = Surroundings(
    _tell, _warn, _plain_lines, nullcontext, lambda _what: nullcontext(), lambda: nullcontext(_ignore)
)
"""Plain lines on stderr, for scripts and notebooks."""
