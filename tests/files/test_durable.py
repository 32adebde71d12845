"""A file has its old content or its new one, and what dead writers leave is removed."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cnncli.files import durable

KILLED = """
import os, signal, sys
from pathlib import Path
from cnncli.files import durable
with durable.replacement(Path(sys.argv[1])) as file:
    durable.write(file, b"half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def age(path: Path) -> None:
    """Let a file look as if it had been changed an hour ago."""
    os.utime(path, (time.time() - 3600,) * 2)


def test_a_block_that_fails_leaves_the_old_file(tmp_path: Path) -> None:
    """And nothing beside it."""
    target = tmp_path / "file"
    target.write_text("old", encoding="utf-8")
    with pytest.raises(TypeError), durable.replacement(target) as file:
        durable.write(file, None)  # type: ignore[arg-type]
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    assert target.read_text(encoding="utf-8") == "old"
    with durable.replacement(target) as file:
        durable.write(file, b"new")
        assert target.read_text(encoding="utf-8") == "old"
    assert target.read_text(encoding="utf-8") == "new"


def test_temporary_names_do_not_hang_on_the_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two containers may give their processes equal numbers."""
    monkeypatch.setattr(os, "getpid", lambda: 1)
    assert len({durable.temporary_name(tmp_path / "file") for _ in range(100)}) == 100


def test_a_killed_writer_leaves_the_old_file_and_its_leftover_goes(tmp_path: Path) -> None:
    """A leftover stays for a minute, then anyone removes it; one that is being written stays whatever its age."""
    target = tmp_path / "file"
    target.write_text("old", encoding="utf-8")
    assert subprocess.run([sys.executable, "-c", KILLED, target], check=False).returncode == -9
    assert target.read_text(encoding="utf-8") == "old"
    (leftover,) = tmp_path.glob(".file.*.tmp")
    durable.remove_leftovers(tmp_path)
    assert leftover.exists()
    age(leftover)
    with durable.replacement(target) as file:
        alive = Path(str(file.name))
        age(alive)
        durable.remove_leftovers(tmp_path)
        assert (leftover.exists(), alive.exists()) == (False, True)


def test_a_link_is_replaced_and_not_followed(tmp_path: Path) -> None:
    """Neither a replaced file nor an appended line reaches what a link in a run leads to."""
    precious = tmp_path / "precious"
    precious.write_text("mine", encoding="utf-8")
    link = tmp_path / "link"
    link.symlink_to(precious)
    with pytest.raises(OSError, match="it is a link"):
        durable.append_line(link, "{}\n")
    durable.replace_file(link, "new")
    assert not link.is_symlink()
    assert (precious.read_text(encoding="utf-8"), link.read_text(encoding="utf-8")) == ("mine", "new")
