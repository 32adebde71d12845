"""A run to explore."""

from __future__ import annotations

from pathlib import Path

import pytest

from cnncli.runs.run import Run


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Return a run that recorded two epochs of `digits_lenet` on few examples."""
    from cnncli.config.load import load
    from cnncli.engine.training.train import train
    from cnncli.runs.events import Silence

    changed = ["train.epochs=2", "train.replay=true", "train.batch_size=256", "data.validation=0.5"]
    config = load("digits_lenet", [*changed, "train.checkpoint.keep=5"])
    return Run.open(Path(train(config, tmp_path_factory.mktemp("explored") / "runs", Silence()).run))
