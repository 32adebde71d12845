"""Artifacts that are programs: a stranger's is not run unless the user says so."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from typer.testing import CliRunner

from cnncli.cli.app import app
from cnncli.errors import ExportError
from cnncli.serving.kinds import refuse_program
from tests.serving.test_artifacts import ABOUT as WITH_A_LOOK

ABOUT = replace(WITH_A_LOOK, look={"num_images": 0})

ENGINE = """
const makeNetwork = () => {
  CODE
  return {predict: () => [0.25, 0.75]};
};
"""
needs_node = pytest.mark.skipif(shutil.which("node") is None, reason="needs Node")


def page(path: Path, code: str) -> Path:
    """Write a page whose network runs a piece of JavaScript and answers 0.25 and 0.75."""
    network = json.dumps({"description": ABOUT.to_json()})
    parts = [
        f'<script id="engine">{ENGINE.replace("CODE", code)}</script>',
        f'<script type="application/json" id="network">{network}</script>',
        '<script type="text/plain" id="weights"></script>',
    ]
    path.write_text("\n".join(parts), encoding="utf-8")
    return path


def script(folder: Path, code: str) -> Path:
    """Write the folder of a Python export that runs a piece of Python."""
    folder.mkdir()
    (folder / "network.py").write_text(code, encoding="utf-8")
    (folder / "cnncli.json").write_text(ABOUT.to_json(), encoding="utf-8")
    return folder


@pytest.fixture
def cnn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Return a function that runs a command in a folder with the image x.png."""
    monkeypatch.chdir(tmp_path)
    Image.new("RGB", (6, 4)).save("x.png")
    return lambda *arguments: CliRunner().invoke(app, arguments)


@pytest.mark.parametrize("command", [["predict", "NET", "x.png"], ["eval", "NET", "--data", "x"]])
@pytest.mark.parametrize("kind", ["html", "python"])
def test_a_program_is_refused(cnn: Callable[..., Any], kind: str, command: list[str], tmp_path: Path) -> None:
    """Neither `cnn predict` nor `cnn eval` runs it, also not within a run's folder with a fitting record."""
    (tmp_path / "export").mkdir()
    (tmp_path / "run.json").write_text("{}", encoding="utf-8")
    touch = "require('fs').writeFileSync('touched', '')" if kind == "html" else "open('touched', 'w')"
    make = page if kind == "html" else script
    path = make(tmp_path / "export" / f"net.{kind}", touch)
    done = cnn(*[str(path) if word == "NET" else word for word in command])
    assert isinstance(done.exception, ExportError)
    assert "is a program" in done.exception.message
    assert "--trust" in str(done.exception.hint)
    assert not (tmp_path / "touched").exists()


def test_data_are_no_programs(tmp_path: Path) -> None:
    """The other formats need no trust."""
    for name in ("net.keras", "net.onnx", "net.tflite"):
        (tmp_path / name).write_bytes(b"")
        refuse_program(tmp_path / name)


@needs_node
def test_a_trusted_page_answers(cnn: Callable[..., Any], tmp_path: Path) -> None:
    """With --trust, its answers are those of its JavaScript."""
    path = page(tmp_path / "net.html", "")
    done = cnn("predict", str(path), "x.png", "--trust", "--json")
    assert done.exit_code == 0, done.output
    (file,) = json.loads(done.stdout)
    assert [one["probability"] for one in file["predictions"]] == [0.75, 0.25]


@needs_node
@pytest.mark.parametrize(
    "code",
    [
        "require('fs').readFileSync('x.png')",
        "require('fs').writeFileSync('touched', '')",
        "require('child_process').execSync('touch touched')",
        "process.binding('fs')",
    ],
)
def test_a_trusted_page_has_no_other_files(cnn: Callable[..., Any], tmp_path: Path, code: str) -> None:
    """Node keeps the page from what it has not been given: reading, writing, starting a process."""
    from cnncli.serving import web_page

    if web_page._major_version(str(shutil.which("node"))) < 20:
        pytest.skip("this Node knows no rights")
    path = page(tmp_path / "net.html", code)
    done = cnn("predict", str(path), "x.png", "--trust")
    assert isinstance(done.exception, ExportError), done.output
    assert not (tmp_path / "touched").exists()
