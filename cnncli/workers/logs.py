"""What the workers other than the chief print: a file each, `N.log`, in the folder `workers` of their run.

Until the run exists the files lie in a hidden folder beside the runs. A file that is moved stays open in its worker.
"""

from __future__ import annotations

import logging
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from io import FileIO
from pathlib import Path

from cnncli.errors import RunError
from cnncli.files import durable, folders
from cnncli.files.read import open_file
from cnncli.runs.run import Run

log = logging.getLogger(__name__)

BEGINS = re.compile(r"Traceback \(most recent call last\):|error( [A-Z]\d+)?: ")
"""How the first line of an error begins: Python's own, and a known one as `cnn` prints it."""

CHAINED = (
    "During handling of the above exception, another exception occurred:",
    "The above exception was the direct cause of the following exception:",
)
"""What Python prints between two tracebacks of which the first one says why the second came."""

LAST_LINES = 10
"""Lines that are shown of a log in which no error begins."""

LAST_BYTES = 1 << 18
"""The part of a log that is searched for an error: one with its traceback takes much less."""


class Logs:
    """The logs of one command's workers.

    Args:
        folder: Where they lie at first.
        run: Path of the run that they belong to, or None while there is none.
    """

    def __init__(self, folder: Path, run: Path | None = None) -> None:
        self._folder = folder
        self._run = run
        self._starts: dict[int, int] = {}

    def path(self, rank: int) -> Path:
        """Return where a worker's log is now."""
        return self._folder / f"{rank}.log"

    def open(self, rank: int, attempt: int) -> FileIO:
        """Open a worker's log to add to it, after a line that says which attempt begins.

        Raises:
            OSError: If the disk refuses, or something else than a file has its name.
        """
        file = durable.reopen(self.path(rank))
        try:
            time = datetime.now().astimezone().isoformat(sep=" ", timespec="seconds")
            durable.write(file, f"{_line_end(file)}=== worker {rank}, attempt {attempt}, {time} ===\n".encode())
        except BaseException:
            file.close()
            raise
        self._starts[rank] = file.tell()
        return file

    def move_to(self, run: Path) -> None:
        """Move the logs into their run, now that it exists; a second call does nothing."""
        if self._run is not None:
            return
        self._run = run
        # The run's folder may be a link to another disk: there they are copied in the end.
        with suppress(OSError, RunError):
            target = _folder_of(run)
            for path in self._files():
                durable.replace(path, target / path.name)
            self._folder = target

    def copy_rest(self) -> None:
        """Copy into the run what could not be moved there."""
        if self._run is None or self._folder.parent == self._run:
            return
        try:
            target = _folder_of(self._run)
            for path in self._files():
                shutil.copyfile(path, target / path.name, follow_symlinks=False)
        except (OSError, RunError) as error:
            log.warning("the workers' logs cannot be kept in %s: %s", self._run, error)

    def last_error(self, rank: int) -> str:
        """Return the error, whole, with which a worker's latest attempt ended; without one the last lines it wrote."""
        try:
            with open_file(self.path(rank), follow=False) as file:
                size = os.fstat(file.fileno()).st_size
                file.seek(max(self._starts.get(rank, 0), size - LAST_BYTES))
                return _last_error(file.read(LAST_BYTES).decode(errors="replace"))
        except OSError:
            return ""

    def _files(self) -> list[Path]:
        return [path for rank in sorted(self._starts) if (path := self.path(rank)).exists()]


@contextmanager
def kept(runs_dir: Path, run: Path | None) -> Iterator[Logs]:
    """Yield the logs of a command's workers; what dead launchers left beside the runs goes.

    Args:
        runs_dir: Folder of all runs; made when missing.
        run: Path of the run, or None where the command is to make a new one.

    Raises:
        OSError: If the disk refuses.
        RunError: If the run has something else where its logs are to be.
    """
    if run is not None:
        yield Logs(_folder_of(run), run)
        return
    is_new = not runs_dir.is_dir()
    durable.make_directories(runs_dir)
    folders.remove_unfinished(runs_dir)
    try:
        with folders.work_folder(runs_dir) as folder:
            logs = Logs(folder)
            try:
                yield logs
            finally:
                logs.copy_rest()
    finally:
        if is_new:
            with suppress(OSError):  # There is a run in it.
                durable.rmdir(runs_dir)


def _folder_of(run: Path) -> Path:
    """Return the folder of a run's logs, made when missing."""
    owner = Run(run)
    folder = owner.own(owner.workers_dir)
    durable.make_directories(folder)
    return folder


def _line_end(file: FileIO) -> str:
    """Return what ends a line that a killed worker left unfinished."""
    size = file.seek(0, os.SEEK_END)
    if size == 0:
        return ""
    file.seek(size - 1)
    return "" if file.read(1) == b"\n" else "\n"


def _last_error(text: str) -> str:
    lines = text.rstrip().split("\n")
    first = max(len(lines) - LAST_LINES, 0)
    for number in (number for number in reversed(range(len(lines))) if BEGINS.match(lines[number])):
        first = number
        if number < 2 or lines[number - 2] not in CHAINED:
            break
    return "\n".join(lines[first:])
