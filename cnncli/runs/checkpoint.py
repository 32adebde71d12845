"""One checkpoint: a directory with `arrays.bin` and the `manifest.json` that proves both whole."""

from __future__ import annotations

import errno
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cnncli.errors import CheckpointError
from cnncli.files import durable
from cnncli.files.read import read_bytes
from cnncli.runs import limits
from cnncli.runs.manifest import NAME, Damage, Manifest

if TYPE_CHECKING:
    from cnncli.runs.arrays import Array

ARRAYS, MANIFEST = "arrays.bin", "manifest.json"

DAMAGED = (errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.EIO, errno.ELOOP, errno.EINVAL, errno.EFBIG)
"""What a file of a checkpoint is read with that is gone, torn, a link, no regular file or far too large."""


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """A checkpoint as loaded, proven whole.

    Attributes:
        path: Its directory.
        step: Training step after which it was written.
        arrays: The arrays by name; they may be changed.
        meta: What the trainer added: plain data.
    """

    path: Path
    step: int
    arrays: dict[str, Array] = field(repr=False)
    meta: Mapping[str, Any] = field(repr=False)


@dataclass(frozen=True, eq=False)
class State:
    """What is to become a checkpoint.

    Attributes:
        step: Training step that it belongs to.
        best: Name of the best checkpoint so far, or None.
        arrays: Arrays of numbers by name.
        meta: Plain data to keep with them.
    """

    step: int
    best: str | None
    arrays: Mapping[str, Array] = field(repr=False)
    meta: Mapping[str, Any] = field(repr=False)


def write(directory: Path, state: State) -> None:
    """Write a checkpoint into a new directory and wait until all of it but the directory's name is on the disk.

    Raises:
        OSError: If the disk refuses.
    """
    from cnncli.runs import arrays as arrays_file

    durable.mkdir(directory)
    entries = arrays_file.layout(state.arrays)
    digest, size = sha256(), 0
    with durable.create(directory / ARRAYS) as file:
        for chunk in arrays_file.chunks(state.arrays, entries):
            digest.update(chunk)
            durable.write(file, chunk)
            size += len(chunk)
        durable.fsync(file)
    written = datetime.now().astimezone().isoformat(timespec="seconds")
    manifest = Manifest(state.step, state.best, written, size, digest.hexdigest(), entries, state.meta)
    durable.write_file(directory / MANIFEST, [manifest.to_bytes()])
    durable.fsync_directory(directory)


def read(directory: Path) -> Checkpoint:
    """Load a checkpoint.

    Raises:
        Damage: If it is not, to the last bit, what was written.
        CheckpointError: If this process may not or cannot read it, whole or not.
    """
    from cnncli.runs import arrays as arrays_file

    manifest = read_manifest(directory)
    with _reading(directory / ARRAYS) as path:
        return Checkpoint(directory, manifest.step, arrays_file.read(path, manifest), manifest.meta)


def read_manifest(directory: Path) -> Manifest:
    """Read what a checkpoint says of itself.

    Raises:
        Damage: If it is not, to the last character, what was written.
        CheckpointError: If this process may not or cannot read it, whole or not.
    """
    with _reading(directory / MANIFEST) as path:
        manifest = Manifest.from_bytes(read_bytes(path, limits.MANIFEST, follow=False))
    named = NAME.fullmatch(directory.name)
    if named is not None and int(named[1]) != manifest.step:
        # Whole, but another checkpoint's: it would name another best one without a word.
        raise Damage(f"{MANIFEST} is that of step {manifest.step}")
    return manifest


@contextmanager
def _reading(path: Path) -> Iterator[Path]:
    """Tell a file that is gone or that the disk cannot give back from one that is only out of reach now."""
    if path.parent.is_symlink():
        raise Damage(f"{path.parent.name} is a link, not a folder of the run's own")
    try:
        yield path
    except OSError as error:
        if error.errno in DAMAGED:
            raise Damage(f"{path.name} cannot be read: {error.strerror}") from error
        raise CheckpointError(f"{path} cannot be read: {error.strerror}") from error
