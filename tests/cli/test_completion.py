"""The shell completes commands, configs and runs, fast, by what one documented command installs."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from cnncli.config import zoo

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Go into a folder with configs and runs of its own, which is also HOME."""
    for name in ("runs/my_net/20260101-000000", "runs/.hidden", "other/elsewhere", "configs"):
        (tmp_path / name).mkdir(parents=True)
    for name in ("digits.yaml", "digits.txt", "configs/deep.yml"):
        (tmp_path / name).write_text("name: x\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("CNN_RUNS_DIR", raising=False)
    return tmp_path


def offered(line: str) -> list[str]:
    """Return what bash offers for the last word of a line, by what Typer's own script would call."""
    from typer.testing import CliRunner

    from cnncli.cli.app import app

    variables = {"_CNN_COMPLETE": "complete_bash", "COMP_WORDS": line, "COMP_CWORD": str(line.count(" "))}
    return CliRunner().invoke(app, [], env=variables, prog_name="cnn").stdout.split()


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("cnn su", ["summary"]),
        ("cnn train --dry", ["--dry-run"]),
        ("cnn train digits", ["digits.yaml", "digits_boxes", "digits_lenet"]),
        ("cnn train configs/", ["configs/deep.yml"]),
        ("cnn train latest", []),
        ("cnn summary my", ["my_net"]),
        ("cnn summary lat", ["latest"]),
        ("cnn eval ", ["latest", "my_net"]),
        ("cnn compare latest my", ["my_net"]),
        ("cnn resume --runs-dir other else", ["elsewhere"]),
        ("cnn resume --runs-dir nowhere ", ["latest"]),
        ("cnn tensorboard my", ["my_net"]),
        ("cnn ensemble my", ["my_net"]),
        ("cnn explain my", ["my_net"]),
    ],
)
def test_what_is_offered(folder: Path, line: str, expected: list[str]) -> None:
    """Commands, options, networks of the zoo, YAML files and runs, where an argument takes them."""
    assert offered(line) == expected


def test_all_of_the_zoo_is_offered(folder: Path) -> None:
    """An empty word has every network and the YAML files of the folder."""
    assert offered("cnn train ") == sorted([*zoo.names(), "digits.yaml"])


def test_runs_of_the_variable_are_offered(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """CNN_RUNS_DIR names the folder, as it does for the commands."""
    monkeypatch.setenv("CNN_RUNS_DIR", "other")
    assert offered("cnn eval e") == ["elsewhere"]


@pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not installed")
def test_one_command_installs_it_in_bash(folder: Path) -> None:
    """A new bash then completes by itself, without TensorFlow, within 0.3 s of processor time."""
    cnn = folder / "bin" / "cnn"
    cnn.parent.mkdir()
    cnn.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m cnncli "$@"\n', encoding="utf-8")
    cnn.chmod(0o755)
    path = os.pathsep.join([str(cnn.parent), os.environ["PATH"]])
    environment = {
        **os.environ,
        "PATH": path,
        "PYTHONPATH": str(ROOT),
        "_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1",
    }
    subprocess.run([cnn, "--install-completion", "bash"], env=environment, capture_output=True, check=True)
    script = "\n".join(
        [
            ". ~/.bashrc; complete -p cnn",
            "COMP_WORDS=(cnn train digits_); COMP_CWORD=2; _cnn_completion cnn",
            'echo "${COMPREPLY[@]}"; times | tail -n 1',
            "export PYTHONPROFILEIMPORTTIME=1",
            "_cnn_completion cnn 2>&1 | grep -oE '(typer|numpy|keras|tensorflow)$' | sort",
        ]
    )
    done = subprocess.run(["bash", "--norc", "-c", script], env=environment, capture_output=True, text=True)
    registered, words, children, *imported = done.stdout.splitlines()
    assert "-F _cnn_completion cnn" in registered
    assert words == "digits_boxes digits_lenet"
    assert imported == ["typer"]
    seconds = [int(m) * 60 + float(s) for m, s in (part[:-1].split("m") for part in children.split())]
    assert sum(seconds) < 0.3
