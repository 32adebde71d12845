"""The fault campaigns of tests/faults in small: real processes, signals and a full disk; the same bits in the end.

Every moment is waited for in the run's directory, so that a busy machine only makes the tests longer.
"""

from __future__ import annotations

import json
import signal
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "faults"))
import environment_campaign
import kill_keras
import resume_full_disk
from forked import IS_TRUSTED
from kill_campaign import TELLING, Change, Reference, kill_once, undisturbed
from signals_campaign import judge, stop_once
from training_process import SMALL, STEPS_PER_EPOCH, VARIANTS, Workplace, differences

pytestmark = pytest.mark.engine

OVERRIDES = VARIANTS["mid-epoch checkpoints"]


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Reference:
    """Return a run that nobody disturbs, trained in a process of its own."""
    return undisturbed(tmp_path_factory.mktemp("whole"), OVERRIDES, IS_TRUSTED)


def change(name: str, times: int = 1) -> Change:
    """Return what says that something telling has happened a number of times."""
    return Change(TELLING[name], times, 0.0)


def test_killed_twice(reference: Reference, tmp_path: Path) -> None:
    """SIGKILL while a checkpoint is written, and again, resumed, at a line of metrics: the end is bit-identical."""
    place = Workplace(tmp_path, OVERRIDES, IS_TRUSTED)
    kills = [
        kill_once(place, name, change(name, times)) for name, times in (("checkpoint written", 4), ("metrics line", 2))
    ]
    assert [kill.phase for kill in kills] == ["training", "training"]
    assert max(kill.lost for kill in kills) <= STEPS_PER_EPOCH
    place.finish()
    assert place.run is not None
    assert differences(place.run, reference.run) == []


def test_stopped_twice(reference: Reference, tmp_path: Path) -> None:
    """SIGTERM while it trains says how to go on; then SIGINT twice in a row; the end is bit-identical."""
    place = Workplace(tmp_path, OVERRIDES, IS_TRUSTED)
    stop = stop_once(place, change("checkpoint renamed", 2), signal.SIGTERM, None)
    assert (stop.phase, stop.code, judge(stop, signal.SIGTERM)) == ("training", 143, [])
    assert "Continue with: cnn resume" in stop.stderr
    assert place.run is not None
    assert json.loads((place.run / "run.json").read_text(encoding="utf-8"))["status"] == "interrupted"
    stop = stop_once(place, change("metrics line"), signal.SIGINT, 0.01)
    assert (stop.name, stop.phase, stop.code, judge(stop, signal.SIGINT)) == ("SIGINT twice", "training", 130, [])
    place.finish()
    assert differences(place.run, reference.run) == []


def test_full_disk(tmp_path: Path) -> None:
    """A disk that is full in mid-training: one clear error, and an exact end once there is room."""
    from cnncli.config.load import load
    from cnncli.engine.training.train import train
    from cnncli.runs.events import Silence

    (tmp_path / "small.yaml").write_text(SMALL, encoding="utf-8")
    whole = train(load(tmp_path / "small.yaml", resume_full_disk.OVERRIDES), tmp_path / "whole", Silence())
    try:
        with resume_full_disk.small_disk(tmp_path / "disk"):
            refused, wrong = resume_full_disk.trial(tmp_path / "disk", resume_full_disk.MOST_FREE // 2, Path(whole.run))
    except resume_full_disk.NotPermittedError:
        pytest.skip("a small disk cannot be mounted here")
    assert "cannot be written" in refused
    assert wrong == []


@pytest.fixture(scope="module")
def keras_reference(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return where Keras's script was trained to its end."""
    folder = tmp_path_factory.mktemp("keras")
    kill_keras.undisturbed(folder, "as the guide writes it", IS_TRUSTED)
    return folder


def test_keras_script_killed(keras_reference: Path, tmp_path: Path) -> None:
    """Keras's script, killed after an epoch and started again, is found to differ; undisturbed it equals itself."""
    moment = Change(kill_keras.TELLING["log line"], 2, 0.0)
    killed = kill_keras.trial(tmp_path, "as the guide writes it", moment, keras_reference, IS_TRUSTED)
    assert killed.killed
    assert not killed.same_weights
    assert not killed.same_log
    assert kill_keras.same_weights(keras_reference, keras_reference)


def test_another_environment(tmp_path: Path) -> None:
    """Training without oneDNN: the same bits, or run.json holds what is otherwise; the variable is there either way."""
    assert environment_campaign.train(tmp_path / "whole", environment_campaign.Environment(), moves="[]") is None
    environment = environment_campaign.ENVIRONMENTS["oneDNN off"]
    verdict = environment_campaign.trained(tmp_path / "other", environment, tmp_path / "whole", moves="[]")
    assert verdict.kind in ("equal", "said")
    assert "variables" in verdict.said
