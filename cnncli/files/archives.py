"""Zip archives read as what a stranger sent: what they may take is bounded before it is read."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cnncli.files.read import opener

MOST_MEMBERS = 1000
"""Most members of an archive that holds one network."""

DIRECTORY_BYTES = 2**20
"""Most bytes of such an archive's table of contents."""


@contextmanager
def open_zip(
    path: Path, *, most_members: int = MOST_MEMBERS, directory_bytes: int = DIRECTORY_BYTES
) -> Iterator[zipfile.ZipFile]:
    """Open a zip archive for reading.

    Args:
        path: A regular file.
        most_members: Most members that it may list.
        directory_bytes: Most bytes that its table of contents may have.

    Raises:
        OSError: If it cannot be opened, is no regular file or no zip archive, or lists more than it may.
    """
    with _File(io.FileIO(path, "rb", opener=opener())) as file:
        file.most = max(directory_bytes, _END_BYTES)
        try:
            archive = zipfile.ZipFile(file)
        except OSError:
            raise
        # A damaged table of contents meets all that Python raises for numbers and texts.
        except Exception as error:
            raise OSError(f"it is not a readable zip archive: {str(error)[:100]}") from error
        file.most = None
        with archive:
            if len(archive.infolist()) > most_members:
                raise OSError(f"it has {len(archive.infolist()):,} members; the limit is {most_members:,}")
            yield archive


def read_member(archive: zipfile.ZipFile, name: str, limit: int) -> bytes:
    """Return the content of one member.

    Args:
        archive: The open archive.
        name: The member.
        limit: Most bytes that it may have; what the archive says of that is not asked.

    Raises:
        KeyError: If there is no such member.
        OSError: If it is larger, damaged, encrypted or packed in an unknown way.
    """
    info = archive.getinfo(name)
    try:
        with archive.open(info) as member:
            content = member.read(limit + 1)
    except Exception as error:  # zlib, lzma and bz2 have errors of their own, encryption is a RuntimeError
        raise OSError(f"{name[:60]} cannot be unpacked: {str(error)[:100]}") from error
    if len(content) > limit:
        raise OSError(f"{name[:60]} has more than {limit:,} bytes, the most that is read here")
    return content


_END_BYTES = 2**17
"""Bytes at a file's end among which the table of contents is looked for."""


class _File(io.BufferedReader):
    """A file of which no more is read at once than `most`, where that is set: `zipfile` reads a directory whole."""

    most: int | None = None

    def read(self, size: int | None = -1, /) -> bytes:
        if self.most is not None and size is not None and size > self.most:
            raise OSError(f"its table of contents has {size:,} bytes; the limit is {self.most:,}")
        return super().read(size)
