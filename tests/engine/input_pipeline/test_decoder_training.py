"""A run that streams its images ends as one that holds them in memory, also when it is stopped and resumed."""

from __future__ import annotations

import signal
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cnncli.runs.events import Silence

pytestmark = pytest.mark.engine

CONFIG = """
name: streamed
data:
  source: folder
  path: {path}
  image_size: [8, 8]
  channels: 3
  validation: 0.2
  augmentation: [RandomFlip, {{RandomCrop: {{padding: 1}}}}]
model:
  layers: [{{Conv2D: {{filters: 4, kernel_size: 3}}}}, Flatten, {{Dropout: {{rate: 0.2}}}}, {{Dense: {{units: 2}}}}]
train: {{epochs: 2, batch_size: 7}}
"""


class StopAfter(Silence):
    """Sends what Ctrl-C sends after a number of chunks of steps."""

    def __init__(self, chunks):
        self._left = chunks

    def steps_done(self, event):
        """Count, and stop the run in the middle of an epoch."""
        self._left -= 1
        if self._left == 0:
            signal.raise_signal(signal.SIGINT)


@pytest.fixture
def config(tmp_path, monkeypatch):
    """A config of a folder with 50 photographs of several sizes."""
    from cnncli.config.load import load

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    generator = np.random.default_rng(0)
    for number in range(50):
        folder = tmp_path / "images" / "ab"[number % 2]
        folder.mkdir(parents=True, exist_ok=True)
        pixels = generator.integers(0, 256, (12 + number % 3, 12, 3), np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.jpg")
    (tmp_path / "config.yaml").write_text(CONFIG.format(path=tmp_path / "images"), encoding="utf-8")
    return load(tmp_path / "config.yaml")


def weights_of(run):
    """Return the arrays of a run's newest checkpoint."""
    from cnncli.runs.run import Run

    return {name: array.tobytes() for name, array in Run.open(Path(run)).checkpoints.latest().arrays.items()}


def test_streamed_and_resumed_training_is_the_same(config, tmp_path, monkeypatch):
    """In memory, and streamed with a stop in mid-epoch: the same weights to the last bit."""
    from cnncli.engine.input_pipeline import feed
    from cnncli.engine.training import pace
    from cnncli.engine.training.train import resume, train
    from cnncli.runs.run import Run

    monkeypatch.setattr(pace.Pace, "measured", lambda self, batches, seconds: None)
    in_memory = train(config, tmp_path / "memory", Silence())
    monkeypatch.setattr(feed, "MEMORY_LIMIT", 0)
    stopped = train(config, tmp_path / "stopped", StopAfter(3))
    assert stopped.status == "interrupted"
    run = Run.open(Path(stopped.run))
    resumed = resume(run, run.config(), Silence())
    assert weights_of(in_memory.run) == weights_of(resumed.run)
