"""Which images a user means."""

from __future__ import annotations

import io
import os
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cnncli.datasets.pictures import pictures
from cnncli.datasets.store import Folder
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


def test_names_are_those_of_the_listing(tmp_path: Path) -> None:
    """The names that come without a look at each file are those that the data's listing has, in its order."""
    for name in (
        "a.jpg",
        "a/b.jpg",
        "a-b/c.jpg",
        "a b/d.jpg",
        "a/b/e.jpg",
        "a0/f",
        ".git/g.jpg",
        "__MACOSX/h.jpg",
        "é.png",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "a/round").symlink_to(tmp_path)
    (tmp_path / "linked.jpg").symlink_to(tmp_path / "a.jpg")
    (tmp_path / "linked").symlink_to(tmp_path / "a0")
    (tmp_path / "nowhere.jpg").symlink_to(tmp_path / "none")
    (tmp_path / "itself.jpg").symlink_to(tmp_path / "itself.jpg")
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe.jpg")
    found = list(Folder(tmp_path).names())
    assert found == Folder(tmp_path).listing().names
    assert len(found) == 9


def test_names_are_cheap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of each file of a large folder, little more than its name is kept, and no more is needed on the way."""
    number = 20_000
    monkeypatch.setattr(Folder, "names", lambda _: (f"IMG_{i:07}.jpg" for i in range(number)))
    tracemalloc.start()
    try:
        found = pictures([str(tmp_path)])
        now, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(found) == number
    assert max(now, peak) < 120 * number
    assert [one.name for one in found][-1] == str(tmp_path / "IMG_0019999.jpg")


def test_groups_keep_their_order(folder: Path) -> None:
    """Files, folders and patterns may be mixed; a folder may be named by its whole path."""
    below = str(folder / "in ner")
    found = pictures(["b.png", "in ner", "a.jpg", "*.jpg", below])
    assert [one.name for one in found] == ["b.png", "in ner/c.bmp", "a.jpg", "a.jpg", f"{below}/c.bmp"]
    assert len(found) == 5
    assert list(found) == list(found)


@pytest.mark.parametrize(
    ("name", "taken"),
    [("a.JPG", True), ("a", True), ("a.b.x9", True), ("a.tar.gz", False), ("a.jpg.gz", True), ("a.html", False)],
)
def test_what_names_say(folder: Path, name: str, taken: bool) -> None:
    """A file of a folder is left out if its name says that it is something else."""
    (folder / "in ner" / name).write_bytes(b"")
    assert (f"in ner/{name}" in names(["in ner"])) == taken


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
