"""Real worker processes: their number changes no bit of a run, neither from the start nor at a resume.

The long form of this, with more configs, workers and threads, is tests/faults/hash_matrix.py.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "faults"))
from hash_matrix import ROWS, WIDE, Cell, cnn, hash_of, network, prepare, train
from training_process import digests, newest_checkpoint, step_of

pytestmark = [
    pytest.mark.engine,
    pytest.mark.skipif(sys.platform == "win32", reason="the launcher refuses Windows"),
]

OVERRIDES = [
    network("BatchNormalization", "ReLU", "Flatten", "{Dropout: {rate: 0.2}}", WIDE),
    "data.augmentation=[MixUp]",
    *ROWS["AdamW and clip_norm"],
    "train.shards=4",
    "train.batch_size=301",  # five steps an epoch, the last of 77 examples
    "train.checkpoint={every: {steps: 3}, keep: 9}",
]


@pytest.fixture(scope="module")
def straight(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the directory of a run of one worker, from the beginning to the end."""
    folder = tmp_path_factory.mktemp("workers")
    prepare(folder)
    return train(folder, OVERRIDES, Cell(1, 2), "one")


@pytest.mark.parametrize("way", ["memory", "messages"])
def test_another_number_of_workers_ends_with_the_same_bits(
    straight: Path, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two with other threads from the checkpoint in the middle of the first epoch on, as on one machine and on two."""
    folder = straight.parents[2]
    other = folder / way / straight.parent.name / straight.name
    shutil.copytree(straight, other)
    for checkpoint in other.glob("checkpoints/step-*"):
        if step_of(checkpoint) > 3:
            shutil.rmtree(checkpoint)
    assert step_of(newest_checkpoint(other)) == 3
    if way == "messages":
        monkeypatch.setenv("SEND_MESSAGES", "1")
    cnn(folder, "resume", str(other), "--workers", "2", "--set", "train.threads=3")
    assert step_of(newest_checkpoint(other)) == step_of(newest_checkpoint(straight)) == 10
    assert digests(other) == digests(straight)
    assert hash_of(other) == hash_of(straight)
