"""`cnn verify` trains twice, kills once, compares bit by bit, and can fail."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

sys.path.insert(0, str(Path(__file__).parents[2] / "faults"))
import forked

from cnncli.errors import RunError
from cnncli.runs import process, verification
from cnncli.runs.checkpoint import Checkpoint
from cnncli.runs.run import Run
from cnncli.runs.verification import Verdict, verify

pytestmark = pytest.mark.engine


@pytest.fixture
def forks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the trainings fork: they share TensorFlow's import and nothing that it has computed."""
    if forked.IS_TRUSTED:
        monkeypatch.setattr(process, "subprocess", SimpleNamespace(Popen=Training, DEVNULL=subprocess.DEVNULL))


class Training(forked.Forked):
    """A training, started by the command that a fresh process would be."""

    def __init__(self, command: list[str], *, stdout: int, env: None, pass_fds: Sequence[int]) -> None:
        assert command[:3] == [sys.executable, "-m", "cnncli"]
        super().__init__(forked.CNN, command[3:])


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Return a run of LeNet with dropout, computed in halves.

    It was trained in a process of its own, as users train: the threads of this one were set by whatever trained here
    first.
    """
    sets = ["--set", "train.epochs=6", "--set", "train.threads=2"]
    command = ["train", "digits_lenet", *sets, "--runs-dir", str(tmp_path_factory.mktemp("runs")), "--json"]
    made = forked.run(forked.CNN, *command)
    assert made.returncode == 0, made.stderr
    found = Run.open(Path(json.loads(made.stdout)["run"]))
    assert found.record["parts"] == 2
    return found


@pytest.mark.usefixtures("forks")
def test_verified_run(run: Run) -> None:
    """Killed in mid-epoch and resumed, the second training ends like the first and like the run itself.

    Dropout in halves draws the same on both sides of the stop.
    """
    before = sorted(run.path.rglob("*"))
    told: list[str] = []
    verdict = verify(run, told.append)
    assert verdict.identical
    assert verdict.same_as_run
    assert (verdict.epochs, verdict.steps) == (6, 126)
    assert 0 < verdict.resumed_at_step < 126
    assert verdict.resumed_at_step % 21 != 0
    assert verdict.num_arrays > 10
    assert verdict.num_metrics == 6 * 7
    assert [line[:6] for line in told] == ["1 of 3", "2 of 3", "3 of 3"]
    assert sorted(run.path.rglob("*")) == before


DENSE = """name: dense
data: {source: digits, image_size: [8, 8], channels: 1, validation: 0.2}
model: {layers: [Flatten, Dropout: {rate: 0.2}, Dense: {units: 10}]}
train: {epochs: 3, batch_size: 100, shards: 2}
"""


@pytest.mark.skipif(sys.platform == "win32", reason="the launcher refuses Windows")
def test_killed_with_two_workers_and_resumed_with_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The end is that of one process that was never stopped, which stands for the trainings without interruption."""
    (tmp_path / "dense.yaml").write_text(DENSE, encoding="utf-8")
    command = ["train", str(tmp_path / "dense.yaml"), "--runs-dir", str(tmp_path), "--json"]
    made = forked.run(forked.CNN, *command)
    assert made.returncode == 0, made.stderr
    run = Run.open(Path(json.loads(made.stdout)["run"]))
    monkeypatch.setattr(verification._Trainings, "whole", lambda *_: run)
    verdict = verify(run, lambda line: None, None, (2, 1))
    assert verdict.differences == ()
    assert 0 < verdict.resumed_at_step < verdict.steps == 36


def test_failing_training(small_config: Callable[..., Any], tmp_path: Path) -> None:
    """A training that fails is an error, not a verdict."""
    from cnncli.config.dump import dump

    (tmp_path / "broken.npz").write_bytes(b"PK")
    config = small_config("data.source=npz", f"data.path={tmp_path / 'broken.npz'}")
    run = Run.create(tmp_path / "runs", "small", dump(config))
    with pytest.raises(RunError, match="exit code 1"):
        verify(run, lambda line: None)


def end(arrays: dict[str, np.ndarray], accuracy: float = 0.5, best: int = 1) -> verification._End:
    """Return how a run of one epoch ended."""
    meta = {"progress": {"step": 3, "best": {"epoch": best}, "trained_seconds": np.random.default_rng().random()}}
    line = {"epoch": 1, "step": 3, "seconds": meta["progress"]["trained_seconds"], "train": {"accuracy": accuracy}}
    return verification._End(Checkpoint(Path("step-3"), 3, arrays, meta), [line])


def test_every_difference_is_told() -> None:
    """One bit of one array, a metric, a counter, a missing array, another type: each is seen; the clock is not."""
    array = np.arange(6, dtype=np.float32)
    flipped = array.copy()
    flipped.view(np.uint32)[2] ^= 1
    first = end({"w": array})
    assert list(verification._differences(first, end({"w": array.copy()}))) == []
    assert list(verification._differences(first, end({"w": flipped}))) == ["w: 1 of 6 values differ"]
    assert list(verification._differences(first, end({"v": array}))) == [f"{n} is in only one of them" for n in "vw"]
    assert list(verification._differences(first, end({"w": array.astype(float)}))) == ["w has another type or shape"]
    assert list(verification._differences(first, end({"w": array}, accuracy=0.6))) == ["the metrics of epoch 1 differ"]
    counters = list(verification._differences(first, end({"w": array}, best=2)))
    assert counters == ["best epoch, early stopping or plateau differ"]
    longer = replace(first, metrics=[*first.metrics, {"epoch": 2}])
    assert list(verification._differences(longer, first)) == ["the metrics of epoch 2 differ"]
    assert list(verification._differences(first, longer)) == ["the metrics of epoch 2 differ"]


def test_negative_zero_and_nan() -> None:
    """Bits are compared, not values: −0.0 differs from 0.0, a NaN equals the same NaN."""
    zeros, nans = np.zeros(2), np.full(2, np.nan)
    assert list(verification._differences(end({"w": zeros}), end({"w": -zeros})))
    assert not list(verification._differences(end({"w": nans}), end({"w": nans.copy()})))


@pytest.mark.parametrize("identical", [True, False])
def test_exit_code(identical: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Exit code 0 if identical, else 1 with what differs."""
    from cnncli.cli.app import app

    Run.create(tmp_path, "small", "name: small\n")
    verdict = Verdict("x", identical, 3, 36, 1, 18, 20, 1000, 21, () if identical else ("w: 1 of 6",), None)
    monkeypatch.setattr(verification, "verify", lambda *_: verdict)
    result = CliRunner().invoke(app, ["verify", "small", "--runs-dir", str(tmp_path)])
    assert result.exit_code == (0 if identical else 1)
    assert result.stdout.startswith("identical: 20 arrays (1,000 values)" if identical else "different: of 20 arrays")
    assert ("w: 1 of 6" in result.stdout) is not identical
