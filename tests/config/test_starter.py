"""What `cnn init` writes is a config without problems."""

from __future__ import annotations

import resource
from pathlib import Path

import pytest

from cnncli.analysis.check import check
from cnncli.config import starter, zoo
from cnncli.config.load import load
from cnncli.config.starter import write
from cnncli.errors import CnnError
from cnncli.files import durable


def test_the_starter_loads_without_a_warning(tmp_path: Path) -> None:
    """Neither errors nor warnings, and it is named after its file."""
    config = load(write(tmp_path / "my first.yaml"))
    assert config.name == "my_first"
    assert check(config) == ()


@pytest.mark.parametrize("name", zoo.names())
def test_a_network_of_the_zoo_can_be_taken_as_it_is(name: str, tmp_path: Path) -> None:
    """Comments and all."""
    file = write(tmp_path / "copy.yaml", name)
    assert file.read_text(encoding="utf-8") == zoo.locate(name).read_text(encoding="utf-8")


def test_a_file_that_exists_is_never_touched(tmp_path: Path) -> None:
    """Not even an empty one."""
    file = tmp_path / "mine.yaml"
    file.write_text("mine", encoding="utf-8")
    with pytest.raises(CnnError, match="already exists"):
        write(file)
    assert file.read_text(encoding="utf-8") == "mine"


def test_what_cannot_be_written_or_taken_is_reported(tmp_path: Path) -> None:
    """A folder that is not there, and a network that is none."""
    with pytest.raises(CnnError, match="cannot be written"):
        write(tmp_path / "nowhere" / "x.yaml")
    with pytest.raises(CnnError, match='Did you mean "lenet5"'):
        write(tmp_path / "x.yaml", "lenet6")
    assert not (tmp_path / "x.yaml").exists()


def test_a_full_disk_leaves_no_half_config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else `cnn init` would refuse to write it again; a disk without second names for files is no obstacle."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    try:
        with pytest.raises(CnnError, match="File too large"):
            write(tmp_path / "x.yaml")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert list(tmp_path.iterdir()) == []

    def refuse(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(durable, "link", refuse)
    assert load(write(tmp_path / "x.yaml")).name == "x"
    assert list(tmp_path.iterdir()) == [tmp_path / "x.yaml"]


def test_of_two_writers_the_first_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where both saw that there was no file."""
    file = tmp_path / "x.yaml"
    monkeypatch.setattr(starter, "require_new", lambda file: file.write_text("mine", encoding="utf-8"))
    with pytest.raises(CnnError, match="File exists"):
        write(file)
    assert file.read_text(encoding="utf-8") == "mine"
    assert list(tmp_path.iterdir()) == [file]
