"""`cnn resume` on a run that another process holds."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

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
