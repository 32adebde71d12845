"""Benchmarks in small: what they measure is what they print; the figures themselves are for a quiet machine."""

from __future__ import annotations

import io
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))
import compare as contenders
import durability_cost
import predict_speed
import same_loss
import shards
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
    from cnncli.config.load import load
    from cnncli.engine.training.train import train
    from cnncli.runs.events import Silence

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    config = load(predict_speed.write_config(tmp_path, image_size=16))
    run = Path(train(config, tmp_path / "runs", Silence()).run)
    predict_speed.write_photos(tmp_path / "photos", 30, kinds=10)
    figures, bare = predict_speed.compare(run, tmp_path / "photos", image_size=16, rounds=1)
    assert figures["ratio"] == figures["images_per_second"] / figures["keras_images_per_second"]
    assert bare["images_per_second"] > 0
    assert min(figures.values()) > 0
    assert len((run.parent / "predictions.csv").read_text(encoding="utf-8").splitlines()) == 31


def test_detectors_have_the_same_loss() -> None:
    """From the same weights, images and boxes the Keras script's first loss is ours, but for float32's rounding."""
    found = same_loss.losses()
    assert found["keras"] == pytest.approx(found["cnn"], rel=same_loss.ROUNDING)


BOX = "<object><name>{}</name><bndbox><xmin>{}</xmin><ymin>{}</ymin><xmax>{}</xmax><ymax>{}</ymax></bndbox></object>"


def test_contenders_see_the_same_boxes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What cnncli reads of the zip that it is given equals the rivals' arrays: pixels, edges and classes."""
    from cnncli import datasets
    from cnncli.config.load import load

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    written = {
        "a": [("RBC", 1, 1, 64, 48), ("WBC", 11, 6, 110, 90)],
        "b": [],
        "c": [("Platelets", 5, 5, 4, 9), ("RBC", 100, 80, 129, 96)],  # one without an area, one beyond the edge
        "d": [("Platelets", 3, 3, 40, 41)],
    }
    generator = np.random.default_rng(0)
    with zipfile.ZipFile(tmp_path / "voc.zip", "w") as archive:
        for name, stems in (("train", "ac"), ("val", "b"), ("test", "d")):
            archive.writestr(f"BCCD/ImageSets/Main/{name}.txt", "\n".join(stems))
        for stem, objects in written.items():
            file = io.BytesIO()
            Image.fromarray(generator.integers(0, 256, (96, 128, 3), np.uint8)).save(file, "JPEG")
            archive.writestr(f"BCCD/JPEGImages/{stem}.jpg", file.getvalue())
            boxes = "".join(BOX.format(*each) for each in objects)
            archive.writestr(f"BCCD/Annotations/{stem}.xml", f"<annotation>{boxes}</annotation>")
    contenders.decoded_boxes(tmp_path / "voc.zip", tmp_path / "cells.npz")
    contenders.write_coco(tmp_path / "cells.npz")
    sets = [f"data.path={tmp_path / 'cells.zip'}", "data.validation=0"]
    config = load(contenders.HERE / "detector.yaml", sets)
    splits = datasets.load(config)
    with np.load(tmp_path / "cells.npz") as arrays:
        assert arrays["y_train"][0, :2].tolist() == [[0, 0, 128, 96, 1], [20, 10, 220, 180, 2]]  # twice as large
        assert arrays["y_train"][1, :2].tolist() == [[198, 158, 256, 192, 1], [-1] * 5]
        for split in (splits.train, splits.test):
            fitted, expected = split.targets.fit(config.data), arrays[f"y_{split.name}"][:, : split.targets.capacity]
            is_there = expected[..., 4] >= 0
            np.testing.assert_array_equal(fitted[..., 4], expected[..., 4])
            np.testing.assert_allclose(fitted[is_there][:, :4], expected[is_there][:, :4], rtol=1e-6)
            for row, pixels in enumerate(arrays[f"x_{split.name}"]):
                decoded = np.asarray(Image.open(io.BytesIO(split.images.read(row))))
                np.testing.assert_array_equal(decoded, pixels)


def test_figures_of_shards() -> None:
    """Each round begins with the other contender; medians, the ratio of each pair, and whether the bar holds."""
    order: list[str] = []
    times = {"now": iter([3.0, 2.0, 8.0]), "before": iter([2.0, 4.0, 4.0])}

    def measured(who: str) -> float:
        order.append(who)
        return next(times[who])

    contest = shards.Contest("s", 1.02, False, lambda: measured("now"), lambda: measured("before"))
    (pairs,) = shards.rounds([contest], 3)
    assert order == ["now", "before", "before", "now", "now", "before"]
    assert pairs == [(3.0, 2.0), (2.0, 4.0), (8.0, 4.0)]
    line = "s: median 3 against 4, ratio 1.500 (0.500 to 2.000), n=3; "
    assert shards.figures(contest, pairs) == line + "at most 1.02: does not hold"
    assert shards.figures(replace(contest, bar=1.5, is_least=True), pairs) == line + "at least 1.50: holds"


def test_measured_training_in_shards(tmp_path: Path) -> None:
    """A process trains with the shards; its seconds pass, and its processor seconds are counted."""
    generator = np.random.default_rng(0)
    arrays = {f"x_{split}": generator.integers(0, 256, (64, 28, 28), np.uint8) for split in ("train", "test")}
    labels = {f"y_{split}": np.arange(64, dtype=np.uint8) % 10 for split in ("train", "test")}
    np.savez(tmp_path / "mnist.npz", **arrays, **labels)
    found = shards.train("lenet5", tmp_path / "mnist.npz", 1, 2)
    assert found.keys() == {"seconds", "processor", "images_per_second"}
    assert min(found.values()) > 0


def test_a_ring_is_timed() -> None:
    """Two workers add up by a ring instead of by doubling, which takes the same way; a time for each size."""
    found = shards.exchange("ring", (1, 100), num_workers=2)
    assert list(found) == [1, 100]
    assert min(found.values()) > 0
