"""A `.keras` file taken apart by hand: a zip archive of JSON and HDF5, of which nothing is trusted.

Keras's own reader turns what such a file says into Python objects; a file from elsewhere is a program to it.
This one reads two members, each with a limit, and makes nothing but text and arrays of them.
"""

from __future__ import annotations

import json
import stat
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path, PurePosixPath
from typing import Any

from cnncli.files.archives import open_zip
from cnncli.importing.graph import GraphImportError

MOST_TEXT = 2**24
"""Most bytes of a JSON member."""

_BLOCK = 2**20


class Archive:
    """A `.keras` file that has been looked through.

    Args:
        file: An open zip archive.
        where: What errors call it.
    """

    def __init__(self, file: zipfile.ZipFile, where: str) -> None:
        self._file, self._where = file, where
        members = file.infolist()
        for member in members:
            self._check(member)
        self._members = {member.filename: member for member in members}
        if len(self._members) < len(members):
            raise GraphImportError(f"{where} has two members with the same name")

    def _check(self, member: zipfile.ZipInfo) -> None:
        """Refuse a member that points outside, though none is ever unpacked."""
        path = PurePosixPath(member.filename.replace("\\", "/"))
        if not path.parts:
            raise GraphImportError(f"{self._where} has a member without a name")
        if path.is_absolute() or ".." in path.parts or ":" in path.parts[0]:
            raise GraphImportError(f"{self._where}: its member {member.filename!r} points outside the archive")
        if stat.S_ISLNK(member.external_attr >> 16):
            raise GraphImportError(f"{self._where}: its member {member.filename!r} is a link")

    def __contains__(self, name: str) -> bool:
        return name in self._members

    def text(self, name: str, most: int = MOST_TEXT) -> bytes:
        """Return a member of at most so many bytes."""
        return b"".join(self._blocks(name, most))

    def json(self, name: str) -> Any:
        """Return a member that is JSON."""
        try:
            return json.loads(self.text(name))
        except (ValueError, RecursionError) as error:
            raise GraphImportError(f"{self._where}: {name} is not valid JSON: {str(error)[:100]}") from None

    @contextmanager
    def unpacked(self, name: str, most: int) -> Iterator[Path]:
        """Give a member as a file in a folder of its own, which goes away with the block.

        It is a file with a name because h5py's way of reading Python's file objects kills the process: where it fails
        to open one, HDF5 still calls into Python when Python has ended.

        Args:
            name: The member, of which only the last part names the file.
            most: Bytes that it may have.
        """
        with tempfile.TemporaryDirectory(prefix="cnncli-") as folder:
            path = Path(folder) / PurePosixPath(name).name
            with path.open("wb") as target:
                for block in self._blocks(name, most):
                    target.write(block)
            yield path

    def _blocks(self, name: str, most: int) -> Iterator[bytes]:
        if name not in self._members:
            raise GraphImportError(
                f"{self._where} has no member {name}", "Save the model with Keras 3: model.save(….keras)."
            )
        total = 0
        try:
            with self._file.open(self._members[name]) as source:
                while block := source.read(_BLOCK):
                    total += len(block)
                    # What the archive says of sizes is not asked: a bomb lies about them.
                    if total > most:
                        raise GraphImportError(f"{self._where}: {name} has more than the limit of {most:,} bytes")
                    yield block
        except GraphImportError:
            raise
        except Exception as error:  # noqa: BLE001 - zlib, lzma and bz2 have errors of their own
            raise GraphImportError(f"{self._where}: {name} cannot be unpacked: {str(error)[:100]}") from None


@contextmanager
def open_archive(path: Path) -> Iterator[Archive]:
    """Open a `.keras` file.

    Raises:
        GraphImportError: If it is not a zip archive, or one that points outside itself.
    """
    with ExitStack() as stack:
        try:
            file = stack.enter_context(open_zip(path))
        except OSError as error:
            reason = f"{error.strerror or error}"
            raise GraphImportError(f"{path} is not a .keras file: {reason[:100]}") from None
        yield Archive(file, path.name)
