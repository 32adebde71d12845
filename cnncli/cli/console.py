"""Where the commands print: results on stdout, everything else on stderr."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from cnncli.cli.streams import OutputError
from cnncli.errors import CnnError, ConfigError
from cnncli.files.characters import json_safe, visible

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress

    from cnncli.report.page import Page


@lru_cache(maxsize=1)
def out() -> Console:
    """Return the console for results (stdout)."""
    return _console(stderr=False)


@lru_cache(maxsize=1)
def err() -> Console:
    """Return the console for progress, log lines and errors (stderr)."""
    return _console(stderr=True)


def _console(*, stderr: bool) -> Console:
    """Return a console that shows control characters in texts, so that no terminal obeys them."""
    from rich.console import Console, ConsoleOptions, RenderableType
    from rich.segment import Segment

    class VisibleConsole(Console):
        """Escapes what is to be shown; the console's own control codes are added later."""

        def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
            for segment in super().render(renderable, options):
                yield segment if segment.control else Segment(visible(segment.text), segment.style)

    return VisibleConsole(highlight=False, stderr=stderr)


def print_json(document: Any) -> None:
    """Print one JSON document alone on stdout."""
    _write(_json(document) + "\n")


def _write(text: str) -> None:
    """Write on stdout; raises OutputError where that cannot be done."""
    try:
        sys.stdout.write(text)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise OutputError.of(error) from error


def _json(document: Any) -> str:
    """Return a document as text that every encoding of stdout has, and that reads back as the same document."""
    is_unicode = (sys.stdout.encoding or "").lower().startswith("utf")
    return json_safe(json.dumps(document, indent=2, ensure_ascii=not is_unicode, allow_nan=False))


def print_line(text: str) -> None:
    """Print a line on stdout, or several, without markup or wrapping."""
    _write("\n".join(map(visible, text.split("\n"))) + "\n")


def print_page(page: Page) -> None:
    """Print a page: in a terminal in its width and with colours, elsewhere plain and with nothing cut off."""
    if _may_be_terminal() and out().is_terminal:
        out().print(page)
        return
    columns = os.environ.get("COLUMNS", "")
    print_line(page.text(int(columns) if columns.isascii() and columns.isdigit() else None))


def _may_be_terminal() -> bool:
    """Say whether rich could take stdout for a terminal, without the time that importing rich takes."""
    return sys.stdout.isatty() or "FORCE_COLOR" in os.environ or "TTY_COMPATIBLE" in os.environ


def print_note(text: str) -> None:
    """Print a line on stderr, or several, without markup or wrapping."""
    sys.stderr.write("\n".join(map(visible, text.split("\n"))) + "\n")
    sys.stderr.flush()


def telling(what: str) -> AbstractContextManager[None]:
    """Say on stderr what is being done while a block runs: on a terminal after a second, else after ten as `Count`.

    Args:
        what: "loading TensorFlow".
    """
    from cnncli.runs.events import told_if_slow

    return told_if_slow(print_note, what, after=1.0 if sys.stderr.isatty() else 10.0)


@contextmanager
def loading_tensorflow() -> Iterator[None]:
    """Say so on a terminal while TensorFlow is imported, and take the line away after it.

    It is said at once: what is written to stderr while TensorFlow is imported is held back, for its log.
    """
    is_shown = sys.stderr.isatty() and "tensorflow" not in sys.modules
    if is_shown:
        sys.stderr.write("loading TensorFlow …")
        sys.stderr.flush()
    try:
        yield
    finally:
        if is_shown:
            sys.stderr.write("\r\x1b[K")
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


def print_json_list(documents: Iterable[Any]) -> None:
    """Print a list as `print_json` does, each entry as soon as it is there."""
    first = True
    for document in documents:
        text = _json(document).replace("\n", "\n  ")
        _write(("[\n  " if first else ",\n  ") + text)
        first = False
    _write("[]\n" if first else "\n]\n")


class Count:
    """How many images of how many are done, on stderr: a bar on a terminal, else a line now and then.

    Args:
        doing: What the bar says, "measuring".
        done: What the lines say, "measured".
        every: Seconds between two lines.
    """

    def __init__(self, doing: str, done: str, every: float = 10.0) -> None:
        self._doing, self._done, self._every = doing, done, every
        self._shown = time.monotonic()
        self._bar: Progress | None = None

    def __call__(self, done: int, total: int) -> None:
        """Show the progress."""
        if err().is_terminal:
            self._move_bar(done, total)
        elif time.monotonic() - self._shown >= self._every:
            self._shown = time.monotonic()
            print_note(f"{self._done} {done:,} of {total:,} images")

    def hide(self) -> None:
        """Take the bar away, so that something else can be printed; the next call brings it back."""
        if self._bar is not None:
            self._bar.stop()

    def _move_bar(self, done: int, total: int) -> None:
        if self._bar is None:
            from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

            columns = TextColumn(f"{self._doing} images"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
            self._bar = Progress(*columns, console=err(), transient=True)
            self._bar.add_task("", total=total)
        self._bar.start()
        self._bar.update(self._bar.task_ids[0], completed=done, total=total)


@contextmanager
def measuring() -> Iterator[Callable[[int, int], None]]:
    """Show how many files of how many are measured."""
    count = Count("measuring", "measured")
    try:
        yield count
    finally:
        count.hide()
