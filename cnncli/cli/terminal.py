"""What a terminal hears of a command's work."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from cnncli.api.surroundings import Surroundings
from cnncli.cli.console import err, loading_tensorflow, measuring, print_note, telling

if TYPE_CHECKING:
    from cnncli.errors import Problem
    from cnncli.runs.events import Listener


def make_listener() -> Listener:
    """Return what shows progress: a live display on a terminal, plain lines elsewhere."""
    from cnncli.report.progress import LiveDisplay, PlainLines

    return LiveDisplay(err()) if err().is_terminal else PlainLines(err())


def print_warnings(problems: Sequence[Problem]) -> None:
    """Print what the static check doubts on stderr."""
    from cnncli.report.problems import print_problems

    print_problems(problems, err())


TERMINAL = Surroundings(print_note, print_warnings, make_listener, loading_tensorflow, telling, measuring)
"""Notes, warnings and progress on stderr."""
