"""Only regular files are opened, and never more of them is read than was said."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from cnncli.files.read import open_file, parse_json, read_bytes, read_json


@pytest.fixture
def other_kinds(tmp_path: Path) -> dict[str, Path]:
    """Return what is not a regular file, by what messages call it."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    (tmp_path / "to_zero").symlink_to("/dev/zero")
    return {
        "a pipe": tmp_path / "pipe",
        "a folder": tmp_path / "folder",
        "a device": Path("/dev/zero"),
        "not a regular file": tmp_path / "to_zero",
    }


def test_only_regular_files_are_read(other_kinds: dict[str, Path]) -> None:
    """A pipe that nobody writes to does not hang, a device without end is not read."""
    for kind, path in other_kinds.items():
        with pytest.raises(OSError, match=kind):
            open_file(path)


def test_a_socket_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the system says of it."""
    monkeypatch.chdir(tmp_path)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("socket")
        with pytest.raises(OSError, match=r"socket|No such device"):
            open_file(tmp_path / "socket")


def test_links_are_followed_only_where_that_is_said(tmp_path: Path) -> None:
    """A user may link a data set; a file inside a run is never a link."""
    (tmp_path / "file").write_bytes(b"precious")
    (tmp_path / "link").symlink_to(tmp_path / "file")
    assert read_bytes(tmp_path / "link", 100) == b"precious"
    with pytest.raises(OSError, match="it is a link"):
        read_bytes(tmp_path / "link", 100, follow=False)


def test_a_limit_is_kept(tmp_path: Path) -> None:
    """A file of just so many bytes is read; one more is an error that names the limit."""
    (tmp_path / "file").write_bytes(b"12345")
    assert read_bytes(tmp_path / "file", 5) == b"12345"
    with pytest.raises(OSError, match="larger than 4 bytes"):
        read_bytes(tmp_path / "file", 4)


@pytest.mark.parametrize("text", ["[" * 200_000, '{"a":' * 200_000, "{", "\udcff", "1" * 5_000])
def test_what_is_no_document_is_a_value_error(text: str, tmp_path: Path) -> None:
    """Nesting without end, a torn file, bytes that are no text, a number without end: never another exception."""
    (tmp_path / "file").write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(ValueError, match=r"nested too deeply|Expecting|decode|digits"):
        read_json(tmp_path / "file", 10_000_000)


def test_a_document_is_read(tmp_path: Path) -> None:
    """Text and bytes alike."""
    (tmp_path / "file").write_text('{"a": [1, "é"]}', encoding="utf-8")
    assert read_json(tmp_path / "file", 100) == parse_json('{"a": [1, "é"]}') == {"a": [1, "é"]}
