"""What must be the same when a run goes on, and what a user is told where it is not."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cnncli.errors import RunError
from cnncli.runs.events import Silence, Started
from tests.engine.conftest import SMALL

pytestmark = pytest.mark.engine


class Notes(Silence):
    """Keeps what a resumed run tells before its first epoch."""

    def __init__(self) -> None:
        self.told: tuple[str, ...] = ()

    def started(self, event: Started) -> None:
        """Keep the notes."""
        self.told = event.notes


def resumed(run: Any, *overrides: str) -> tuple[Any, tuple[str, ...]]:
    """Resume a run; return the result and the notes."""
    from cnncli.config.load import load
    from cnncli.engine.training.train import resume

    notes = Notes()
    return resume(run, load(run.config_file, overrides), notes), notes.told


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a finished run of two epochs with a cosine schedule, of which each test has a copy."""
    from cnncli.config.load import loads
    from cnncli.engine.training.train import train

    config = loads(SMALL, overrides=["train.epochs=2", "train.schedule=CosineDecay"])
    return Path(train(config, tmp_path_factory.mktemp("runs"), Silence()).run)


@pytest.fixture
def done(trained: Path, tmp_path: Path) -> Any:
    """Return the run, to be resumed and changed."""
    from cnncli.runs.run import Run

    return Run.open(Path(shutil.copytree(trained, tmp_path / "runs" / trained.name)))


def test_extending_a_finished_run(done: Any) -> None:
    """More epochs: the run goes on after its last step and says what the schedule does to the learning rate."""
    before = done.metrics()
    result, (note,) = resumed(done, "train.epochs=4")
    assert note.startswith("4 epochs instead of 2: with CosineDecay the learning rate goes from ")
    assert (result.status, result.epochs) == ("done", 4)
    assert done.metrics()[:2] == before
    assert [line["step"] for line in done.metrics()] == [12, 24, 36, 48]
    assert done.config().train.epochs == 4


def test_another_learning_rate_is_told(done: Any) -> None:
    """A changed rate is told as what it is before the next step."""
    _, (note,) = resumed(done, "train.optimizer={Adam: {learning_rate: 0.1}}", "train.epochs=3")
    assert note.startswith("3 epochs instead of 2: with CosineDecay the learning rate goes from ")
    _, (note, _) = resumed(done, "train.schedule=Constant")
    assert note == "with Constant the learning rate goes from 0.00019 to 0.1"


def test_resuming_a_finished_run_changes_nothing(done: Any) -> None:
    """There is nothing left to do: no new checkpoint, the same metrics, and a word about it."""
    names, metrics = done.checkpoints.names(), done.metrics()
    result, (note,) = resumed(done)
    assert "done after 2 epochs" in note
    assert "--set train.epochs=4" in note
    assert result.status == "done"
    assert (done.checkpoints.names(), done.metrics()) == (names, metrics)


def test_early_stopping_that_has_stopped(small_config: Callable[..., Any], tmp_path: Path) -> None:
    """More epochs do not wake a run that early stopping has ended; the note says what does."""
    from cnncli.engine.training.train import train
    from cnncli.runs.run import Run

    config = small_config("train.epochs=4", "train.early_stopping={patience: 1, min_delta: 0.9}")
    run = Run.open(Path(train(config, tmp_path / "runs", Silence()).run))
    assert len(run.metrics()) == 2
    result, notes = resumed(run, "train.epochs=6")
    assert result.epochs == 2
    assert any("early stopping ended the run after epoch 2" in note for note in notes)
    result, _ = resumed(run, "train.early_stopping=null")
    assert result.epochs == 6


