"""`cnn resume` on a run that another process holds."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from cnncli.runs.run import Run

RESUME = """
import sys
from cnncli.__main__ import main
try:
    main()
finally:
    sys.stderr.write("\\nTensorFlow imported: " + str("tensorflow" in sys.modules))
"""


def cnn(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command line in a process of its own; return what it said."""
    return subprocess.run([sys.executable, "-c", RESUME, *arguments], capture_output=True, text=True, timeout=600)


def test_held_run_is_reported_at_once(tmp_path: Path) -> None:
    """The second process says who holds the run and ends while it is held, without importing TensorFlow."""
    run = Run.create(tmp_path, "held", "name: held\n")
    with run.lock():
        result = cnn("resume", str(run.path))
    assert result.returncode == 1
    assert f"is in use by process {os.getpid()} on " in result.stderr
    assert result.stderr.endswith("TensorFlow imported: False")
    assert "Traceback" not in result.stderr


def test_misspelt_key_is_reported_before_tensorflow(tmp_path: Path) -> None:
    """A mistake in --set is reported before TensorFlow is imported, and the run stays as it was."""
    text = "name: net\ndata: {source: digits, image_size: [8, 8]}\nmodel: {layers: [Flatten, {Dense: {units: 10}}]}\n"
    run = Run.create(tmp_path, "net", text)
    result = cnn("resume", str(run.path), "--set", "train.epohcs=3")
    assert result.returncode == 1
    assert "epochs" in result.stderr
    assert result.stderr.endswith("TensorFlow imported: False")
    assert run.config_file.read_text(encoding="utf-8") == text
    assert not run.locked


@pytest.mark.parametrize("name", [".lock", "config.yaml", "checkpoints"])
def test_a_link_in_a_run_is_one_error(tmp_path: Path, name: str) -> None:
    """`ln -s precious RUN/.lock; cnn resume RUN`: what it leads to stays as it is, and nobody trains."""
    run = Run.create(tmp_path, "net", "name: net\n")
    precious = tmp_path / "precious"
    precious.write_text("mine", encoding="utf-8")
    (run.path / name).unlink(missing_ok=True)
    (run.path / name).symlink_to(precious)
    result = cnn("resume", str(run.path))
    assert result.returncode == 1
    assert result.stderr.startswith("error: ")
    assert "is a link" in result.stderr
    assert result.stderr.endswith("TensorFlow imported: False")
    assert "Traceback" not in result.stderr
    assert precious.read_text(encoding="utf-8") == "mine"
