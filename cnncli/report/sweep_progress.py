"""A sweep while it runs: a live table of what is trained on a terminal, one line a finished trial elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

from cnncli.report.dry_run import duration
from cnncli.report.grid import Column, Grid
from cnncli.report.sweep import NOTHING, params_text, trial_line, values_text
from cnncli.sweeps.directory import Trial
from cnncli.sweeps.progress import Progress, RunningTrial, Watch, metric_of

if TYPE_CHECKING:
    from rich.console import Console

BAR = 12
"""Characters of a trial's bar."""

NARROWEST_FOR_BAR = 70
"""Columns of a terminal below which the bars make room for the values."""


ECHO = len("^C")
"""Columns that are left free at the right: what the terminal shows of Ctrl-C must not begin another line."""


class LiveTrials(AbstractContextManager["LiveTrials"]):
    """What is trained now, below a line for each trial that was finished; it vanishes at the end.

    Args:
        console: A terminal.
        watch: Looks at the sweep.
    """

    def __init__(self, console: Console, watch: Watch) -> None:
        from rich.live import Live

        self._console, self._watch = console, watch
        self._live = Live(console=console, auto_refresh=False, transient=True)

    def __enter__(self) -> LiveTrials:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.update("", refresh=True)  # At its end, one that is higher than the screen would stay.
        self._live.stop()

    def tell(self, trial: Trial) -> None:
        """Leave a line above the table."""
        self._console.print(trial_line(trial), markup=False, no_wrap=True, overflow="ellipsis")

    def look(self) -> None:
        """Draw the table anew."""
        from rich.text import Text

        room = self._console.width - ECHO
        lines = [Text(line) for line in progress_lines(self._watch.look(), room)]
        for line in lines:
            line.truncate(room, overflow="ellipsis")
        self._live.update(Text("\n").join(lines), refresh=True)


def progress_lines(progress: Progress, width: int) -> Iterator[str]:
    """Yield what is shown of a sweep that runs; lines that are longer than the width are to be cropped."""
    total = sum(progress.counts.values()) - progress.counts.get("refused", 0) + len(progress.running)
    left = progress.seconds_left
    time = "" if left is None else f", about {duration(max(1, round(left)))} left"
    yield f"{progress.counts.get('done', 0)} of {total + progress.num_waiting} trials done{time}"
    counts = {"running": len(progress.running), "left": progress.num_waiting}
    states = ("pruned", "failed", "refused") if progress.sweep.rungs else ("failed", "refused")
    counts |= {state: progress.counts.get(state, 0) for state in states}
    yield ", ".join(f"{number} {state}" for state, number in counts.items())
    yield from _best_lines(progress)
    if progress.running:
        yield ""
        yield from _table(progress, width).lines(width)


def _best_lines(progress: Progress) -> Iterator[str]:
    """Yield for each objective the trial that is the best in it, with its values."""
    for name, direction in progress.sweep.objectives.items():
        if progress.best:
            chosen = (max if direction == "max" else min)(progress.best, key=lambda trial: (trial.values or {})[name])
            told = f"trial {chosen.proposal.number}, {values_text(chosen)} ({params_text(chosen.proposal)})"
            yield f"best {name.replace('_', ' ')}: {told}"


def _table(progress: Progress, width: int) -> Grid:
    has_bar = width >= NARROWEST_FOR_BAR
    columns = (
        Column("trial"),
        Column("epoch"),
        *([Column("", left=True)] if has_bar else []),
        Column(metric_of(progress.sweep).replace("_", " ")),
        Column("time"),
        Column("values", left=True, cut=True),
    )
    return Grid(columns, [_row(trial, has_bar) for trial in progress.running])


def _row(trial: RunningTrial, has_bar: bool) -> tuple[str, ...]:
    filled = round(BAR * min(1.0, trial.epoch / trial.epochs))
    return (
        str(trial.proposal.number),
        f"{trial.epoch}/{trial.epochs}",
        *(["━" * filled + "─" * (BAR - filled)] if has_bar else []),
        NOTHING if trial.value is None else f"{trial.value:.4f}",
        _clock(trial.seconds),
        params_text(trial.proposal),
    )


def _clock(seconds: float) -> str:
    """Return a time as a clock shows it: 0:07, 12:34, 1:02:03."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
