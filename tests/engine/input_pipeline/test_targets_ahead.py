"""Masks that stream: batches as from memory, made beside the training, exact on resume, noticed where they change."""

from __future__ import annotations

import signal
import threading
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cnncli.errors import DataError
from cnncli.runs.events import Silence

pytestmark = pytest.mark.engine

CONFIG = """
name: streamed
task: segmentation
data:
  source: masks
  path: {path}
  image_size: [12, 16]
  channels: 3
  validation: 0.2
  classes: {{sky: 0, road: 1, car: 2}}
  ignore: 255
  augmentation: [{{RandomFlip: {{mode: horizontal}}}}, {{RandomCrop: {{padding: 2}}}}]
model: {{layers: [{{Conv2D: {{filters: 4, kernel_size: 3}}}}, {{Conv2D: {{filters: 3, kernel_size: 1}}}}]}}
train: {{epochs: 2, batch_size: 7}}
"""


@pytest.fixture
def scenes(tmp_path, monkeypatch):
    """A folder of 50 images of several sizes with their masks."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    generator = np.random.default_rng(0)
    for number in range(50):
        shape = (18 + number % 3, 24)
        content = {
            "images": generator.integers(0, 256, (*shape, 3), np.uint8),
            "masks": generator.integers(0, 3, shape),
        }
        content["masks"][:2] = 255
        for kind, pixels in content.items():
            (tmp_path / "scenes" / kind).mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels.astype(np.uint8)).save(tmp_path / "scenes" / kind / f"{number:02}.png")
    return tmp_path / "scenes"


@pytest.fixture
def make_config(tmp_path):
    """Return a function that makes the config of a folder or archive."""
    from cnncli.config.load import load

    def make(path):
        (tmp_path / "config.yaml").write_text(CONFIG.format(path=path), encoding="utf-8")
        return load(tmp_path / "config.yaml")

    return make


@pytest.fixture
def zipped(scenes):
    """An archive of the folder."""
    with zipfile.ZipFile(scenes.with_suffix(".zip"), "w", zipfile.ZIP_DEFLATED) as archive:
        for file in scenes.rglob("*.png"):
            archive.write(file, file.relative_to(scenes))
    return scenes.with_suffix(".zip")


def train_split(config):
    """Return the training examples of a config."""
    from cnncli import datasets

    return datasets.load(config).train


def feeds(config):
    """Return a feed of the training split from memory and one that streams."""
    from cnncli.engine.input_pipeline.decoder import Decoder
    from cnncli.engine.input_pipeline.feed import StreamFeed, make_feed
    from cnncli.engine.input_pipeline.preprocessing import Preprocessing

    split, preprocessing = train_split(config), Preprocessing(config.data)
    memory = make_feed(split, preprocessing, 5, 7)
    assert type(memory).__name__ == "MemoryFeed"
    return memory, StreamFeed(split, Decoder(split.images, preprocessing), 5, 7)


def batches(feed, epoch, first_batch, number):
    """Return images and masks of some batches, one after the other."""
    images, masks = [], []
    while number > 0:
        chunk = feed.chunk(epoch, first_batch, number)
        for row in chunk.plan:
            images.append(chunk.images.numpy()[row])
            masks.append(chunk.targets.numpy()[row])
        first_batch, number = first_batch + len(chunk.plan), number - len(chunk.plan)
    return np.concatenate(images), np.concatenate(masks)


def test_masks_stream_as_from_memory(scenes, make_config):
    """Whole epochs, entered in the middle, and the run's first batch: the same images with the same masks."""
    memory, stream = feeds(make_config(scenes))
    for epoch, first_batch, number in ((0, 0, 6), (1, 0, 2), (1, 2, 4), (4, 3, 1), (2, 5, 1), (0, 4, 2)):
        asked = epoch, first_batch, number
        for ours, theirs in zip(batches(memory, *asked), batches(stream, *asked), strict=True):
            assert np.array_equal(ours, theirs), asked
    one, other = memory.first_batch(), stream.first_batch()
    assert np.array_equal(one.targets.numpy()[one.plan[0]], other.targets.numpy()[other.plan[0]])


class Watched:
    """Targets that note where and how many of them are fitted."""

    def __init__(self, rows, noted, bad=None):
        self._rows, self._noted, self._bad = rows, noted, bad

    def take(self, rows):
        """Return those at some rows."""
        return Watched(self._rows[rows], self._noted, self._bad)

    def fit(self, data):
        """Note the rows and the thread."""
        self._noted.append((self._rows.tolist(), threading.current_thread().name))
        if self._bad in self._rows:
            raise DataError(f"{self._bad} is bad")
        return self._rows * 10


