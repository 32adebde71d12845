"""The recording of a training: one file an epoch, whatever happens in between."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cnncli.errors import RunError
from cnncli.files import durable
from cnncli.runs.run import Run

pytestmark = pytest.mark.engine


@pytest.fixture
def replay(small_config: Callable[..., Any], tmp_path: Path) -> Any:
    """Return the replay of a new run whose metrics know of three epochs."""
    from cnncli.config.dump import dump
    from cnncli.datasets import load
    from cnncli.engine.training.replay import Replay
    from cnncli.engine.training.setup import Setup

    config = small_config()
    run = Run.create(tmp_path / "runs", config.name, dump(config))
    for epoch in (1, 2, 3):
        run.append_metrics({"epoch": epoch})
    found = Replay(run, Setup.of(config, load(config)))
    found.run = run
    return found


def contents(run: Run) -> dict[str, bytes]:
    """Return every file of a recording."""
    return {path.name: path.read_bytes() for path in (run.path / "replay").iterdir()}


def test_frames_come_back_as_they_were(replay: Any) -> None:
    """Filters, maps and predictions are those of the network; probabilities sum to 1."""
    from cnncli.engine.training.replay import read_examples, read_frames

    replay.save(0)
    replay.save(1)
    frames = list(read_frames(replay.run))
    assert [frame.epoch for frame in frames] == [0, 1]
    kernel = np.asarray(replay._model.get_layer("conv2d").kernel)
    assert frames[0].layer == "conv2d"
    assert (frames[0].kernels == kernel).all()
    assert set(frames[0].maps) == {"conv2d", "batch_normalization", "re_lu", "max_pooling2d"}
    assert frames[0].maps["conv2d"].shape == (2, 6, 6, 4)
    assert frames[0].predictions["probabilities"].sum(axis=1) == pytest.approx(np.ones(10), abs=1e-6)
    examples = read_examples(replay.run)
    assert examples.named(()) == tuple("0123456789")
    assert examples.pixels.shape == (10, 8, 8, 1)


def test_recordings_of_older_versions_are_read(replay: Any) -> None:
    """They have class numbers instead of the right answers' names; an epoch's arrays are the same."""
    from cnncli.engine.inspection.html_images import recording
    from cnncli.engine.training.replay import read_examples
    from cnncli.tasks.task import get_task

    replay.save(1)
    classes, path = [f"digit {i}" for i in range(10)], replay.run.replay_dir / "examples.npz"
    with np.load(path) as stored:
        np.savez(path, pixels=stored["pixels"], labels=np.arange(10), ids=stored["ids"])
    assert read_examples(replay.run).named(classes) == tuple(classes)
    found = recording(replay.run, get_task("classification").pages, classes)
    assert found is not None
    assert found.truths == tuple(classes)
    with np.load(replay.run.replay_dir / "epoch-0001.npz") as stored:
        assert {name for name in stored.files if "/" not in name} == {"epoch", "probabilities"}
        probabilities = stored["probabilities"]
    expected = [
        (f"digit {row.argmax()} ({100 * row.max():.1f} %)", row.argmax() == i) for i, row in enumerate(probabilities)
    ]
    assert list(found.frames[0].predictions) == expected


def test_same_epoch_again_leaves_the_same_bytes(replay: Any) -> None:
    """An epoch that is trained again after a crash replaces its file by an equal one."""
    replay.save(1)
    before = contents(replay.run)
    replay.save(1)
    assert contents(replay.run) == before


def test_epochs_that_the_metrics_do_not_know_are_left_out(replay: Any) -> None:
    """After a step back to an older checkpoint, files of later epochs wait unseen to be replaced."""
    from cnncli.engine.training.replay import read_frames

    for epoch in range(6):
        replay.save(epoch)
    assert [frame.epoch for frame in read_frames(replay.run)] == [0, 1, 2, 3]


def test_a_crash_while_writing_leaves_the_old_file(replay: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that refuses gives one known error; the file of before is whole, and no rest is left."""
    replay.save(1)
    before = contents(replay.run)

    def refuse(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(durable, "write", refuse)
    with pytest.raises(RunError, match=r"epoch-0001.npz cannot be written: No space left"):
        replay.save(1)
    assert contents(replay.run) == before


def test_images_are_pixels_for_tensorboard(replay: Any) -> None:
    """Every recorded epoch has pictures; one that was not recorded has none."""
    replay.save(2)
    images = replay.images(2)
    assert set(images) == {
        "kernels/conv2d",
        *(f"feature_maps/{n}" for n in ("conv2d", "batch_normalization", "re_lu", "max_pooling2d")),
    }
    assert all(image.dtype == np.uint8 and image.shape[-1] == 3 for image in images.values())
    assert replay.images(3) == {}


def test_another_epochs_file_is_told(tmp_path: Path) -> None:
    """Whole as it is, it would show the filters of another epoch; files of earlier versions do not say theirs."""
    from cnncli.engine.training.replay import _frame

    arrays = {"kernels/conv2d": np.ones((3, 3, 1, 2), np.float32), "probabilities": np.ones((1, 2), np.float32)}
    path = tmp_path / "epoch-0002.npz"
    np.savez(path, epoch=np.array(1), **arrays)
    with pytest.raises(RunError, match="expected epoch 2, not that of another file"):
        _frame(2, path)
    np.savez(path, **arrays)
    assert list(_frame(2, path).predictions) == ["probabilities"]
