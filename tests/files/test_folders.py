"""A folder has its name when it is whole; what dead processes leave goes, and what they were replacing comes back."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from cnncli.files import durable
from cnncli.files.folders import put, remove_unfinished, work_folder

MAKES = """
import sys, time
from pathlib import Path
from cnncli.files.folders import work_folder
with work_folder(Path(sys.argv[1])) as folder:
    (folder / "part").write_text("half", encoding="utf-8")
    print(folder.name, flush=True)
    time.sleep(3600)
"""


def fill(path: Path, text: str) -> Path:
    """Make a folder with a file and a folder in it."""
    (path / "inner").mkdir(parents=True)
    (path / "inner" / "file").write_text(text, encoding="utf-8")
    return path


def text_in(path: Path) -> str:
    """Return what a folder of `fill` holds."""
    return (path / "inner" / "file").read_text(encoding="utf-8")


def age(path: Path, seconds: float = 7200) -> None:
    """Let a file or folder look as if it had been changed a while ago."""
    os.utime(path, (time.time() - seconds,) * 2)


def test_a_work_folder_goes_with_its_block(tmp_path: Path) -> None:
    """However that ends; a folder in it that was renamed stays."""
    with work_folder(tmp_path) as folder:
        fill(folder / "new", "text").rename(tmp_path / "kept")
    with pytest.raises(FileExistsError), work_folder(tmp_path) as folder:
        [fill(folder / "new", "text") for _ in range(2)]
    assert list(tmp_path.iterdir()) == [tmp_path / "kept"]


def test_a_killed_process_leaves_a_folder_that_the_next_removes(
    tmp_path: Path, started: Callable[..., subprocess.Popen[str]]
) -> None:
    """Once a minute has passed; a folder of a living process stays however old it is."""
    process = started([sys.executable, "-c", MAKES, tmp_path], stdout=subprocess.PIPE)
    assert process.stdout is not None
    folder = tmp_path / process.stdout.readline().strip()
    age(folder)
    remove_unfinished(tmp_path)
    assert (folder / "part").exists()
    process.send_signal(signal.SIGKILL)
    process.wait()
    age(folder, 5)
    remove_unfinished(tmp_path)
    assert (folder / "part").exists()
    age(folder)
    remove_unfinished(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_what_older_versions_left_goes_too(tmp_path: Path) -> None:
    """Files and folders that carry the number of a process; not a user's own, and of a link only the link."""
    fill(tmp_path / ".new-123-digits", "half")
    (tmp_path / ".new-123-digits.onnx").write_text("half", encoding="utf-8")
    mine, precious = fill(tmp_path / ".new-things", "mine"), fill(tmp_path / "precious", "mine")
    (tmp_path / f".new-{16 * 'a'}").symlink_to(precious)
    for path in tmp_path.iterdir():
        os.utime(path, (time.time() - 7200,) * 2, follow_symlinks=False)
    remove_unfinished(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {mine.name, precious.name}
    assert (text_in(mine), text_in(precious)) == ("mine", "mine")


def refuse(*_: object) -> None:
    """Stand for what a disk cannot do."""
    raise OSError(22, "Invalid argument")


@pytest.mark.parametrize("can_exchange", [True, False])
def test_a_folder_takes_the_place_of_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, can_exchange: bool
) -> None:
    """In one step where the system can; else by way of a name that comes back if the process dies in between."""
    if not can_exchange:
        monkeypatch.setattr(durable, "exchange", refuse)
    target = tmp_path / "target"
    for text in ("old", "new"):
        with work_folder(tmp_path) as folder:
            put(fill(folder / "target", text), target)
        assert text_in(target) == text
        assert list(tmp_path.iterdir()) == [target]


def test_a_folder_that_was_moved_aside_comes_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where its process died before the new one had the name."""
    target = fill(tmp_path / "target", "old")
    renames = []

    def die_at_the_second(source: Path, destination: Path) -> None:
        renames.append(destination)
        if destination == target and len(renames) > 2:
            raise KeyboardInterrupt
        source.rename(destination)

    monkeypatch.setattr(durable, "exchange", refuse)
    monkeypatch.setattr(durable, "rename", die_at_the_second)
    monkeypatch.setattr(durable, "remove_tree", refuse)
    with pytest.raises(KeyboardInterrupt), work_folder(tmp_path) as folder:
        put(fill(folder / "target", "new"), target)
    monkeypatch.undo()
    assert not target.exists()
    age(folder)
    remove_unfinished(tmp_path)
    assert text_in(target) == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_a_link_is_replaced_and_not_followed(tmp_path: Path) -> None:
    """Neither by a folder nor by a file; a file also takes the place of a folder."""
    precious = fill(tmp_path / "precious", "mine")
    target = tmp_path / "target"
    target.symlink_to(precious)
    with work_folder(tmp_path) as folder:
        put(fill(folder / "new", "new"), target)
    assert (text_in(target), text_in(precious)) == ("new", "mine")
    with work_folder(tmp_path) as folder:
        (folder / "new").write_text("file", encoding="utf-8")
        put(folder / "new", target)
    assert target.read_text(encoding="utf-8") == "file"
    target.unlink()
    target.symlink_to(precious / "inner" / "file")
    with work_folder(tmp_path) as folder:
        (folder / "new").write_text("file", encoding="utf-8")
        put(folder / "new", target)
    assert not target.is_symlink()
    assert text_in(precious) == "mine"


def test_removing_a_tree_ends_at_links(tmp_path: Path) -> None:
    """Also where the tree itself is one."""
    precious = fill(tmp_path / "precious", "mine")
    fill(tmp_path / "tree", "text")
    (tmp_path / "tree" / "link").symlink_to(precious)
    (tmp_path / "link").symlink_to(precious)
    durable.remove_tree(tmp_path / "tree")
    durable.remove_tree(tmp_path / "link")
    assert list(tmp_path.iterdir()) == [precious]
    assert text_in(precious) == "mine"
