"""Where trainings run: as many at once as the memory bears, each on a GPU of its own."""

from __future__ import annotations

from collections.abc import Callable
from io import FileIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from cnncli import resources
from cnncli.errors import CnnError
from cnncli.sweeps import memory, trainings
from cnncli.sweeps.directory import Leg, Part, SweepDirectory, TrialDirectory
from cnncli.sweeps.memory import PROCESS, MemoryBound, forecast
from cnncli.sweeps.proposal import Proposal
from cnncli.sweeps.scheduler import _Scheduler
from cnncli.sweeps.spec import Sweep
from cnncli.sweeps.trainings import Launcher, Program, Training

GB = 1_000_000_000
SECTION = """\
space: {train.batch_size: [16, 32, 48, 64]}
sampler: grid
threads: 1
parallel: 4
"""


class FakeLauncher(Launcher):
    """Starts nothing, and remembers what."""

    takes_memory = True

    def __init__(self) -> None:
        self.started: list[int] = []

    def start(self, directory: TrialDirectory, leg: Leg, lock: FileIO, slot: int) -> Training:
        """Pretend that a training runs until a test gives its process an exit code."""
        self.started.append(directory.number)
        process: Any = SimpleNamespace(pid=directory.number, returncode=None, send_signal=lambda number: None)
        process.poll = lambda: process.returncode
        return Training(directory, lock, slot, process)


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """Return what this machine's memory is from now on: all trials need a gigabyte."""
    found = SimpleNamespace(available=8 * GB, total=8 * GB, held={})
    monkeypatch.setattr(memory, "available_memory", lambda: found.available)
    monkeypatch.setattr(memory, "total_memory", lambda: found.total)
    monkeypatch.setattr(memory, "memory_of", lambda pid: found.held.get(pid))
    monkeypatch.setattr(memory, "forecast", lambda config: GB)
    return found


@pytest.fixture
def scheduler(load: Callable[..., Sweep], tmp_path: Path, machine: SimpleNamespace) -> Any:
    """Return a scheduler that may train four at once, on such a machine."""
    directory = SweepDirectory.begin(load(SECTION), tmp_path / "runs", 1)
    found = _Scheduler(directory, 4, FakeLauncher(), lambda trial: None)
    yield found
    for training in found._running.values():
        training.lock.close()


def test_trainings_wait_for_memory(scheduler: Any, machine: SimpleNamespace) -> None:
    """What those that run have not taken yet is promised to them; what they hold is gone from what is available."""
    machine.available = 3.5 * GB
    scheduler.advance(False)
    assert scheduler._launcher.started == [0, 1, 2]
    machine.held, machine.available = {0: GB, 1: GB, 2: 0.5 * GB}, 1.4 * GB
    scheduler.advance(False)
    assert scheduler._launcher.started == [0, 1, 2]
    assert scheduler.patience is not None, "nothing else would wake it up"
    machine.available = 1.5 * GB
    scheduler.advance(False)
    assert scheduler._launcher.started == [0, 1, 2, 3]


def test_one_training_always_runs(scheduler: Any, machine: SimpleNamespace) -> None:
    """What is available now may come back, and the forecast may be wrong."""
    machine.available = 0
    scheduler.advance(False)
    assert scheduler._launcher.started == [0]


def test_memory_that_nobody_knows_bounds_nothing(scheduler: Any, machine: SimpleNamespace) -> None:
    """As on macOS."""
    machine.available = machine.total = None
    scheduler.advance(False)
    assert scheduler._launcher.started == [0, 1, 2, 3]


def test_what_can_never_fit_ends_the_sweep(scheduler: Any, machine: SimpleNamespace) -> None:
    """With both numbers; nothing is started, and the trial is free for a larger machine."""
    machine.total = 0.5 * GB
    scheduler.advance(False)
    assert scheduler._launcher.started == []
    assert not scheduler.advance(False)
    with pytest.raises(CnnError, match=r"trial 0 needs about 1\.0 GB of memory, this machine has 0\.5 GB"):
        raise scheduler.error
    assert not next(scheduler._directory.trials()).is_held


