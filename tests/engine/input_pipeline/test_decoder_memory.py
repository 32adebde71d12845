"""A stream holds no more memory when its folder grows; the figures are those of `tests/benchmarks/streaming.py`."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.engine

BENCHMARK = Path(__file__).parents[2] / "benchmarks" / "streaming.py"


def test_ten_times_the_files_take_as_much_memory(tmp_path, monkeypatch):
    """The peak of a process that streams a folder grows by less than a tenth when the folder grows tenfold."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    spec = importlib.util.spec_from_file_location("streaming", BENCHMARK)
    streaming = importlib.util.module_from_spec(spec)
    sys.modules["streaming"] = streaming
    spec.loader.exec_module(streaming)
    peaks = []
    for number in (100, 1000):
        folder = tmp_path / str(number)
        streaming.write_photos(folder, number, size=100)
        peaks.append(streaming.peak_memory(folder, image_size=64))
    assert peaks[1] < 1.1 * peaks[0], peaks
