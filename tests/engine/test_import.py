"""What importing the engine leaves behind, and what it does not let in."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.engine

TRAINED = """
import gc, hashlib, os, sys
from pathlib import Path
from cnncli.config.load import loads
from cnncli.runs.events import Silence
if "first" in sys.argv:
    import keras
import cnncli.engine
imported = gc.isenabled(), gc.get_freeze_count() > 100_000, "sklearn" in sys.modules
from cnncli.engine.training.train import train
from cnncli.runs.run import Run
text = '''
name: small
data: {source: digits, image_size: [8, 8], channels: 1, validation: 0.2}
model: {layers: [{Conv2D: {filters: 2, kernel_size: 3}}, BatchNormalization, ReLU, Flatten, {Dense: {units: 10}}]}
train: {epochs: 1, batch_size: 512, threads: 1}
'''
run = Run.open(Path(train(loads(text, "small.yaml"), Path("runs"), Silence()).run))
total = hashlib.sha256()
for name, array in sorted(run.checkpoints.latest().arrays.items()):
    total.update(name.encode() + array.tobytes())
print(total.hexdigest(), os.environ.get("KERAS_HOME"), os.environ.get("KERAS_MAX_EPOCHS"), *imported)
"""
"""Train in a folder; print a hash of all weights, two variables, and what importing the engine has left behind."""


def trained(folder: Path, *arguments: str, **environment: str) -> list[str]:
    """Train in a fresh process whose home is a folder; return what it prints."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("KERAS_")}
    done = subprocess.run(
        [sys.executable, "-c", TRAINED, *arguments],
        cwd=folder,
        env=clean | {"HOME": str(folder)} | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Return what a home without settings gives; nothing is written to it."""
    home = tmp_path_factory.mktemp("clean")
    printed = trained(home)
    assert not (home / ".keras").exists()
    return printed


def test_the_collector_is_back_and_spares_the_import(clean: list[str]) -> None:
    """Garbage is collected again, what TensorFlow's import left is out of it, and nothing is hidden any longer."""
    assert clean[3:] == ["True", "True", "False"]


@pytest.mark.parametrize(
    ("settings", "arguments"),
    [
        ({"floatx": "float64", "epsilon": 0.1, "backend": "torch", "image_data_format": "channels_first"}, ()),
        ({"floatx": "float16", "epsilon": 0.1, "image_data_format": "channels_first"}, ("first",)),
    ],
    ids=["ours", "imported before"],
)
def test_settings_of_the_user_change_no_weight(
    settings: dict[str, object], arguments: tuple[str, ...], clean: list[str], tmp_path: Path
) -> None:
    """A keras.json with another type, epsilon, backend and order of axes gives the same bits; variables stay set."""
    home = tmp_path / ".keras"
    home.mkdir()
    (home / "keras.json").write_text(json.dumps(settings), encoding="utf-8")
    more = {} if arguments else {"KERAS_HOME": str(home), "KERAS_MAX_EPOCHS": "none"}
    assert trained(tmp_path, *arguments, **more)[:3] == [
        clean[0],
        str(more.get("KERAS_HOME")),
        str(more.get("KERAS_MAX_EPOCHS")),
    ]
