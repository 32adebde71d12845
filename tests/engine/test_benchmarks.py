"""Benchmarks in small: what they measure is what they print; the figures themselves are for a quiet machine."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))
import durability_cost
import predict_speed
import streaming

pytestmark = pytest.mark.engine


def test_cost_of_durability(tmp_path: Path) -> None:
    """A run of two epochs saves thrice, once before the first; the shares are those of the seconds."""
    generator = np.random.default_rng(0)
    arrays = {f"x_{split}": generator.integers(0, 256, (300, 28, 28), np.uint8) for split in ("train", "test")}
    labels = {f"y_{split}": np.arange(300, dtype=np.uint8) % 10 for split in ("train", "test")}
    np.savez(tmp_path / "mnist.npz", **arrays, **labels)
    found = durability_cost.measure("as it is", tmp_path / "mnist.npz", 2)
    assert found["saves"] == 3
    assert 0 < found["saving"] < found["wall"]
    assert found["cpu"] > 0
    slower = {name: 2 * value for name, value in found.items()}
    measured = {kind: [slower if kind == "as it is" else found] for kind in durability_cost.KINDS}
    *kinds, saving, wall, cpu = durability_cost.figures(measured)
    assert [line.split(" wall ")[0].strip() for line in kinds] == list(durability_cost.KINDS)
    assert saving.startswith(f"saving: {found['saving'] / found['wall']:.2%} of the run's time, ")
    assert wall.startswith("wall: checkpoints +100.0% (to be below 2 %), determinism +100.0%")
    assert cpu.endswith("TensorFlow's switch would add -50.0%")


def test_rates_of_streaming(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both pipelines see every file; rates and their ratio are positive."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    streaming.write_photos(tmp_path / "photos", 40, size=50)
    ours, keras = (make(tmp_path / "photos", 32) for make in (streaming.our_pipeline, streaming.keras_pipeline))
    assert (ours(), keras()) == (40, 40)
    figures = streaming.compare(tmp_path / "photos", image_size=32, repeats=1)
    assert figures["ratio"] == figures["images_per_second"] / figures["keras_images_per_second"]
    assert min(figures.values()) > 0


def test_rates_of_prediction(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both classify every file, and ours writes a line for each; rates and their ratio are positive."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    run = predict_speed.train(tmp_path, image_size=16)
    predict_speed.write_photos(tmp_path / "photos", 30, kinds=10)
    figures, bare = predict_speed.compare(run, tmp_path / "photos", image_size=16, rounds=1)
    assert figures["ratio"] == figures["images_per_second"] / figures["keras_images_per_second"]
    assert bare["images_per_second"] > 0
    assert min(figures.values()) > 0
    assert len((run.parent / "predictions.csv").read_text(encoding="utf-8").splitlines()) == 31
