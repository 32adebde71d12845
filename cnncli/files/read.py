"""Files opened for reading: regular files alone, and no more bytes of them than a reader can take.

A pipe would never end, a device such as /dev/zero neither; a link inside a run could lead to a file of somebody else.
"""

from __future__ import annotations

import errno
import json
import os
import stat
from collections.abc import Callable
from io import BufferedReader, TextIOWrapper
from pathlib import Path
from typing import Any, TextIO

DEEPEST = 64
"""Lists and mappings inside each other that a document may have: what reads it later calls itself for each."""

KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


def opener(*, follow: bool = True) -> Callable[[str, int], int]:
    """Return an `opener` for `open` and `FileIO` that refuses what is not a regular file.

    Args:
        follow: Whether a link is followed; if not, it is refused like a pipe.
    """
    extra = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
    if not follow:
        extra |= getattr(os, "O_NOFOLLOW", 0)

    def opened(path: str, flags: int) -> int:
        # O_TRUNC would empty what a link or a device leads to before it can be looked at.
        truncates = flags & os.O_TRUNC
        try:
            descriptor = os.open(path, (flags & ~os.O_TRUNC) | extra, 0o666)
        except OSError as error:
            if error.errno == errno.ELOOP and not follow:
                raise OSError(errno.ELOOP, "it is a link, which is not followed here", path) from error
            if error.errno == errno.ENXIO:  # A pipe that nobody reads, opened for writing.
                raise OSError(errno.EINVAL, "it is a pipe or a device, not a regular file", path) from error
            raise
        try:
            _refuse_other_kinds(descriptor, path)
            if truncates:
                os.ftruncate(descriptor, 0)
        except BaseException:
            os.close(descriptor)
            raise
        return descriptor

    return opened


def open_file(path: Path, *, follow: bool = True) -> BufferedReader:
    """Open a regular file for reading.

    Args:
        path: The file.
        follow: Whether a link may lead there.

    Raises:
        OSError: If it cannot be opened, or is a folder, a pipe, a device, or a link that is not to be followed.
    """
    return open(path, "rb", opener=opener(follow=follow))


def read_bytes(path: Path, limit: int, *, follow: bool = True) -> bytes:
    """Return what a regular file holds.

    Args:
        path: The file.
        limit: Most bytes that it may have.
        follow: Whether a link may lead there.

    Raises:
        OSError: As `open_file`, or if the file is larger than the limit.
    """
    with open_file(path, follow=follow) as file:
        content = file.read(limit + 1)
    if len(content) > limit:
        raise _too_large(path, limit)
    return content


def open_text(path: Path, limit: int, *, follow: bool = True) -> TextIO:
    """Open a regular text file of UTF-8 for reading, its line ends as they are.

    Args:
        path: The file.
        limit: Most bytes that it may have now.
        follow: Whether a link may lead there.

    Raises:
        OSError: As `open_file`, or if the file is larger than the limit.
    """
    file = open_file(path, follow=follow)
    if os.fstat(file.fileno()).st_size > limit:
        file.close()
        raise _too_large(path, limit)
    return TextIOWrapper(file, encoding="utf-8", newline="")


def _too_large(path: Path, limit: int) -> OSError:
    return OSError(errno.EFBIG, f"it is larger than {limit:,} bytes, the most that is read here", str(path))


def read_json(path: Path, limit: int, *, follow: bool = True) -> Any:
    """Return the document of a JSON file.

    Raises:
        OSError: As `read_bytes`.
        ValueError: If it is not UTF-8 or not JSON, or nested too deeply.
    """
    return parse_json(read_bytes(path, limit, follow=follow))


def parse_json(text: str | bytes) -> Any:
    """Return the document of a JSON text.

    Raises:
        ValueError: If it is not UTF-8 or not JSON, or nested too deeply.
    """
    try:
        document = json.loads(text)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    # Most documents have so few brackets that they need not be walked through.
    brackets = ("[", "{") if isinstance(text, str) else (b"[", b"{")
    if sum(map(text.count, brackets)) > DEEPEST and _depth(document) > DEEPEST:  # type: ignore[arg-type]
        raise ValueError(f"it is nested more than {DEEPEST} deep")
    return document


def _depth(document: Any) -> int:
    """Return how many lists and mappings lie inside each other, without calls inside each other."""
    depth, level = 0, [document]
    while level := [part for part in level if isinstance(part, dict | list)]:
        depth += 1
        level = [item for part in level for item in (part.values() if isinstance(part, dict) else part)]
    return depth


def _refuse_other_kinds(descriptor: int, path: str) -> None:
    mode = os.fstat(descriptor).st_mode
    if stat.S_ISREG(mode):
        return
    kind = next((name for is_kind, name in KINDS if is_kind(mode)), "something else")
    number = errno.EISDIR if stat.S_ISDIR(mode) else errno.EINVAL
    raise OSError(number, f"it is {kind}, not a regular file", path)
