"""Whatever stdin, stdout and stderr are, a command ends with a result or with one error."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

CONFIG = """
name: net
data: {source: folder, path: photos, image_size: [8, 8], channels: 1}
model:
  layers: [Flatten, {Dense: {units: 2}}]
"""
CNN = f'"{sys.executable}" -m cnncli'
# Buffered output is what can be lost.
BUFFERED = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}


def shell(line: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[bytes]:
    """Run a line in a shell; "cnn" stands for the command."""
    line = line.replace("cnn ", f"{CNN} ")
    return subprocess.run(line, shell=True, cwd=cwd, env={**BUFFERED, **environment}, capture_output=True, check=False)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with a config."""
    (tmp_path / "net.yaml").write_text(CONFIG, encoding="utf-8")
    return tmp_path


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
@pytest.mark.parametrize("line", ["cnn summary net.yaml", "cnn zoo --json", "cnn schema"])
def test_stdout_is_full(line: str, folder: Path) -> None:
    """Where the buffer is written at the end, and where it is written in between."""
    done = shell(f"{line} > /dev/full", folder)
    assert (done.returncode, done.stderr) == (1, b"error: stdout cannot be written: No space left on device\n")


def test_closed_streams(folder: Path) -> None:
    """Without stdout there is nothing to do; without stderr or stdin there is a result."""
    done = shell("cnn summary net.yaml >&-", folder)
    assert done.returncode == 1
    assert done.stderr.startswith(b"error: stdout is closed\n")
    for closed in ("2>&-", "<&-", "<&- 2>&-"):
        done = shell(f"cnn summary net.yaml {closed}", folder)
        assert (done.returncode, done.stderr) == (0, b"")
        assert b"net" in done.stdout
    (folder / "run.json").write_text("{}", encoding="utf-8")
    done = shell("cnn predict . - <&-", folder)
    assert (done.returncode, done.stderr.splitlines()[0]) == (1, b"error: standard input is empty")


def test_a_reader_that_has_gone(folder: Path) -> None:
    """Nothing is said of it, however little was written."""
    done = shell("cnn summary net.yaml | true", folder)
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_encodings(encoding: str, folder: Path) -> None:
    """What an encoding lacks gets a stand-in; numbers are the same, and JSON is."""
    done = shell("cnn summary net.yaml", folder, PYTHONIOENCODING=encoding)
    assert (done.returncode, done.stderr) == (0, b"")
    text = done.stdout.decode(encoding)
    assert "8x8x1" in text.replace("×", "x")
    assert "----" in text.replace("─", "-")
    (folder / "net.yaml").write_text(CONFIG.replace("net", '"n-é–東"', 1), encoding="utf-8")
    done = shell("cnn check net.yaml --json", folder, PYTHONIOENCODING=encoding)
    assert done.stderr == b""
    assert "東" in json.dumps(json.loads(done.stdout.decode(encoding)), ensure_ascii=False)


@pytest.mark.parametrize("columns", ["²", "9" * 5000])
def test_columns_that_are_no_width(columns: str, folder: Path) -> None:
    """They are not there, then; neither our tables nor the help page's stumble over them."""
    for line, code in {"cnn summary net.yaml": 0, "cnn train --help": 0, "cnn summary none.yaml": 1}.items():
        done = shell(line, folder, COLUMNS=columns)
        assert b"Traceback" not in done.stderr
        assert done.returncode == code


@pytest.mark.parametrize("command", ["check", "predict", "show", "resume", "data", "compare", "diff", "import", "init"])
def test_an_argument_too_long_for_a_name(command: str, folder: Path) -> None:
    """It is an error like any other."""
    name = "a" * 300
    second = {"predict": "net.yaml", "show": "kernels", "compare": name, "diff": name}.get(command, "")
    done = shell(f"cnn {command} {name} {second}", folder)
    assert done.returncode == 1
    assert name in (done.stdout + done.stderr).decode().replace("\n", "").replace(" ", "")
    assert b"Traceback" not in done.stderr


def test_a_refusal_nobody_foresaw_is_one_error(folder: Path) -> None:
    """The system's word, and the file; memory likewise."""
    plant = "import cnncli.cli.app, cnncli.__main__ as m\ndef app(prog_name): {}\ncnncli.cli.app.app = app\nm.main()"
    for raised, message in {
        'raise OSError(5, "Input/output error", "a/b")': "error: a/b: Input/output error\n",
        "raise MemoryError": "error: there is not enough memory\n",
    }.items():
        done = subprocess.run([sys.executable, "-c", plant.format(raised)], capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr[: len(message)]) == (1, message)


def test_names_that_are_not_utf8(folder: Path) -> None:
    """In JSON they are escapes that read back; alone on a line they are the bytes that lead to the file."""
    name = os.fsdecode(b"\xff.yaml")
    (folder / name).write_text("modle: 1", encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "cnncli", "check", name, "--json"], cwd=folder, capture_output=True, check=False
    )
    assert done.returncode == 1
    assert json.loads(done.stdout.decode("utf-8"))["problems"][0]["file"] == name
    done = subprocess.run([sys.executable, "-m", "cnncli", "check", name], cwd=folder, capture_output=True, check=False)
    assert b"\xff.yaml" in done.stdout + done.stderr
    assert b"Traceback" not in done.stderr


def test_names_are_not_obeyed_by_the_terminal(folder: Path) -> None:
    """A class folder's escape sequence is shown, wherever its name is."""
    from PIL import Image

    for name in ("cat", "\x1b[31mdog\x1b[0m\n\x9b2J"):
        (folder / "photos" / name).mkdir(parents=True)
        for number in range(3):
            Image.new("L", (8, 8), 20 * number + len(name)).save(folder / "photos" / name / f"{number}.png")
    done = shell("cnn data photos", folder)
    assert done.returncode == 0
    assert rb"\x1b[31mdog" in done.stdout
    done = shell("cnn data photos", folder, FORCE_COLOR="1", TERM="xterm-256color")
    for stream in (done.stdout, done.stderr):
        assert b"\x1b[31mdog" not in stream
        assert b"\xc2\x9b" not in stream


@pytest.mark.engine
def test_too_little_memory_for_tensorflow(folder: Path) -> None:
    """It is said before TensorFlow is loaded, which would crash; a summary needs little."""
    done = shell("ulimit -v 2000000; cnn train digits_lenet", folder)
    assert (done.returncode, done.stdout) == (1, b"")
    assert done.stderr.startswith(b"error: this process may use 2.0 GB of addresses; TensorFlow needs 4 GB\n")
    assert shell("ulimit -v 2000000; cnn summary net.yaml", folder).returncode == 0


def test_a_folder_of_runs_that_is_not_utf8(folder: Path) -> None:
    """TensorFlow cannot write there: said before anything is."""
    from cnncli.errors import RunError
    from cnncli.runs.run import Run

    with pytest.raises(RunError, match="not UTF-8"):
        Run.create(folder / os.fsdecode(b"\xff"), "net", "")
    assert sorted(path.name for path in folder.iterdir()) == ["net.yaml"]