@pytest.mark.parametrize("override", ["seed=4", "train.batch_size=50", "data.validation=0.3", "train.threads=1"])
def test_another_experiment_is_refused(done: Any, override: str) -> None:
    """What would make it another experiment is refused by name, and the run stays as it was."""
    text = done.config_file.read_text(encoding="utf-8")
    key = override.split("=")[0]
    named = key if key.startswith("train.") else key.split(".")[0]
    with pytest.raises(RunError, match=f"but {named} would change") as refused:
        resumed(done, override)
    # What may change is not told in words that take in what was just refused.
    kept, _, rest = refused.value.hint.partition(": its steps")
    assert named in kept.removeprefix("A run keeps its ").replace(" and ", ", ").split(", ")
    assert "Every other key of `train`" in rest
    assert done.config_file.read_text(encoding="utf-8") == text
    assert done.status == "done"


def test_another_network_is_refused(done: Any) -> None:
    """A layer more is another experiment."""
    with pytest.raises(RunError, match="model"):
        resumed(done, "model.layers=[Flatten, {Dense: {units: 10}}]")


def test_another_environment_is_told(done: Any) -> None:
    """Another version, or another number of threads: the run says that it is no longer exact."""
    record = done.record
    done.update(versions={**record["versions"], "keras": "3.0.0"}, cpu_features=["avx2"])
    _, notes = resumed(done)
    exact = [note for note in notes if note.endswith("this run is no longer bit-exact")]
    assert [note.split(" was ")[0] for note in exact] == ["keras", "cpu_features"]
    assert done.record["no_longer_exact"] == [{"step": 24, "because": exact}]


def test_another_arithmetic_is_told(done: Any) -> None:
    """A newer cnncli that computes steps otherwise says so; a run of one that recorded nothing, that it cannot know."""
    recorded = done.record["arithmetic"]
    assert recorded["replaced_layers"] == ["batch_normalization"]
    resumed(done)
    assert "no_longer_exact" not in done.record
    done.update(arithmetic={**recorded, "revision": 0, "replaced_layers": [], "folding": {"conv2d": 2}})
    _, (*notes, _) = resumed(done)
    assert [note.partition(": this run")[0] for note in notes] == [
        f"arithmetic.revision was 0 and is {recorded['revision']}",
        "arithmetic.folding was conv2d: 2 and is none",
        "arithmetic.replaced_layers was none and is batch_normalization",
    ]
    assert done.record["no_longer_exact"] == [{"step": 24, "because": notes}]
    record = done.record
    del record["arithmetic"]
    done.write_json(done.record_file, record)
    _, (note, _) = resumed(done)
    assert note == "the run does not record how its steps were computed, so it may not be bit-exact from here on"
    assert done.record["no_longer_exact"][1:] == [{"step": 24, "because": [note]}]


def test_what_is_recorded_of_the_arithmetic() -> None:
    """The layers on folded images with their rows, those computed otherwise than Keras's, and fused updates."""
    from cnncli.config.load import load
    from cnncli.engine.arithmetic import REVISION, arithmetic
    from cnncli.engine.network.model import build

    lenet = load("mnist_lenet5")
    recorded = arithmetic(lenet.train, build(lenet))
    assert re.fullmatch("[0-9a-f]{16}", recorded.pop("golden_vector"))
    assert recorded == {
        "revision": REVISION,
        "folding": {"c1": 4, "c3": 2},  # before the two poolings that halve the height each
        "fused_updates": True,
        "replaced_layers": [],
    }
    grouped = load(
        "mnist_lenet5",
        [
            "train.optimizer=Adadelta",
            "model.layers[0]={Conv2D: {filters: 6, kernel_size: 5, padding: same, strides: 2, name: c1}}",
        ],
    )
    found = arithmetic(grouped.train, build(grouped))
    assert (found["folding"], found["fused_updates"], found["replaced_layers"]) == ({}, False, ["c1"])


def test_environment_is_compared_by_name() -> None:
    """Nothing is told of what is the same or was not recorded."""
    from cnncli.engine.training.resume_checks import environment_changes

    now = {"versions": {"keras": "3.15.1", "numpy": "2.0"}, "threads": 2, "device": "CPU", "cpu_features": ["fma"]}
    assert list(environment_changes(now, now)) == []
    assert list(environment_changes({}, now)) == []
    assert list(environment_changes({**now, "threads": 4}, now)) == [
        "threads was 4 and is 2: this run is no longer bit-exact"
    ]


