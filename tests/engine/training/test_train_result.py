"""What training returns, against what the run's files say."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cnncli.runs.events import Silence
from cnncli.runs.metrics import best_line

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
    assert best_line(epochs, "validation_accuracy", rises=True) == best
    assert best_line(epochs[:2], "loss", rises=False) == min(epochs[:2], key=lambda epoch: epoch["train"]["loss"])


def test_a_run_that_is_interrupted_while_it_is_prepared(
    small_config: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C before the first step: the record and the list say interrupted, and resume trains the run."""
    from cnncli.engine.training import train as training
    from cnncli.errors import CheckpointError
    from cnncli.report.runs import runs_table
    from cnncli.runs.find import find, find_checkpoint
    from cnncli.runs.listing import rows

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    config = small_config("train.epochs=1")
    with monkeypatch.context() as patched:
        patched.setattr(training.Setup, "of", interrupt)
        with pytest.raises(KeyboardInterrupt):
            training.train(config, tmp_path / "runs", Silence())
    run = find("latest", tmp_path / "runs")
    assert (run.record["status"], run.record["epochs"]) == ("interrupted", 0)
    assert run.record["ended"] is not None
    (row,) = rows(tmp_path / "runs")
    assert runs_table([row]).lines()[-1].split()[1:] == ["interrupted", "0", "–", "–", "0"]
    with pytest.raises(CheckpointError, match="no checkpoint yet") as caught:
        find_checkpoint(run, "best")
    assert caught.value.hint == f"It was interrupted before its training began. Train it: cnn resume {run.path}"
    with run.lock():
        run.update(status="running")
        with pytest.raises(CheckpointError) as caught:
            find_checkpoint(run, "best")
        assert caught.value.hint == "Wait until its training begins."
        assert training.resume(run, run.config(), Silence()).status == "done"
    assert run.record["status"] == "done"
