"""Files that a user asks for by name: whole or not at all, whatever happens on the way."""

from __future__ import annotations

import os
import resource
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from cnncli.errors import CnnError
from cnncli.report.files import text_file, write_bytes, write_text

KILLED = """
import os, signal, sys
from pathlib import Path
from cnncli.report.files import text_file
with text_file(Path(sys.argv[1])) as file:
    file.write("half")
    file.flush()
    os.kill(os.getpid(), signal.SIGKILL)
"""

PRINTS = """
import sys
from pathlib import Path
from cnncli.report.files import text_file, write_text
print("first")
WRITER
print("last")
"""


def write_rows(path: Path, text: str) -> None:
    """Write a file as `cnn predict --csv` does."""
    with text_file(path) as file:
        file.write(text)


WRITERS = {
    "text": write_text,
    "bytes": lambda path, text: write_bytes(path, text.encode()),
    "rows": write_rows,
}

each_writer = pytest.mark.parametrize("write", WRITERS.values(), ids=WRITERS.keys())
Writer = Callable[[Path, str], None]


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


@each_writer
def test_a_full_disk_leaves_the_older_file(tmp_path: Path, write: Writer) -> None:
    """And nothing of the new one: it does not fit, and the old one is not emptied for it."""
    path = tmp_path / "file"
    write(path, "old")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    try:
        with pytest.raises(CnnError, match="file cannot be written: File too large"):
            write(path, 5000 * "new")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert path.read_text(encoding="utf-8") == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_what_a_killed_writer_leaves_goes_with_the_next(tmp_path: Path) -> None:
    """Its half file keeps the name of its own until it is a minute old; those of other files stay."""
    path = tmp_path / "rows [1].csv"
    write_text(path, "old")
    assert subprocess.run([sys.executable, "-c", KILLED, path], check=False).returncode == -9
    assert path.read_text(encoding="utf-8") == "old"
    (leftover,) = tmp_path.glob(".*.tmp")
    assert leftover.read_text(encoding="utf-8") == "half"
    mine = tmp_path / f".other.csv.{16 * '0'}.tmp"
    mine.touch()
    for other in (leftover, mine):
        os.utime(other, (time.time() - 3600,) * 2)
    write_text(path, "new")
    assert sorted(tmp_path.iterdir()) == [mine, path]


@each_writer
def test_a_link_stays_a_link(tmp_path: Path, write: Writer) -> None:
    """What a link points to is written, also where it is not there yet."""
    target, link = tmp_path / "targets" / "target", tmp_path / "link"
    target.parent.mkdir()
    link.symlink_to(target)
    for text in ("old", "new"):
        write(link, text)
        assert link.is_symlink()
        assert target.read_text(encoding="utf-8") == text
        assert list(target.parent.iterdir()) == [target]


@each_writer
def test_permissions_stay(tmp_path: Path, write: Writer) -> None:
    """Those of a file that is there; a new one gets what the user's mask leaves."""
    shared, new = tmp_path / "shared", tmp_path / "new"
    write(shared, "old")
    shared.chmod(0o664)
    former = os.umask(0o027)
    try:
        write(shared, "new")
        write(new, "new")
    finally:
        os.umask(former)
    assert [stat.S_IMODE(path.stat().st_mode) for path in (shared, new)] == [0o664, 0o640]


@each_writer
def test_a_device_is_written_as_it_is(write: Writer) -> None:
    """A device is not replaced by a file."""
    write(Path("/dev/null"), "gone")
    assert Path("/dev/null").is_char_device()


@each_writer
def test_a_pipe_is_written_as_it_is(tmp_path: Path, write: Writer) -> None:
    """Its reader gets the text."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    write(pipe, "text")
    assert os.read(reader, 100) == b"text"
    os.close(reader)
    assert pipe.is_fifo()


@pytest.mark.parametrize(
    "writer",
    [
        'write_text(Path("/dev/stdout"), "rows\\n")',
        'with text_file(Path("/dev/stdout")) as file: file.write("rows\\n")',
    ],
)
def test_standard_output_in_a_file_is_written_in_order(tmp_path: Path, writer: str) -> None:
    """`--csv /dev/stdout > file`: what is printed before and after it is there too."""
    with (tmp_path / "file").open("wb") as file:
        subprocess.run([sys.executable, "-c", PRINTS.replace("WRITER", writer)], stdout=file, check=True)
    assert (tmp_path / "file").read_text(encoding="utf-8") == "first\nrows\nlast\n"


@each_writer
def test_a_folder_that_refuses_is_named(tmp_path: Path, write: Writer) -> None:
    """A file where a folder should be, a folder where a file should be: one line that names the path."""
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(CnnError, match=r"rows\.csv cannot be written: Not a directory"):
        write(tmp_path / "file" / "rows.csv", "")
    with pytest.raises(CnnError, match="cannot be written: Is a directory"):
        write(tmp_path, "")


@each_writer
def test_a_link_to_itself_is_one_error(tmp_path: Path, write: Writer) -> None:
    """And not a traceback."""
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(CnnError, match="cannot be written: Too many levels of symbolic links"):
        write(tmp_path / "loop", "")


@each_writer
def test_a_file_may_have_the_longest_name_there_is(tmp_path: Path, write: Writer) -> None:
    """Its temporary name is no longer than that."""
    path = tmp_path / (127 * "é" + "x")
    write(path, "text")
    assert path.read_text(encoding="utf-8") == "text"


def test_rows_can_be_read_and_written_anew(tmp_path: Path) -> None:
    """A table that gets another column has its first lines written again."""
    with text_file(tmp_path / "rows.csv") as file:
        file.write("ü,1\n")
        file.seek(0)
        assert file.read() == "ü,1\n"
        file.seek(0)
        file.write("ü,1,2\n")
    assert (tmp_path / "rows.csv").read_text(encoding="utf-8") == "ü,1,2\n"
