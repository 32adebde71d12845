"""Networks with random weights, to be exported without a run."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

CONFIG = """
name: net
seed: 5
data: {source: digits, image_size: [8, 8], channels: 1, validation: 0.2}
model:
  layers: []
"""

MakeSource = Callable[..., Any]


@pytest.fixture(scope="session")
def make_source() -> MakeSource:
    """Return a function that gives a network with random weights as something to export.

    Its arguments are the layers in YAML and `--set` overrides.
    """

    def make(layers: str, *overrides: str) -> Any:
        from hashlib import sha256

        from cnncli.config.dump import dump
        from cnncli.config.load import loads
        from cnncli.datasets import load as load_splits
        from cnncli.engine.evaluation.trained import Trained
        from cnncli.engine.exporting.source import Source
        from cnncli.engine.input_pipeline.preprocessing import Preprocessing
        from cnncli.engine.network.model import build
        from cnncli.engine.runtime import configure
        from cnncli.serving.description import Description

        config = loads(CONFIG.replace("layers: []", f"layers: {layers}"), overrides=overrides)
        # With the classes told, as of a run, a network may have outputs to spare.
        splits = load_splits(config, tuple(map(str, range(10))))
        configure(config)
        model = build(config)
        shake(model)
        data, classes = config.data, tuple(splits.classes)
        trained = Trained(config, classes, model, Preprocessing(data), "step-00000000")
        description = Description(
            name=config.name,
            classes=classes,
            height=data.image_size[0],
            width=data.image_size[1],
            channels=data.channels,
            method=data.resize.method,
            fit=data.resize.fit,
            any_size=False,
            config=dump(config),
            config_sha256=sha256(dump(config).encode()).hexdigest(),
            data_content_hash="",
            data_split_hash="",
            look={"num_images": 0},
            usual_size=(8, 8),
            run="net/0",
            checkpoint=trained.checkpoint,
            precision=config.train.precision,
            versions={},
        )
        return Source(trained, description, splits)

    return make


def shake(model: Any) -> None:
    """Give every weight a random value, biases and moving statistics too: zeros and ones hide mistakes."""
    generator = np.random.default_rng(1)
    for weight in model.weights:
        values = np.asarray(weight)
        if weight.dtype.startswith("float") and "seed" not in weight.path:
            noise = generator.normal(0, 0.1, values.shape)
            weight.assign(np.abs(values + noise) + 0.1 if "variance" in weight.path else values + noise)


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str, Any], Any]:
    """Return a function that writes and proves a network in a format, and returns what was kept."""

    def run(title: str, source: Any, number: int = 100) -> Any:
        from dataclasses import replace

        from cnncli.engine.exporting.export import prove
        from cnncli.engine.exporting.formats import FORMATS
        from cnncli.engine.exporting.proof import Proof

        kind = next(kind for kind in FORMATS if kind.title == title)
        own = source.in_float32() if kind.float32 else source
        path = tmp_path / f"net{kind.suffix}"
        kind.write(own, replace(own.description, any_size=kind.resizes(own.config.data)), path)
        same = own.description.precision == source.description.precision
        return prove(kind, path, own, Proof(source if same else own, number))

    return run


@pytest.fixture
def scripts_in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have Python scripts imported here, where a process of its own would take seconds to import TensorFlow.

    Tests of mixed precision and of `cnn export` start that process. What it alone would notice, a script that needs
    cnncli, is looked for.
    """
    from cnncli.engine.exporting import open as opening
    from cnncli.serving.artifact import Artifact
    from cnncli.serving.description import FILE, Description

    def imported(path: Path) -> Artifact:
        text = (path / "network.py").read_text(encoding="utf-8")
        assert re.search(r"^\s*(import|from)\s+cnncli", text, re.MULTILINE) is None
        spec = importlib.util.spec_from_file_location("network", path / "network.py")
        script = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(script)
        model = script.load()

        def compute(images: np.ndarray) -> dict[str, np.ndarray]:
            return {"probabilities": script.predict(images, model)}

        return Artifact("python", Description.from_json((path / FILE).read_bytes(), str(path)), compute)

    monkeypatch.setattr(opening, "open_python", imported)
