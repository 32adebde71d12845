"""A zip file of images, read in place: nothing is unpacked, so nothing can be written anywhere."""

from __future__ import annotations

import os
import stat
import struct
import zipfile
import zlib
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from cnncli.datasets.images import MAX_BYTES
from cnncli.datasets.stamps import Stamp, stamp_of, table
from cnncli.datasets.store import Listing, is_junk
from cnncli.errors import DataError
from cnncli.files.archives import open_zip
from cnncli.files.read import open_file

MAX_ENTRIES = 5_000_000
"""Most entries that an archive may list."""

MAX_DIRECTORY_BYTES = 2**29
"""Most bytes that an archive's table of contents may have."""

SLACK = 2**20
"""Bytes by which it may be larger than all that it lists: empty files have more to them there than in their place."""

_END = struct.Struct("<4s4H2LH")
_LOCATOR = struct.Struct("<4sLQL")
_LARGE_END = struct.Struct("<4sQ2H2L4Q")
_ENCRYPTED = 0x1


class Archive:
    """A zip file as a store of image files.

    Only regular entries inside the archive are listed, stored or deflated; every other one (a
    link, a path that leads outside, an encrypted, repeated or overlapping one) is reported as bad.

    Args:
        path: The zip file.

    Raises:
        DataError: If it is missing, no zip file, or lists more than the limits allow.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._entries: dict[str, zipfile.ZipInfo] = {}
        self._bad: list[tuple[str, str]] = []
        self._folders: list[str] = []
        self._ignored = 0
        with _open(path) as file:
            self._stamp = stamp_of(os.fstat(file.fileno()))
            self._end = file.seek(0, 2)
            infos = _infos(file, path)
        self._list(infos)

    @property
    def identity(self) -> str:
        """What the archive is known by in the cache."""
        return f"zip:{self.path.resolve()}"

    def listing(self) -> Listing:
        """Return what the archive holds, in the order of the names."""
        names = sorted(self._entries)
        infos = [self._entries[name] for name in names]
        return Listing(
            names=names,
            stamps=table([(info.file_size, info.CRC, *self._stamp) for info in infos]),
            folders=sorted(self._folders),
            bad=sorted(self._bad),
            ignored=self._ignored,
        )

    def stamp(self, name: str) -> Stamp:
        """Return an entry's size and checksum, and what the system says of the archive now."""
        info = self._entries[name]
        return info.file_size, info.CRC, *stamp_of(self.path.stat())

    def read(self, name: str) -> bytes:
        """Return one entry's content, checked against its size and checksum.

        Raises:
            DataError: If it is damaged or larger than it says.
        """
        info = self._entries[name]
        if info.file_size > MAX_BYTES:
            raise DataError(f"{name}: the file has {info.file_size:,} bytes; the limit is {MAX_BYTES:,}")
        raw = self._raw(info)
        content = raw if info.compress_type == zipfile.ZIP_STORED else _inflate(raw, info.file_size, name)
        if len(content) != info.file_size or zlib.crc32(content) != info.CRC:
            raise DataError(f"{name}: the archive is damaged (wrong size or checksum)")
        return content

    def _raw(self, info: zipfile.ZipInfo) -> bytes:
        with _open(self.path) as file:
            file.seek(info.header_offset)
            header = file.read(30)
            if len(header) < 30 or header[:4] != b"PK\x03\x04":
                raise DataError(f"{info.filename}: the archive is damaged (missing entry)")
            name_length, extra_length = struct.unpack("<HH", header[26:30])
            file.seek(name_length + extra_length, 1)
            return file.read(min(info.compress_size, MAX_BYTES + 2**20))

    def _list(self, infos: list[zipfile.ZipInfo]) -> None:
        for info in infos:
            name = info.filename
            if info.is_dir():
                self._folders.append(name.rstrip("/"))
            elif is_junk(name):
                self._ignored += 1
            elif (reason := self._refused(info)) is not None:
                self._bad.append((name, reason))
            else:
                self._entries[name] = info
        self._folders = [name for name in self._folders if name and not is_junk(name) and _is_inside(name)]
        self._refuse_overlaps()

    def _refused(self, info: zipfile.ZipInfo) -> str | None:
        kind = stat.S_IFMT(info.external_attr >> 16)
        if not _is_inside(info.filename):
            return "the path leads outside the archive"
        if kind not in (0, stat.S_IFREG):
            return "not a regular file"
        if info.flag_bits & _ENCRYPTED:
            return "encrypted"
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            return f"unsupported compression method {info.compress_type}; expected stored or deflated"
        if info.filename in self._entries:
            return "the name appears twice in the archive"
        return None

    def _refuse_overlaps(self) -> None:
        """Refuse entries that share bytes: a small file could otherwise stand for any amount of data."""
        end = 0
        for name, info in sorted(self._entries.items(), key=lambda item: item[1].header_offset):
            if info.header_offset < end or info.header_offset + info.compress_size > self._end:
                self._bad.append((name, "overlaps another file, or ends outside the archive"))
                del self._entries[name]
            end = max(end, info.header_offset + 30 + info.compress_size)


def _open(path: Path) -> BinaryIO:
    try:
        return open_file(path)
    except OSError as error:
        reason = error.strerror or error
        raise DataError(f"{path} cannot be opened: {reason}", hint="Set data.path to the file.") from error


def _infos(file: BinaryIO, path: Path) -> list[zipfile.ZipInfo]:
    try:
        directory_bytes = _directory_bytes(file)
        if directory_bytes > MAX_DIRECTORY_BYTES:
            raise DataError(f"{path}: the table of contents is too large ({directory_bytes:,} bytes)")
        if directory_bytes > SLACK + file.seek(0, 2) // 2:
            raise DataError(f"{path}: the table of contents is larger than all that it lists, which must overlap")
        # The size is asked again where it is read: an archive may have two such sizes.
        with open_zip(path, most_members=MAX_ENTRIES, directory_bytes=SLACK + directory_bytes) as archive:
            infos = archive.infolist()
    except (zipfile.BadZipFile, NotImplementedError, OSError, ValueError, struct.error, UnicodeError) as error:
        raise DataError(f"{path} is not a readable zip file: {error}") from error
    return infos


def _directory_bytes(file: BinaryIO) -> int:
    """Return the claimed size of the table of contents without reading it."""
    size = file.seek(0, 2)
    file.seek(max(0, size - 65_557))
    tail = file.read()
    place = tail.rfind(b"PK\x05\x06")
    if place < 0 or len(tail) - place < _END.size:
        raise zipfile.BadZipFile("it has no table of contents")
    directory_bytes = int(_END.unpack_from(tail, place)[5])
    locator = place - _LOCATOR.size
    if locator < 0 or tail[locator : locator + 4] != b"PK\x06\x07":
        return directory_bytes
    file.seek(_LOCATOR.unpack_from(tail, locator)[2])
    end = file.read(_LARGE_END.size)
    return int(_LARGE_END.unpack(end)[8]) if end[:4] == b"PK\x06\x06" and len(end) == _LARGE_END.size else 0


def _inflate(raw: bytes, size: int, name: str) -> bytes:
    unpacker = zlib.decompressobj(-15)
    try:
        return unpacker.decompress(raw, size + 1)
    except zlib.error as error:
        raise DataError(f"{name}: the archive is damaged ({error})") from error


def _is_inside(name: str) -> bool:
    path = PurePosixPath(name)
    return not (path.is_absolute() or ".." in path.parts or "\\" in name or ":" in path.parts[0] or "\0" in name)
