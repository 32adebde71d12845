"""Data that would take all memory or never end: refused before they are read."""

from __future__ import annotations

import io
import os
import struct
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cnncli.config.schema.schema import Data
from cnncli.datasets import arrays, pictures
from cnncli.datasets.archive import Archive
from cnncli.datasets.layout import by_csv
from cnncli.datasets.sources import from_path
from cnncli.errors import DataError

posix = pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX pipes and devices")


def read_cifar(path: Path) -> Any:
    """Read an original CIFAR archive."""
    from cnncli.datasets.builtin import read_cifar as read

    return read("cifar10", path)


READERS: dict[str, Callable[[Path], Any]] = {
    ".npz": arrays.read,
    ".csv": by_csv,
    ".zip": Archive,
    ".tar.gz": read_cifar,
    ".pgm": lambda path: pictures.Picture(str(path)).content(),
}


@posix
@pytest.mark.parametrize("suffix", READERS)
def test_what_is_no_regular_file_is_refused(tmp_path: Path, suffix: str) -> None:
    """A pipe would be waited for, a device would never end: neither is read, also not through a link."""
    pipe, device = tmp_path / f"pipe{suffix}", tmp_path / f"device{suffix}"
    os.mkfifo(pipe)
    device.symlink_to("/dev/zero")
    for path in (pipe, device):
        with pytest.raises(DataError, match="regular file"):
            READERS[suffix](path)


@posix
def test_a_data_path_that_is_a_pipe_is_refused(tmp_path: Path) -> None:
    """As a config or `cnn data` names it."""
    data = Data(source="folder", path="x", image_size=(8, 8))
    for suffix in (".npz", ".csv", ".zip"):
        os.mkfifo(tmp_path / f"x{suffix}")
        with pytest.raises(DataError, match="regular file"):
            from_path(tmp_path / f"x{suffix}", data, None, None)


def test_npz_bomb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Arrays packed a thousandfold are refused by their size, those packed as images are not."""
    monkeypatch.setattr(arrays, "MAX_INFLATED", 2**20)
    path = tmp_path / "x.npz"
    np.savez_compressed(path, x=np.zeros((2000, 28, 28), np.uint8), y=np.zeros(2000, np.int64))
    with pytest.raises(DataError, match=r"would grow from [\d,]+ to 1,584,\d+ bytes"):
        arrays.read(path)
    np.savez(path, x=np.zeros((2000, 28, 28), np.uint8), y=np.zeros(2000, np.int64))
    assert len(arrays.read(path).images["train"]) == 2000


def test_npz_that_does_not_fit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Arrays larger than the free memory are refused before they are read."""
    path = tmp_path / "x.npz"
    np.savez(path, x=np.zeros((20, 8, 8), np.uint8), y=np.zeros(20, np.int64))
    monkeypatch.setattr(arrays, "available_memory", lambda: 1000)
    with pytest.raises(DataError, match="only 1,000 bytes of memory are free"):
        arrays.read(path)
    monkeypatch.setattr(arrays, "available_memory", lambda: None)
    assert len(arrays.read(path).images["train"]) == 20


@pytest.mark.parametrize(("place", "value", "reason"), [(6, 1, "encrypted"), (8, 99, "compression")])
def test_npz_encrypted_or_packed_otherwise(tmp_path: Path, place: int, value: int, reason: str) -> None:
    """Flags and methods that `zipfile` raises its own errors for."""
    buffer = io.BytesIO()
    np.savez(buffer, x=np.zeros((20, 8, 8), np.uint8), y=np.zeros(20, np.int64))
    content = bytearray(buffer.getvalue())
    for mark, offset in ((b"PK\x03\x04", place), (b"PK\x01\x02", place + 2)):
        start = -1
        while (start := content.find(mark, start + 1)) >= 0:
            struct.pack_into("<H", content, start + offset, value)
    path = tmp_path / "x.npz"
    path.write_bytes(content)
    with pytest.raises(DataError, match=f"is not a readable .npz file: .*{reason}"):
        arrays.read(path)


