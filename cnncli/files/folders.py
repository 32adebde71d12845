"""Folders that get their name when they are whole, and those that dead processes leave on the way."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from io import FileIO
from pathlib import Path
from secrets import token_hex

from cnncli.files import durable
from cnncli.files.locks import try_lock
from cnncli.files.read import open_file

LOCK = ".lock"
UNFINISHED = re.compile(r"\.new-([0-9a-f]{16}|(\d+)-.+)")
"""Names of folders for what is not whole yet; a number of a process is of an older version, which took no lock."""

FORMER = "former-"
OLD_VERSIONS = 3600.0
"""Seconds without a change after which what an older version began is given up."""


@contextmanager
def work_folder(parent: Path) -> Iterator[Path]:
    """Yield a new folder for what is not whole yet; it goes when the block ends, unless it has another name by then.

    Args:
        parent: Where it lies: what is made in it can be renamed to there.

    Raises:
        OSError: If the disk refuses.
    """
    folder = parent / f".new-{token_hex(8)}"
    durable.mkdir(folder)
    try:
        with _held(folder):
            yield folder
    finally:
        with suppress(OSError):
            durable.remove_tree(folder)


@contextmanager
def _held(folder: Path) -> Iterator[None]:
    # Windows renames no folder that has an open file in it.
    with nullcontext() if os.name == "nt" else durable.create(folder / LOCK) as file:
        if isinstance(file, FileIO):
            try_lock(file, warn=False)
        yield


def remove_unfinished(parent: Path) -> None:
    """Remove the folders of dead processes; what one of them was about to replace gets its name back.

    Args:
        parent: Where to look, not below it.
    """
    with suppress(OSError), os.scandir(parent) as entries:
        for name in [entry.name for entry in entries if UNFINISHED.fullmatch(entry.name)]:
            with suppress(OSError):
                if _is_abandoned(parent / name):
                    _put_back(parent / name)
                    durable.remove_tree(parent / name)


def _is_abandoned(path: Path) -> bool:
    match = UNFINISHED.fullmatch(path.name)
    patience = OLD_VERSIONS if match is None or match[2] else durable.STALE
    if time.time() - path.lstat().st_mtime < patience:
        return False
    try:
        with open_file(path / LOCK, follow=False) as file:
            return try_lock(file, warn=False)
    except (FileNotFoundError, NotADirectoryError):
        return os.name != "nt"


def _put_back(folder: Path) -> None:
    if folder.is_dir() and not folder.is_symlink():
        for former in folder.glob(f"{FORMER}*"):
            target = folder.with_name(former.name.removeprefix(FORMER))
            if not os.path.lexists(target):
                durable.rename(former, target)


def put(source: Path, target: Path) -> None:
    """Give a file or a folder, once it is on the disk, the name of another one, which goes: in one step if possible.

    Args:
        source: The new one, in a folder that is removed afterwards with all that is in it.
        target: The other. A link of that name is replaced, not followed.

    Raises:
        OSError: If the disk refuses.
    """
    durable.fsync_tree(source)
    if not source.is_dir():
        if target.is_dir() and not target.is_symlink():
            durable.rename(target, source.with_name(f"{FORMER}{target.name}"))
        durable.replace(source, target)
    else:
        if target.is_symlink() or target.is_file():
            durable.unlink(target)
        _put_folder(source, target)
    durable.fsync_directory(target.parent)


def take_name(source: Path, target: Path) -> bool:
    """Rename a folder unless another one has the name; return whether it was free.

    Raises:
        OSError: If the disk refuses.
    """
    try:
        durable.rename(source, target)  # Never replaces a folder that has something in it.
    except OSError:
        if not target.is_dir():
            raise
        return False
    return True


def _put_folder(source: Path, target: Path) -> None:
    """Rename a folder; a former one of that name is found in its place, or beside it, afterwards."""
    if take_name(source, target):
        return
    try:
        durable.exchange(source, target)
    except OSError:
        durable.rename(target, source.with_name(f"{FORMER}{target.name}"))
        durable.rename(source, target)
