"""A training run on the screen: a live line on a terminal, one plain line an epoch elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from cnncli.plural import counted
from cnncli.runs.events import EpochDone, Started, StepsDone

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress as Bar


STAR = " *"
"""Behind the row of an epoch that is better than all before it."""


def _epoch_line(event: EpochDone, epochs: int) -> str:
    width = len(str(epochs))
    penalty = event.train.get("regularization_loss")
    added = f" (regularization loss {penalty:.4f})" if penalty is not None else ""
    parts = [
        f"epoch {event.epoch:>{width}}/{epochs}",
        f"loss {event.train['loss']:.4f}{added}",
        *_others(event.train),
    ]
    if event.validation:
        parts.append(" ".join([f"validation loss {event.validation['loss']:.4f}", *_others(event.validation)]))
    parts += [
        f"{event.images_per_second:,.0f} images/s",
        f"{event.seconds:.1f} s",
        f"learning rate {event.learning_rate:.3g}",
    ]
    return "  ".join(parts) + ("  *" if event.is_best else "")


def _others(metrics: Mapping[str, float]) -> list[str]:
    """Return the metrics besides the loss, each with its value."""
    aside = ("loss", "regularization_loss")
    return [f"{name} {value:.4f}" for name, value in metrics.items() if name not in aside]


def _opening(event: Started) -> str:
    validation = f", {event.num_validation:,} for validation" if event.num_validation else ", no validation split"
    resumed = f", resumes after step {event.resumed_at:,}" if event.resumed_at is not None else ""
    return (
        f"{event.num_params:,} parameters, {event.num_examples:,} training examples{validation}, "
        f"{counted(event.epochs, 'epoch')} of {counted(event.steps_per_epoch, 'step')}, on {event.device}{resumed}"
    )


class PlainLines:
    """One line an epoch, for logs and pipes.

    Args:
        console: Where to write; never wrapped or coloured.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._epochs = 0

    def started(self, event: Started) -> None:
        """Write what is trained, and on what."""
        self._epochs = event.epochs
        self.noted(_opening(event))
        for note in event.notes:
            self.noted(note)

    def steps_done(self, event: StepsDone) -> None:
        """Write nothing: a log is not a terminal."""

    def epoch_done(self, event: EpochDone) -> None:
        """Write the epoch's numbers."""
        self.noted(_epoch_line(event, self._epochs))

    def noted(self, text: str) -> None:
        """Write one line."""
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)

    def ended(self) -> None:
        """Write nothing."""


class LiveDisplay:
    """A table that grows by a row an epoch, above a bar with the numbers of the running one.

    Args:
        console: A terminal.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._bar: Bar | None = None
        self._started: Started | None = None

    def started(self, event: Started) -> None:
        """Show what is trained, the table's head, and the bar."""
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        self._started = event
        self._console.print(_opening(event), markup=False, highlight=False)
        for note in event.notes:
            self.noted(note)
        for line in _head(event, self._console.width):
            self._console.print(line, style="bold", markup=False, highlight=False)
        columns = [TextColumn("{task.description}", markup=False), BarColumn(bar_width=None)]
        columns += [TextColumn("{task.fields[numbers]}", markup=False), TimeRemainingColumn(compact=True)]
        self._bar = Progress(*columns, console=self._console, transient=True, expand=True)
        done = event.resumed_at or 0
        total = event.epochs * event.steps_per_epoch
        self._bar.add_task("compiling the training step", total=total, completed=done, numbers="")
        self._bar.start()

    def steps_done(self, event: StepsDone) -> None:
        """Move the bar."""
        if self._bar is None or self._started is None:
            return
        steps, width = self._started.steps_per_epoch, self._console.width
        metric = _metrics(self._started)[0]
        numbers = f"loss {event.metrics['loss']:.4f}"
        numbers += f"  {metric} {event.metrics[metric]:.4f}" if width >= 80 and metric in event.metrics else ""
        numbers += f"  {event.images_per_second:,.0f} images/s" if width >= 60 else ""
        numbers += f"  rate {event.learning_rate:.2g}" if width >= 100 else ""
        step = f"  step {event.batch}/{steps}" if width >= 80 else ""
        self._bar.update(
            self._bar.task_ids[0],
            completed=(event.epoch - 1) * steps + event.batch,
            description=f"epoch {event.epoch}/{self._started.epochs}{step}",
            numbers=numbers,
        )

    def epoch_done(self, event: EpochDone) -> None:
        """Add the epoch's row to the table."""
        epochs = self._started.epochs if self._started else event.epoch
        metrics = _metrics(self._started) if self._started else ("loss", "loss")
        room = _room(self._started, self._console.width) if self._started else 0
        text = _row(event, epochs, metrics, room)
        self._console.print(text, markup=False, highlight=False, style="bold" if event.is_best else "")

    def noted(self, text: str) -> None:
        """Leave a line above the bar."""
        self._console.print(text, markup=False, highlight=False, style="yellow")

    def ended(self) -> None:
        """Take the bar away."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None


def _metrics(event: Started) -> tuple[str, str]:
    """Return the metric that is shown of the training examples, and that of the validation split."""
    return event.training_metric or event.metric, event.metric


def _head(event: Started, width: int) -> list[str]:
    """Return the two lines above the table's columns."""
    epoch, (training, validation) = _epoch_width(event.epochs), _metrics(event)
    groups, names = " " * epoch + f"{'training':>18}", "epoch".rjust(epoch) + f"{'loss':>9}{training:>9}"
    if event.num_validation:
        groups, names = groups + f"{'validation':>20}", names + f"{'loss':>11}{validation:>9}"
    names += "".join((f"{'images/s':>11}", f"{'rate':>10}")[: _room(event, width)])
    return ["* marks the best epoch so far", groups, names]


def _room(started: Started, width: int) -> int:
    """Return how many of the last columns, images/s and rate, the width has room for, and for the star."""
    taken = _epoch_width(started.epochs) + 18 + (20 if started.num_validation else 0) + len(STAR)
    return 2 if taken + 21 <= width else int(taken + 11 <= width)


def _epoch_width(epochs: int) -> int:
    return max(5, 2 * len(str(epochs)) + 1)


def _row(event: EpochDone, epochs: int, metrics: tuple[str, str], room: int) -> str:
    """Return an epoch's row of the table; a star marks the best so far."""
    training, validation = metrics
    text = f"{event.epoch}/{epochs}".rjust(5) + f"{event.train['loss']:>9.4f}{event.train[training]:>9.4f}"
    text = text.rjust(_epoch_width(epochs) + 18)
    if event.validation:
        text += f"{event.validation['loss']:>11.4f}{event.validation[validation]:>9.4f}"
    text += "".join((f"{event.images_per_second:>11,.0f}", f"{event.learning_rate:>10.2g}")[:room])
    return text + (STAR if event.is_best else "")
