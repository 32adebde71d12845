"""What a run says of where it was made."""

from __future__ import annotations

import platform
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

from cnncli import __version__
from cnncli.runs import environment

GIT = shutil.which("git")


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with one commit, and the working folder in it."""
    if GIT is None:
        pytest.skip("git is not there")
    for name in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{name}_NAME", "a")
        monkeypatch.setenv(f"GIT_{name}_EMAIL", "a@example.org")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("1", encoding="utf-8")
    for command in (["init", "-q"], ["add", "file"], ["commit", "-q", "-m", "x"]):
        subprocess.run([GIT, *command], check=True)
    return tmp_path


def test_the_commit_and_whether_files_differ_from_it(repository: Path) -> None:
    """A new file is no change of the commit; a changed one is."""
    assert GIT is not None
    commit = subprocess.run([GIT, "rev-parse", "HEAD"], capture_output=True, text=True, check=True).stdout.strip()
    assert len(commit) == 40
    (repository / "other").touch()
    assert environment.git_commit() == commit
    (repository / "file").write_text("2", encoding="utf-8")
    assert environment.git_commit() == f"{commit}+changes"


def test_outside_git_there_is_no_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor without git, nor where it does not answer."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert environment.git_commit() is None
    monkeypatch.setattr(shutil, "which", lambda name: None)
    assert environment.git_commit() is None


def test_what_a_run_keeps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command to paste into a shell, the folder, the machine, the versions."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["/path/to/cnn", "train", "my net.yaml"])
    monkeypatch.setattr(environment, "PACKAGES", ("numpy", "no-such-package"))
    assert environment.environment() == {
        "command": "cnn train 'my net.yaml'",
        "directory": str(Path.cwd()),
        "host": platform.node(),
        "platform": platform.platform(),
        "versions": {
            "cnncli": __version__,
            "python": platform.python_version(),
            "numpy": metadata.version("numpy"),
            "no-such-package": None,
        },
        "git_commit": environment.git_commit(),
    }
