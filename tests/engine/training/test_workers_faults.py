"""tests/faults/workers_campaign.py in small: a worker that is killed, one that is told to stop, and the same bits.

Every moment is waited for in what the workers tell, so that a busy machine only makes the test longer.
"""

from __future__ import annotations

import random
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "faults"))
import forked
from launched_workers import Workers
from training_process import STEPS_PER_EPOCH, differences
from workers_campaign import GUARD, kill_once, stop_by_signal, wait_for

pytestmark = [
    pytest.mark.engine,
    pytest.mark.skipif(sys.platform != "linux", reason="processes are found in /proc"),
]

OVERRIDES = ["train={shards: 2, epochs: 10000, batch_size: 32, checkpoint: {every: {steps: 5}}}"]
"""It does not end while the test looks for its processes, however slow the machine."""


TRAIN_BOTH = """
import sys
from pathlib import Path
from cnncli.config.load import load
from cnncli.engine.training.train import resume, train
from cnncli.runs.events import Silence
from cnncli.runs.run import Run
stopped, config, runs_dir, epochs, *overrides = sys.argv[1:]
run = Run.open(Path(stopped))
with run.lock():
    resume(run, run.config([epochs]), Silence())
print(train(load(config, [*overrides, epochs]), Path(runs_dir), Silence()).run)
"""
"""In a process of its own: that of the tests may compute with several threads an operation, for another run."""


def test_killed_then_stopped(tmp_path: Path) -> None:
    """All start again after a worker's SIGKILL; SIGTERM to a worker stops all after one step; one process goes on."""
    place = Workers(tmp_path, OVERRIDES)
    with place.launched(2, restarts=1) as launch:
        killed = kill_once(place, launch, lambda _: bool(launch.told("steps-0")), "worker", 0, GUARD)
        assert killed.phase not in ("start-up", "ended")
        assert killed.wrong == ()
        wait_for(place, launch, lambda _: bool(launch.told("steps-0")))
        stopped = stop_by_signal(place, launch, "worker", random.Random(0), GUARD)
        assert stopped.wrong == ()
        assert "worker 1 died of SIGKILL" in place.stderr()
        epochs = f"train.epochs={launch.last_steps()[0] // STEPS_PER_EPOCH + 1}"
    assert place.run is not None
    arguments = [str(place.run), str(tmp_path / "small.yaml"), str(tmp_path / "whole"), epochs, *OVERRIDES]
    ended = forked.run(TRAIN_BOTH, *arguments)
    assert ended.returncode == 0, ended.stderr
    assert differences(place.run, Path(ended.stdout.strip())) == []


def test_loss_told_with_its_reason() -> None:
    """Of an error in a graph, the line that says what happened, not TensorFlow's heading or traceback."""
    import tensorflow as tf

    from cnncli.engine.distribution.strategy import WorkerLostError
    from cnncli.engine.distribution.workers import losses_told

    text = "Graph execution error:\n\nDetected at node While\n  File a.py\nCollective ops is aborted by: gone\nMore."
    with pytest.raises(WorkerLostError, match=r"another worker was lost: gone$"), losses_told():
        raise tf.errors.UnavailableError(None, None, text)
