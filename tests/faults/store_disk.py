"""A disk that forgets: what a power failure may leave of a sequence of file operations.

`Recorder` stands in the place of the primitives of `cnncli.files.durable` and notes what they do.
`Disk` replays the notes up to a point and then loses power. What was not fsynced may be there or
not, one piece independently of the other: names of a directory that was not fsynced, and data of
a file that was not fsynced, where a lost piece reads as zeros or is missing from the end. Only
two things are promised, as POSIX has them: an fsync keeps, and a rename is one step.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import FileIO
from pathlib import Path
from typing import Any

from cnncli.files import durable

PRIMITIVES = (
    "create",
    "reopen",
    "write",
    "truncate",
    "fsync",
    "fsync_directory",
    "mkdir",
    "rename",
    "replace",
    "unlink",
    "rmdir",
)


@contextmanager
def intercepted(
    call: Callable[[str, Callable[..., Any], tuple[Any, ...]], Any], names: tuple[str, ...] = PRIMITIVES
) -> Iterator[None]:
    """Hand every primitive operation of these names to `call(name, primitive, arguments)` while the block runs."""
    originals = {name: getattr(durable, name) for name in names}

    def wrap(name: str, original: Callable[..., Any]) -> Callable[..., Any]:
        return lambda *arguments: call(name, original, arguments)

    for name, original in originals.items():
        setattr(durable, name, wrap(name, original))
    try:
        yield
    finally:
        for name, original in originals.items():
            setattr(durable, name, original)


@dataclass(frozen=True)
class Operation:
    """One primitive operation: its name, the paths it names, and the bytes or size it carries."""

    name: str
    paths: tuple[Path, ...]
    data: bytes | int | None = None


class Recorder:
    """Notes each operation after it was done."""

    def __init__(self) -> None:
        self.operations: list[Operation] = []

    def __call__(self, name: str, primitive: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
        """Do an operation and note it."""
        paths = tuple(Path(a.name if isinstance(a, FileIO) else a) for a in arguments if isinstance(a, (FileIO, Path)))
        rest = [a for a in arguments if not isinstance(a, (FileIO, Path))]
        data = None if not rest else rest[0] if isinstance(rest[0], int) else bytes(rest[0])
        result = primitive(*arguments)
        self.operations.append(Operation(name, paths, data))
        return result


def _part(data: bytes, rng: random.Random) -> bytes:
    """Return what is left of data that no fsync has reached: nothing, a beginning, or an end after zeros."""
    place = rng.randrange(len(data) + 1)
    return rng.choice([b"", data[:place], bytes(place) + data[place:]])


@dataclass
class File:
    """A file's bytes on the disk, and the changes that no fsync has reached."""

    durable: bytes = b""
    pending: list[bytes | int] = field(default_factory=list)

    def after(self, keep: Callable[[], bool], rng: random.Random) -> bytes:
        """Return what a power failure leaves."""
        content, size = bytearray(self.durable), len(self.durable)
        for change in self.pending:
            if isinstance(change, int):
                size = change
                if keep():
                    del content[change:]
                continue
            left = change if keep() else _part(change, rng)
            if left:
                content.extend(bytes(max(size - len(content), 0)))
                content[size:] = left
            size += len(change)
        return bytes(content)

    def fsync(self) -> None:
        """Bring all changes to the disk."""
        self.durable = self.after(lambda: True, random.Random())
        self.pending.clear()


@dataclass
class Folder:
    """A directory's names on the disk, and the changes that no fsync has reached: name to node, or to None."""

    durable: dict[str, File | Folder] = field(default_factory=dict)
    pending: list[dict[str, File | Folder | None]] = field(default_factory=list)

    def names(self, keep: Callable[[], bool] = lambda: True) -> dict[str, File | Folder]:
        """Return what a power failure leaves; by default what a living process sees."""
        names: dict[str, File | Folder | None] = dict(self.durable)
        for change in self.pending:
            if keep():
                names |= change
        return {name: node for name, node in names.items() if node is not None}

    def fsync(self) -> None:
        """Bring all changes to the disk."""
        self.durable, self.pending = self.names(), []


class Disk:
    """A folder of files, as it was found, and what was done to it since.

    Args:
        root: The folder; what is in it now counts as safe.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.tree = _scan(root)

    def apply(self, operation: Operation) -> None:
        """Do an operation."""
        first, *others = operation.paths
        parent = self._folder(first.parent)
        if operation.name == "create" or (operation.name == "reopen" and first.name not in parent.names()):
            parent.pending.append({first.name: File()})
        elif operation.name == "mkdir":
            parent.pending.append({first.name: Folder()})
        elif operation.name in ("write", "truncate"):
            assert operation.data is not None
            self._file(first).pending.append(operation.data)
        elif operation.name == "fsync":
            self._file(first).fsync()
        elif operation.name == "fsync_directory":
            self._folder(first).fsync()
        elif operation.name in ("rename", "replace"):
            parent.pending.append({first.name: None, others[0].name: parent.names()[first.name]})
        elif operation.name in ("unlink", "rmdir"):
            parent.pending.append({first.name: None})

    def lose_power(self, target: Path, kept: dict[str, float], rng: random.Random) -> None:
        """Write into a new folder what is left.

        Args:
            target: The folder.
            kept: Chance of each change that was not fsynced to be kept: of "names" and of "data".
            rng: Source of chance.
        """
        _write(self.tree, target, kept, rng)

    def _folder(self, path: Path) -> Folder:
        if not path.is_relative_to(self.root):
            return Folder()  # Above what is watched: nothing of the run lies there.
        node: File | Folder = self.tree
        for part in path.relative_to(self.root).parts:
            assert isinstance(node, Folder)
            node = node.names()[part]
        assert isinstance(node, Folder)
        return node

    def _file(self, path: Path) -> File:
        node = self._folder(path.parent).names()[path.name]
        assert isinstance(node, File)
        return node


def _scan(path: Path) -> Folder:
    """Read a folder as it is."""
    return Folder({p.name: _scan(p) if p.is_dir() else File(p.read_bytes()) for p in path.iterdir()})


def _write(folder: Folder, target: Path, kept: dict[str, float], rng: random.Random) -> None:
    """Write what a power failure leaves of a folder."""
    target.mkdir()
    for name, node in folder.names(lambda: rng.random() < kept["names"]).items():
        if isinstance(node, Folder):
            _write(node, target / name, kept, rng)
        else:
            (target / name).write_bytes(node.after(lambda: rng.random() < kept["data"], rng))
