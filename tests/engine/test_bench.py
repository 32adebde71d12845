"""What `cnn bench` times and makes of it, by a clock that advances one second whenever it is read."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from cnncli.cli import console
from cnncli.cli.app import app

pytestmark = pytest.mark.engine


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every call that is timed take a second."""
    from cnncli.engine import bench

    ticks = count()
    monkeypatch.setattr(bench, "perf_counter", lambda: float(next(ticks)))
    monkeypatch.setattr(bench, "REPEATS", 2)
    monkeypatch.setattr(bench, "SECONDS", 3.0)
    monkeypatch.setattr(bench, "PRODUCTS", ((32, 32, 32), (64, 64, 64)))


@pytest.mark.usefixtures("clock")
def test_figures(small_config: Callable[..., Any]) -> None:
    """Two steps take a second, so six are timed: within a second. All other figures follow from that."""
    from cnncli.engine.bench import bench
    from cnncli.engine.fast_ops import batch_halves

    found = bench(small_config("train.batch_size=10", "train.precision=float32"))
    assert (found.precision, found.batch_size) == ("float32", 10)
    assert found.images_per_second == pytest.approx(60)
    assert found.step_ms == pytest.approx(1000 / 6)
    assert found.inference_images_per_second == 256
    assert found.peak_gflops == pytest.approx(2 * 64**3 * batch_halves.number() / 1e9)
    macs = {"conv2d": 6 * 6 * 4 * 3 * 3, "dense": 3 * 3 * 4 * 10}
    # No gradient with respect to the images is computed.
    operations = 4 * macs["conv2d"] + 6 * macs["dense"]
    assert found.peak_share == pytest.approx(operations * 60 / found.peak_gflops / 1e9)
    kinds = ["Conv2D", "BatchNormalization", "ReLU", "MaxPooling2D", "Flatten", "Dropout", "Dense"]
    assert [layer.type for layer in found.layers] == kinds
    assert [layer.macs for layer in found.layers] == [macs.get(layer.name, 0) for layer in found.layers]
    assert {(layer.forward_ms, layer.backward_ms) for layer in found.layers} == {(1000.0, 0.0)}
    assert found.to_json()["layers"][0]["name"] == "conv2d"


@pytest.mark.usefixtures("clock")
def test_steps_that_are_timed(small_config: Callable[..., Any]) -> None:
    """Batches of different images in turn, at rates of almost nothing; every plan lies within the images."""
    import tensorflow as tf

    from cnncli.engine.bench import _step_seconds

    runs = []

    def run(chunk: Any, rates: np.ndarray, first_step: int) -> np.ndarray:
        runs.append((chunk, rates, first_step))
        return np.zeros(len(chunk.plan))

    objective = SimpleNamespace(target_spec=tf.TensorSpec([None], tf.int32))
    loop: Any = SimpleNamespace(run=run, updates=SimpleNamespace(base_rates=[0.1, 0.2]), objective=objective)
    assert _step_seconds(small_config("train.batch_size=5"), loop) == pytest.approx(1 / 6)
    assert [len(chunk.plan) for chunk, _, _ in runs] == [1, 2, 2, 2, 6, 6, 6]
    for chunk, rates, first_step in runs:
        assert first_step == 0
        assert chunk.images.shape == (20, 8, 8, 1)
        assert chunk.targets.shape == (20,)
        assert chunk.plan.tolist() == [[5 * (i % 4) + k for k in range(5)] for i in range(len(chunk.plan))]
        assert rates.dtype == np.float32
        assert rates.shape == (len(chunk.plan), 2)
        assert ((rates > 0) & (rates < 1e-9)).all()


@pytest.mark.usefixtures("clock")
def test_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A config, or a run of a folder of runs, with overrides: as a table, or as one JSON document."""
    from cnncli.runs.run import Run

    monkeypatch.chdir(tmp_path)
    text = "name: b\ndata: {source: digits, image_size: [8, 8]}\nmodel: {layers: [Flatten, {Dense: {units: 10}}]}\n"
    Path("b.yaml").write_text(text, encoding="utf-8")
    Run.create(tmp_path / "elsewhere", "b", text)
    plain = document("b.yaml", "--set", "train.batch_size=7")
    assert plain["batch_size"] == 7
    assert [layer["macs"] for layer in plain["layers"]] == [0, 640]
    assert document("latest", "--runs-dir", "elsewhere")["batch_size"] == 128
    shown = invoke("b.yaml")
    assert [line.split()[0] for line in shown.splitlines() if "Dense" in line] == ["dense"]


@pytest.mark.usefixtures("clock")
def test_a_detector(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both heads have their rows; six steps of four images take a second, and as much a batch of inference."""
    monkeypatch.chdir(tmp_path)
    text = """
name: d
task: detection
data: {source: digit_boxes, image_size: [16, 24], channels: 3}
model:
  layers: [Conv2D: {filters: 5, kernel_size: 3, strides: 4, padding: same}]
  heads: {heatmap: [Conv2D: {filters: 10, kernel_size: 1}], box: [Conv2D: {filters: 4, kernel_size: 1}]}
train: {batch_size: 4}
"""
    Path("d.yaml").write_text(text, encoding="utf-8")
    found = document("d.yaml")
    assert found["images_per_second"] == pytest.approx(24)
    assert found["inference_images_per_second"] == 256
    cells = 4 * 6
    assert sorted(layer["macs"] for layer in found["layers"]) == [cells * 5 * 4, cells * 5 * 10, cells * 27 * 5]


@pytest.mark.usefixtures("clock")
def test_latency(small_config: Callable[..., Any], tmp_path: Path) -> None:
    """Of single images: the median in milliseconds of as many calls as fit into three seconds, but not too few."""
    small_config()
    found = document(str(tmp_path / "small.yaml"), "--latency", "--output", str(tmp_path / "latency.json"))
    assert (found["latency_ms"], found["p95_ms"], found["num_calls"]) == (1000.0, 1000.0, 3)
    assert json.loads((tmp_path / "latency.json").read_text()) == found
    said = invoke(str(tmp_path / "small.yaml"), "--latency")
    assert said.startswith("1e+03 ms for one image, 95 % of 3 calls within 1e+03 ms, in float32 on CPU")


def invoke(*arguments: str) -> str:
    """Return what `cnn bench` prints."""
    for made in (console.out, console.err):
        made.cache_clear()
    result = CliRunner().invoke(app, ["bench", *arguments])
    assert result.exit_code == 0, result.output
    return result.stdout


def document(*arguments: str) -> Any:
    """Return the document that `cnn bench --json` prints."""
    return json.loads(invoke(*arguments, "--json"))