def test_variables_and_a_golden_vector_are_compared() -> None:
    """A variable set, unset or changed is named; other bits are told though nothing else differs; old runs are not."""
    from cnncli.engine.training.resume_checks import environment_changes

    def changes(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
        return [
            change.removesuffix(": this run is no longer bit-exact") for change in environment_changes(before, after)
        ]

    now = {"variables": {"XLA_FLAGS": "a"}, "arithmetic": {"revision": 1, "golden_vector": "0f"}}
    assert changes(now, now) == []
    assert changes({**now, "variables": {"OMP_NUM_THREADS": "1", "XLA_FLAGS": "b"}}, now) == [
        "OMP_NUM_THREADS was 1 and is not set",
        "XLA_FLAGS was b and is a",
    ]
    assert changes({**now, "variables": {}}, now) == ["XLA_FLAGS was not set and is a"]
    different = {"revision": 1, "golden_vector": "aa"}
    assert changes({**now, "arithmetic": different}, now) == [
        "arithmetic differs on this machine, fixed numbers give other bits"
    ]
    assert changes({"arithmetic": {"revision": 1}}, now) == []


def test_a_resumed_run_compares_variables_and_bits(done: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """What run.json records of variables, versions and bits is compared at resume, and what differs is kept."""
    record = done.record
    assert record["versions"].keys() >= {"tensorflow", "keras", "numpy", "ml_dtypes", "pillow"}
    assert (record["parts"] in (1, 2), record["threads"] >= 1) == (True, True)
    done.update(arithmetic={**record["arithmetic"], "golden_vector": "0" * 16})
    monkeypatch.setenv("TF_ENABLE_ONEDNN_OPTS", "0")
    monkeypatch.setenv("TF_CONFIG", "{}")
    monkeypatch.setenv("TF_CPP_MAX_VLOG_LEVEL", "0")
    _, (*notes, _) = resumed(done)
    assert [note.partition(": this run")[0] for note in notes] == [
        "TF_ENABLE_ONEDNN_OPTS was not set and is 0",
        "arithmetic differs on this machine, fixed numbers give other bits",
    ]
    assert done.record["no_longer_exact"] == [{"step": 24, "because": notes}]


def test_other_data_are_refused(done: Any) -> None:
    """Examples that are not those the run began with are named, and nothing is trained."""
    from cnncli.errors import DataError

    passport = done.passport()
    done.write_json(done.data_file, {**passport, "content_hash": "0" * 64})
    with pytest.raises(DataError, match="content_hash"):
        resumed(done, "train.epochs=3")
    assert len(done.metrics()) == 2


@pytest.fixture
def threads_of_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave TensorFlow's threads as they are, for the tests that come later in this process."""
    from cnncli.engine.fast_ops import batch_halves

    monkeypatch.setattr(batch_halves, "_set", lambda threads, _: threads)
    monkeypatch.setattr(batch_halves, "_parts_of_shards", None)


@pytest.mark.usefixtures("threads_of_the_process")
def test_shards_stay_and_threads_may_change(small_config: Callable[..., Any], tmp_path: Path) -> None:
    """Where a step is computed in shards, the number of threads is no part of a run: it is not even recorded."""
    from cnncli.engine.training.train import train
    from cnncli.runs.run import Run

    config = small_config("train.epochs=1", "train.shards=2", "train.threads=1")
    run = Run.open(Path(train(config, tmp_path / "runs", Silence()).run))
    assert "threads" not in run.record
    with pytest.raises(RunError, match=r"train\.shards would change"):
        resumed(run, "train.shards=4", "train.epochs=2")
    result, (note,) = resumed(run, "train.threads=2", "train.epochs=2")
    assert note.startswith("2 epochs instead of 1")
    assert result.epochs == 2
    assert "no_longer_exact" not in run.record
