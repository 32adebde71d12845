"""What training returns, against what the run's files say."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cnncli.runs.events import Silence

pytestmark = pytest.mark.engine


def test_result_is_what_the_files_say(small_config: Callable[..., Any], tmp_path: Path) -> None:
    """The last epoch's metrics, the best epoch's, and how the run ended, as they stand in the run's folder."""
    from cnncli.engine.training.train import train

    result = train(small_config("train.epochs=3", "train.batch_size=200"), tmp_path / "runs", Silence())
    folder = Path(result.run)
    epochs = [json.loads(line) for line in (folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    record = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    assert [epoch["epoch"] for epoch in epochs] == [1, 2, 3]
    assert result.final == epochs[2]
    assert (result.status, result.epochs, result.signal) == ("done", 3, None)
    assert (record["status"], record["epochs"], record["best"]) == ("done", 3, result.best)
    best = max(epochs, key=lambda epoch: (epoch["validation"]["accuracy"], -epoch["validation"]["loss"]))
    assert result.best is not None
    assert result.best["epoch"] == best["epoch"]