def test_csv_without_an_end_of_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A line is read up to a limit, a file too."""
    path = tmp_path / "x.csv"
    path.write_text("file,label\n" + "a," * 600_000, encoding="utf-8")
    with pytest.raises(DataError, match="a line has more than 1,048,576 characters"):
        by_csv(path)
    monkeypatch.setattr("cnncli.datasets.layout.MAX_TABLE_BYTES", 1000)
    with pytest.raises(DataError, match="has 1,200,011 bytes; the limit is 1,000"):
        by_csv(path)


def directory(number: int) -> bytes:
    """Return a zip file with a small image that its table of contents lists so many times."""
    local = struct.pack("<4sH26x", b"PK\x03\x04", 20)
    entries = b"".join(
        struct.pack("<4s6H3L5H2L", b"PK\x01\x02", 20, 20, 0, 0, 0, 0, 0, 0, 0, 13, 0, 0, 0, 0, 0, 0) + b"a/%07d.png" % i
        for i in range(number)
    )
    end = struct.pack("<4sQ2H2L4Q", b"PK\x06\x06", 44, 45, 45, 0, 0, number, number, len(entries), len(local))
    locator = struct.pack("<4sLQL", b"PK\x06\x07", 0, len(local) + len(entries), 1)
    small = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, number % 65536, number % 65536, 100, len(local), 0)
    return local + entries + end + locator + small


def test_zip_of_overlapping_members(tmp_path: Path) -> None:
    """A table of contents larger than what it lists is refused unread, also where a smaller size stands beside."""
    path = tmp_path / "x.zip"
    path.write_bytes(directory(40_000))
    with pytest.raises(DataError, match="larger than all that it lists"):
        Archive(path)


def test_an_archive_with_a_larger_table_than_it_may_have(tmp_path: Path) -> None:
    """What holds a network: neither many members nor a large table of contents."""
    from cnncli.files.archives import open_zip

    path = tmp_path / "x.keras"
    path.write_bytes(directory(40_000))
    with pytest.raises(OSError, match="its table of contents has"), open_zip(path):
        pass
    with zipfile.ZipFile(path, "w") as archive:
        for number in range(1001):
            archive.writestr(f"{number}", b"")
    with pytest.raises(OSError, match="it has 1,001 members; the limit is 1,000"), open_zip(path):
        pass


def test_a_member_that_inflates(tmp_path: Path) -> None:
    """Of a member no more is unpacked than it may have, whatever the archive says."""
    from cnncli.files.archives import open_zip, read_member

    path = tmp_path / "x.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a", bytes(5000))
    with open_zip(path) as archive:
        assert read_member(archive, "a", 5000) == bytes(5000)
        with pytest.raises(OSError, match="a has more than 4,999 bytes"):
            read_member(archive, "a", 4999)
        with pytest.raises(KeyError):
            read_member(archive, "b", 1)


class Endless(io.RawIOBase):
    """Zeros without end, which count how many have been read."""

    given = 0

    def read(self, size: int | None = -1) -> bytes:  # type: ignore[override]
        """Return so many zeros."""
        assert size is not None
        assert size >= 0
        self.given += size
        return bytes(size)


def test_standard_input_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """An image has a size, and so have the paths of images."""
    monkeypatch.setattr(pictures, "MOST_PIPED", 5000)
    monkeypatch.setattr(pictures, "MOST_PATHS", 4000)
    zeros: Any = Endless()
    with pytest.raises(DataError, match="standard input has more than 5,000 bytes"):
        pictures.pictures(["-"], zeros)
    assert zeros.given == 5001
    with pytest.raises(DataError, match="more than 4,000 bytes of paths"):
        pictures.pictures(["-"], io.BytesIO(b"\0" * 4500))
    assert list(pictures.pictures(["-"], io.BytesIO(b"\0" * 3000))) == []
