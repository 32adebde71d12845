"""Files that are written bit by bit."""

from __future__ import annotations

from pathlib import Path

import pytest

from cnncli.errors import CnnError
from cnncli.report.files import text_file


def test_the_name_is_given_at_the_end(tmp_path: Path) -> None:
    """Until the file is complete, an older one of that name stays; nothing else is left over."""
    path = tmp_path / "made" / "rows.csv"
    for text in ("one\n", "two ü\n"):
        before = path.read_text(encoding="utf-8") if path.exists() else None
        with text_file(path) as file:
            file.write(text)
            file.flush()
            assert (path.read_text(encoding="utf-8") if path.exists() else None) == before
        assert path.read_text(encoding="utf-8") == text
        assert list(path.parent.iterdir()) == [path]


def test_what_fails_leaves_nothing(tmp_path: Path) -> None:
    """An error on the way leaves the older file, and no half one."""
    path = tmp_path / "rows.csv"
    path.write_text("old", encoding="utf-8")

    def write_half() -> None:
        with text_file(path) as file:
            file.write("half")
            raise KeyError

    with pytest.raises(KeyError):
        write_half()
    assert path.read_text(encoding="utf-8") == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    """What a link points to is written."""
    target, link = tmp_path / "target", tmp_path / "link"
    target.write_text("old", encoding="utf-8")
    link.symlink_to(target)
    with text_file(link) as file:
        file.write("new")
    assert link.is_symlink()
    assert target.read_text(encoding="utf-8") == "new"


def test_a_device_is_written_as_it_is() -> None:
    """A device is not replaced by a file."""
    with text_file(Path("/dev/null")) as file:
        file.write("gone")
    assert Path("/dev/null").is_char_device()


def test_a_folder_that_refuses_is_named(tmp_path: Path) -> None:
    """A file where a folder should be: one line that names the path."""
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(CnnError, match=r"rows\.csv cannot be written"), text_file(tmp_path / "file" / "rows.csv"):
        pass
