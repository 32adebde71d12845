"""`cnn resume` on a run that another process holds."""

from __future__ import annotations

import os
import subprocess
import sys
import time
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


def timed(*arguments: str) -> tuple[float, subprocess.CompletedProcess[str]]:
    """Run the command line in a process of its own; return its seconds and what it said."""
    begun = time.perf_counter()
    result = subprocess.run([sys.executable, "-c", RESUME, *arguments], capture_output=True, text=True)
    return time.perf_counter() - begun, result


def test_held_run_is_told_at_once(tmp_path: Path) -> None:
    """The second process says who holds the run, under a second after its start, without importing TensorFlow."""
    run = Run.create(tmp_path, "held", "name: held\n")
    start_up, _ = timed("resume", "--help")
    with run.lock():
        seconds, result = min((timed("resume", str(run.path)) for _ in range(3)), key=lambda one: one[0])
    assert result.returncode == 1
    assert f"is in use by process {os.getpid()} on " in result.stderr
    assert result.stderr.endswith("TensorFlow imported: False")
    assert "Traceback" not in result.stderr
    assert seconds < start_up + 1


def test_misspelt_key_is_told_before_tensorflow(tmp_path: Path) -> None:
    """A mistake in --set is told before TensorFlow is imported, and the run stays as it was."""
    text = "name: net\ndata: {source: digits, image_size: [8, 8]}\nmodel: {layers: [Flatten, {Dense: {units: 10}}]}\n"
    run = Run.create(tmp_path, "net", text)
    _, result = timed("resume", str(run.path), "--set", "train.epohcs=3")
    assert result.returncode == 1
    assert "epochs" in result.stderr
    assert result.stderr.endswith("TensorFlow imported: False")
    assert run.config_file.read_text(encoding="utf-8") == text
    assert not run.locked
