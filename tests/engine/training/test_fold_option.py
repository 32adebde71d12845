"""`cnn train --fold`: one fold of the training examples is the validation split, and the run says which."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.engine


def test_the_fold_is_recorded(small_config: Callable[..., Any], tmp_path: Path) -> None:
    """In run.json and in the run's config, which resumes with the same fold; another one is another experiment."""
    from cnncli.cli.train import train_cli
    from cnncli.datasets import load as load_splits
    from cnncli.errors import CnnError, RunError
    from cnncli.runs.events import Silence
    from cnncli.runs.run import Run

    small_config()
    file, sets = str(tmp_path / "small.yaml"), ["data.folds=3", "train.epochs=1"]
    with pytest.raises(CnnError, match="no fold is chosen"):
        train_cli(file, sets=sets, runs_dir=tmp_path / "runs")
    train_cli(file, sets=sets, fold=2, runs_dir=tmp_path / "runs")
    (path,) = (tmp_path / "runs/small").iterdir()
    run = Run.open(path)
    assert (run.record["fold"], run.record["folds"]) == (2, 3)
    config = run.config()
    assert (config.data.fold, config.data.folds) == (2, 3)
    digits = load_splits(small_config("data.validation=0"))
    expected = sum(run.passport()["num_examples"][name] for name in ("train", "validation"))
    assert expected == len(digits.train)
    assert abs(run.passport()["num_examples"]["validation"] - len(digits.train) / 3) <= 10
    from cnncli.engine.training.train import resume

    with pytest.raises(RunError, match="data would change"):
        resume(run, run.config(["data.fold=3"]), Silence())
    assert resume(run, run.config(["train.epochs=2"]), Silence()).status == "done"
