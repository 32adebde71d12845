"""Which images a user means."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cnncli.datasets.pictures import pictures
from cnncli.errors import DataError


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the working folder with images in folders, a text and a hidden file."""
    (tmp_path / "in ner").mkdir()
    for name in ("b.png", "a.jpg", "in ner/c.bmp", ".hidden.png"):
        Image.fromarray(np.zeros((4, 4), np.uint8)).save(tmp_path / name)
    (tmp_path / "notes.txt").write_text("not an image", encoding="utf-8")
    (tmp_path / "[1].png").write_bytes((tmp_path / "b.png").read_bytes())
    monkeypatch.chdir(tmp_path)
    return tmp_path


def names(references: list[str], piped: bytes | None = None) -> list[str]:
    """Return the names of the pictures."""
    return [p.name for p in pictures(references, None if piped is None else io.BytesIO(piped))]


def test_files_come_as_they_are_named(folder: Path) -> None:
    """Order and repetition are the user's; what is named is taken, whatever it is called."""
    assert names(["b.png", "a.jpg", "b.png", "notes.txt"]) == ["b.png", "a.jpg", "b.png", "notes.txt"]


def test_folders_are_searched(folder: Path) -> None:
    """Folders within come too, in the order of names; hidden files and other kinds do not."""
    assert names(["."]) == ["[1].png", "a.jpg", "b.png", "in ner/c.bmp"]
    assert names(["in ner"]) == ["in ner/c.bmp"]


def test_patterns_match(folder: Path) -> None:
    """One star stays in a folder, two go into folders; a file that is named like a pattern is a file."""
    assert names(["*.png"]) == ["[1].png", "b.png"]
    assert names(["**/*.bmp"]) == ["in ner/c.bmp"]
    assert names([str(folder / "*.jpg")]) == [str(folder / "a.jpg")]
    assert names(["[1].png"]) == ["[1].png"]


@pytest.mark.parametrize("separator", ["\n", "\r\n", "\0"])
def test_paths_from_standard_input(folder: Path, separator: str) -> None:
    """Paths come one a line, or as `find -print0` writes them."""
    piped = separator.join(["a.jpg", "in ner/c.bmp", ""]).encode()
    assert names(["-"], piped) == ["a.jpg", "in ner/c.bmp"]


def test_an_image_from_standard_input(folder: Path) -> None:
    """An image is taken as it is."""
    content = (folder / "b.png").read_bytes()
    (found,) = pictures(["-"], io.BytesIO(content))
    assert (found.name, found.content()) == ("-", content)


@pytest.mark.parametrize("reference", ["missing.png", "*.gif", "empty"])
def test_nothing_is_an_error(folder: Path, reference: str) -> None:
    """What leads to no image is reported at once."""
    (folder / "empty").mkdir()
    with pytest.raises(DataError, match=reference.replace("*", r"\*")):
        names([reference])


@pytest.mark.parametrize("piped", [b"", b"\xff\xfe\x00\x80garbage"])
def test_other_standard_input_is_an_error(folder: Path, piped: bytes) -> None:
    """Neither an image nor paths."""
    with pytest.raises(DataError, match="standard input"):
        names(["-"], piped)
