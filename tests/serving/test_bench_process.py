"""How an artifact is measured: how often, with which images, and what is printed."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from cnncli.serving import bench_process


class Spy:
    """An artifact that keeps what it is asked."""

    format = "onnx"
    description = SimpleNamespace(height=5, width=7, channels=3)

    def __init__(self) -> None:
        self.asked: list[np.ndarray] = []

    def outputs(self, images: np.ndarray) -> dict[str, np.ndarray]:
        """Keep the images."""
        self.asked.append(images)
        return {"probabilities": np.ones((len(images), 1), np.float32)}


@pytest.mark.parametrize(("seconds", "most", "calls"), [(0.0, 100, 5), (1e9, 9, 9), (0.0, 4, 4)])
def test_calls(
    seconds: float, most: int, calls: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """After three calls to warm up at least five are timed, then until the time or the number of calls is used up."""
    monkeypatch.setattr(bench_process, "SECONDS", seconds)
    monkeypatch.setattr(bench_process, "MOST_CALLS", most)
    spy = Spy()
    artifact: Any = spy
    bench_process.report(artifact, Path("net.onnx"))
    sizes = [1] * (3 + calls) + [32] * (3 + calls)
    assert [images.shape for images in spy.asked] == [(size, 5, 7, 3) for size in sizes]
    images = spy.asked[-1]
    assert images.dtype == np.uint8
    assert (images.min(), images.max()) == (0, 255)
    document = json.loads(capsys.readouterr().out)
    assert document.keys() == {"latency", "peak_memory_bytes"}
    assert document["peak_memory_bytes"] > 2**20
    assert document["latency"].keys() == {"1", "32"}
    for latency in document["latency"].values():
        assert latency.keys() == {"median", "p95", "num_calls"}
        assert latency["num_calls"] == calls
        assert 0 < latency["median"] <= latency["p95"] < 60


def test_pages_measure_themselves(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """In Node a page is measured from within; without Node as any other artifact."""
    spy = Spy()
    spy.format = "web"
    artifact: Any = spy
    reported = {"times": {"1": [0.1, 0.3, 0.2], "32": [4.0]}, "peak_memory_bytes": 12}
    monkeypatch.setattr(bench_process.web_page, "measured", lambda path: reported if path == Path("p.html") else None)
    bench_process.report(artifact, Path("p.html"))
    summary = {"1": {"median": 0.2, "p95": pytest.approx(0.29), "num_calls": 3}}
    summary["32"] = {"median": 4.0, "p95": 4.0, "num_calls": 1}
    assert json.loads(capsys.readouterr().out) == {"latency": summary, "peak_memory_bytes": 12}
    assert spy.asked == []
    monkeypatch.setattr(bench_process, "SECONDS", 0.0)
    bench_process.report(artifact, Path("other.html"))
    assert len(spy.asked) == 16
