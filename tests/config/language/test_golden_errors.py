"""Golden pairs: a bad config next to the exact text that `cnn check` prints for it.

`CNN_REGENERATE=1 pytest tests/config/language/test_golden_errors.py` writes the texts anew;
read the difference before it is committed.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from cnncli.cli.check import check_cli
from cnncli.config.error_pages import pages

GOLDEN = Path(__file__).parent / "golden"
CASES = sorted(path.stem for path in GOLDEN.glob("*.yaml"))

_app = typer.Typer()
_app.command()(check_cli)


def printed(name: str) -> str:
    """Return what `cnn check` prints for a case; lines `#$ --set …` at its head are arguments."""
    head = re.findall(rb"^#\$ --set (.*)$", (GOLDEN / f"{name}.yaml").read_bytes(), re.MULTILINE)
    arguments = [word for text in head for word in ("--set", text.decode())]
    result = CliRunner().invoke(_app, [f"{name}.yaml", *arguments], catch_exceptions=False)
    assert result.exit_code == 1
    return "\n".join(line.rstrip() for line in result.output.splitlines()) + "\n"


@pytest.mark.parametrize("name", CASES)
def test_the_text_of_an_error_is_the_golden_one(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is printed for a bad config is exactly what its text file holds."""
    monkeypatch.chdir(GOLDEN)
    monkeypatch.delenv("COLUMNS", raising=False)
    text, file = printed(name), GOLDEN / f"{name}.txt"
    if os.environ.get("CNN_REGENERATE"):
        file.write_text(text, encoding="utf-8")
    assert text == file.read_text(encoding="utf-8")


def test_every_error_of_the_config_language_has_a_golden_pair() -> None:
    """No error page of the language is without an example of what is printed."""
    texts = "".join(path.read_text(encoding="utf-8") for path in GOLDEN.glob("*.txt"))
    of_the_language = {code for code in pages() if code < "E400"} - {"E001"}
    assert {code for code in of_the_language if code not in texts} == set()
    assert len(CASES) >= 40


def test_no_golden_text_is_left_over() -> None:
    """Every text belongs to a config."""
    assert {path.stem for path in GOLDEN.glob("*.txt")} == set(CASES)