def test_batches_are_made_ahead_but_no_further():
    """In their order, in a thread of their own, at most so many as are asked for; none more when nobody waits."""
    from cnncli.engine.input_pipeline.targets_ahead import targets_ahead

    order, noted = np.random.default_rng(0).permutation(23).astype(np.int32), []
    made = targets_ahead(Watched(np.arange(23), noted), None, order, 5, 2)
    first = next(made)
    assert first.tolist() == (order[:5] * 10).tolist()
    rest = list(made)
    assert np.concatenate(rest).tolist() == (order[5:] * 10).tolist()
    assert [len(batch) for batch in rest] == [5, 5, 5, 3]
    assert [rows for rows, _ in noted] == [order[i : i + 5].tolist() for i in range(0, 23, 5)]
    assert all(name.startswith("targets") for _, name in noted)
    noted.clear()
    left = targets_ahead(Watched(np.arange(100), noted), None, np.arange(100, dtype=np.int32), 5, 2)
    next(left)
    left.close()
    assert len(noted) <= 3


def test_what_is_wrong_is_told_with_its_batch():
    """The batches before a bad target come as they should."""
    from cnncli.engine.input_pipeline.targets_ahead import targets_ahead

    made = targets_ahead(Watched(np.arange(20), [], bad=12), None, np.arange(20, dtype=np.int32), 5, 3)
    assert [next(made).tolist() for _ in range(2)] == [[0, 10, 20, 30, 40], [50, 60, 70, 80, 90]]
    with pytest.raises(DataError, match="12 is bad"):
        next(made)


def test_a_mask_that_changes_while_training_streams(scenes, make_config):
    """It is named as soon as it is read again, whatever its size and time are."""
    _, stream = feeds(make_config(scenes))
    stream.chunk(0, 0, 6)
    for file in (scenes / "masks").iterdir():
        Image.fromarray(np.asarray(Image.open(file))[::-1]).save(file)
    with pytest.raises(DataError, match=r"masks/\d\d\.png has changed since the examples were read"):
        batches(stream, 1, 0, 6)


@pytest.mark.parametrize(("spare", "kind"), [(0, "MemoryFeed"), (-1, "StreamFeed")])
def test_masks_count_in_the_memory_limit(scenes, make_config, monkeypatch, spare, kind):
    """A split is held in memory up to the bytes of its images and of its masks, not of its images alone."""
    from cnncli.engine.input_pipeline import feed
    from cnncli.engine.input_pipeline.preprocessing import Preprocessing

    config = make_config(scenes)
    split = train_split(config)
    assert len(split) == 40
    monkeypatch.setattr(feed, "MEMORY_LIMIT", 40 * 12 * 16 * (3 + 1) + spare)
    made = feed.make_feed(split, Preprocessing(config.data), 0, 7)
    assert type(made).__name__ == kind


class StopAfter(Silence):
    """Sends what Ctrl-C sends after a number of chunks of steps."""

    def __init__(self, chunks):
        self._left = chunks

    def steps_done(self, event):
        """Count, and stop the run in the middle of an epoch."""
        self._left -= 1
        if self._left == 0:
            signal.raise_signal(signal.SIGINT)


def weights_of(run):
    """Return the arrays of a run's newest checkpoint."""
    from cnncli.runs.run import Run

    return {name: array.tobytes() for name, array in Run.open(Path(run)).checkpoints.latest().arrays.items()}


def test_streamed_and_resumed_training_is_the_same(scenes, zipped, make_config, tmp_path, monkeypatch):
    """From memory, and streamed from an archive with a stop in mid-epoch: the same weights to the last bit."""
    from cnncli.engine.input_pipeline import feed
    from cnncli.engine.training import pace
    from cnncli.engine.training.train import resume, train
    from cnncli.runs.run import Run

    monkeypatch.setattr(pace.Pace, "measured", lambda self, batches, seconds: None)
    in_memory = train(make_config(scenes), tmp_path / "memory", Silence())
    monkeypatch.setattr(feed, "MEMORY_LIMIT", 0)
    stopped = train(make_config(zipped), tmp_path / "stopped", StopAfter(3))
    assert stopped.status == "interrupted"
    run = Run.open(Path(stopped.run))
    resumed = resume(run, run.config(), Silence())
    assert weights_of(in_memory.run) == weights_of(resumed.run)
