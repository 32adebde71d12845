"""A stream holds no more memory when its folder grows; the figures are those of `tests/benchmarks/streaming.py`."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.engine


def test_ten_times_the_files_take_as_much_memory(tmp_path, monkeypatch, script):
    """The peak of a process that streams a folder grows by less than a tenth when the folder grows tenfold."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    streaming = script("benchmarks/streaming.py")
    peaks = []
    for number in (100, 1000):
        folder = tmp_path / str(number)
        streaming.write_photos(folder, number, size=100)
        peaks.append(streaming.peak_memory(folder, image_size=64))
    assert peaks[1] < 1.1 * peaks[0], peaks