def test_larger_networks_and_batches_need_more(load: Callable[..., Sweep]) -> None:
    """That of digits_lenet is small beside the process."""
    base = load(SECTION).base
    assert PROCESS < forecast(base) < 1.05 * PROCESS
    wide = load("space: {'model.layers[0].Conv2D.filters': [256, 512]}\nsampler: grid").config
    assert forecast(wide({"model.layers[0].Conv2D.filters": 512})) > forecast(base) + 0.2 * GB


def test_a_bound_asks_for_each_trial_once(load: Callable[..., Sweep], monkeypatch: pytest.MonkeyPatch) -> None:
    """The forecast takes some milliseconds, a look at the memory hardly any."""
    asked: list[Any] = []
    monkeypatch.setattr(memory, "forecast", lambda config: asked.append(config) or GB)
    bound, proposal = MemoryBound(load(SECTION)), Proposal(3, {"train.batch_size": 16}, {})
    for _ in range(3):
        bound.has_room(proposal, {1: proposal})
        bound.require_possible(proposal)
    assert [config.train.batch_size for config in asked] == [16]


def test_memory_is_that_of_the_machine_and_of_the_container(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The smaller one counts; without Linux's files nothing is known."""
    monkeypatch.setattr(resources, "_PROC", tmp_path)
    monkeypatch.setattr(resources, "_GROUP", tmp_path / "group")
    found = resources.total_memory, resources.available_memory, lambda: resources.memory_of(7)
    assert [each() for each in found] == [None] * 3
    (tmp_path / "meminfo").write_text("MemTotal:  1000 kB\nMemFree:  1 kB\nMemAvailable:  600 kB\n")
    (tmp_path / "7").mkdir()
    (tmp_path / "7" / "status").write_text("Name:\tcnn\nVmHWM:\t90 kB\nVmRSS:\t80 kB\n")
    assert [each() for each in found] == [1_024_000, 614_400, 81_920]
    (tmp_path / "group").mkdir()
    files = {"memory.max": "500000", "memory.current": "400000", "memory.stat": "anon 1\ninactive_file 50000\n"}
    for name, text in files.items():
        (tmp_path / "group" / name).write_text(text)
    assert [each() for each in found] == [500_000, 150_000, 81_920]
    (tmp_path / "group" / "memory.max").write_text("max\n")
    assert [each() for each in found] == [1_024_000, 614_400, 81_920]


@pytest.mark.parametrize(
    ("device", "visible", "expected"),
    [
        ("auto", "4,7,5", ["4", "7", "5", "4", "7"]),
        ("gpu", "2", ["2"] * 5),
        ("auto", "", [None] * 5),
        ("cpu", "4,7,5", [None] * 5),
    ],
)
def test_each_training_sees_one_gpu(
    monkeypatch: pytest.MonkeyPatch, device: str, visible: str, expected: list[str | None]
) -> None:
    """In turn, so that as many as there are GPUs have one each; then the memory of the machine is no bound."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    launcher = Launcher(Program(processes=5, device=device), 0)
    assert [launcher._gpu(slot).get("CUDA_VISIBLE_DEVICES") for slot in range(5)] == expected
    assert launcher.takes_memory == (expected[0] is None)


def test_started_training_has_its_gpu(
    load: Callable[..., Sweep], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """In its environment."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,7")
    given: list[dict[str, str]] = []
    popen = lambda command, env, **options: given.append(env)  # noqa: E731
    monkeypatch.setattr(trainings.subprocess, "Popen", popen)
    directory = SweepDirectory.begin(load(SECTION), tmp_path / "runs", 1)
    trial = directory.add(Proposal(0, {"train.batch_size": 16}, {}), directory.sweep.base)
    lock: Any = None
    Launcher(Program(processes=2), 0).start(trial, Leg(Part()), lock, 1)
    assert given[0]["CUDA_VISIBLE_DEVICES"] == "7"
