"""A command imports what it needs and no other command; the group still knows all of them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cnncli.cli.app import ALL, COMMANDS, PANELS, app, module_name

ROOT = Path(__file__).parent.parent.parent
LIST_MODULES = """
import sys
from cnncli.__main__ import main
sys.argv = ["cnn", *sys.argv[1:]]
try:
    main()
except SystemExit:
    pass
sys.stderr.write("MODULES " + " ".join(sys.modules))
"""


def cnn(*command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run Python with the arguments in a fresh process, its output in pipes."""
    kept = {name: text for name, text in os.environ.items() if name not in ("FORCE_COLOR", "TTY_COMPATIBLE")}
    return subprocess.run(
        [sys.executable, *command], capture_output=True, text=True, cwd=ROOT, env={**kept, **environment}, check=False
    )


def imported(*arguments: str, **environment: str) -> set[str]:
    """Run a command in a fresh process and return the modules that it imported."""
    return set(cnn("-c", LIST_MODULES, *arguments, **environment).stderr.split("MODULES ")[1].split())


def test_a_command_imports_no_other() -> None:
    """`cnn summary` imports no other command: what several share has modules of its own."""
    modules = imported("summary", "configs/digits_lenet.yaml")
    found = {name for name in PANELS if f"cnncli.cli.{module_name(name)}" in modules}
    assert found == {"summary"}


def test_rich_is_for_terminals() -> None:
    """A summary in a pipe comes without rich, unless somebody asks for colours."""
    arguments = ("summary", "configs/digits_lenet.yaml")
    assert "rich" not in imported(*arguments)
    assert "rich" in imported(*arguments, FORCE_COLOR="1")


def test_help_shows_every_command_in_its_panel() -> None:
    """`cnn --help` has all panels and commands, in the order of the table."""
    text = CliRunner().invoke(app, ["--help"], env={"COLUMNS": "100"}).stdout
    places = [text.index(f"\n│ {name} ") for name in PANELS]
    assert places == sorted(places)
    panels = [text.index(f"╭─ {panel} ─") for panel in COMMANDS]
    assert panels == sorted(panels)


@pytest.mark.parametrize("name", ALL)
def test_every_command_helps(name: str) -> None:
    """Each command of the table exists and explains itself."""
    result = CliRunner().invoke(app, [*name.split(), "--help"], prog_name="cnn")
    assert result.exit_code == 0
    assert f"Usage: cnn {name} " in result.stdout


def test_a_misspelt_command_gets_the_nearest() -> None:
    """An unknown command is a usage error that suggests the nearest of all commands."""
    result = CliRunner().invoke(app, ["sumary"])
    assert result.exit_code == 2
    assert "No such command 'sumary'. Did you mean 'summary'?" in result.stderr


@pytest.mark.parametrize(
    ("words", "near"),
    [
        ("show digits_lenet kernel", "kernels"),
        ("export latest --format onx", "onnx"),
        ("train digits_lenet --device gppu", "gpu"),
    ],
)
def test_a_misspelt_choice_gets_the_nearest(words: str, near: str) -> None:
    """A value that is none of the choices is a usage error that suggests one, without pydantic's words for it."""
    result = CliRunner().invoke(app, words.split(), env={"COLUMNS": "400"})
    assert result.exit_code == 2
    assert f"'{words.split()[-1]}' is not one of" in result.stderr
    assert f'. Did you mean "{near}"?' in result.stderr
    assert "Value error" not in result.stderr


@pytest.mark.parametrize(("words", "expected"), [("cnn su", "summary"), ("cnn summary --wh", "--what-if")])
def test_the_shell_completes(words: str, expected: str) -> None:
    """Bash completes commands, and the options of a command."""
    asked = {"COMP_WORDS": words, "COMP_CWORD": str(len(words.split()) - 1), "_CNN_COMPLETE": "complete_bash"}
    assert cnn("-m", "cnncli", **asked).stdout.split() == [expected]
