"""How far a sweep is, read from run directories made by hand, and how that looks."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console, Group

from cnncli.report.sweep import beginning
from cnncli.report.sweep_progress import LiveTrials, progress_lines
from cnncli.sweeps.directory import SweepDirectory, Trial, TrialDirectory
from cnncli.sweeps.progress import Progress, RunningTrial, Watch
from cnncli.sweeps.proposal import Proposal
from cnncli.sweeps.spec import Sweep
from cnncli.sweeps.study import Study

GRID = "space: {train.batch_size: [16, 32, 48, 64, 80], 'model.layers[0].Conv2D.filters': [4, 400]}\n"
LIMITED = GRID + "sampler: grid\nthreads: 1\nlimits: {params: 100000}\n"
"""Ten points, of which every other one is refused."""


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        """Return the seconds."""
        return self.now


@pytest.fixture
def directory(load: Callable[..., Sweep], tmp_path: Path) -> SweepDirectory:
    """Return the directory of a sweep of which all is proposed and nothing trained."""
    found = SweepDirectory.begin(load(LIMITED + "parallel: 9\n"), tmp_path / "runs", 1)
    study = Study(found.sweep)
    while (step := study.next({})) is not None:
        found.add(*step)
    return found


def train(trial: TrialDirectory, accuracies: list[float], status: str = "running") -> None:
    """Write what a run directory holds after some epochs."""
    run = trial.path / "20260101-000000"
    run.mkdir(parents=True, exist_ok=True)
    lines = [
        {"epoch": epoch, "step": epoch, "seconds": 1.0, "train": {}, "validation": {"loss": 1.0, "accuracy": accuracy}}
        for epoch, accuracy in enumerate(accuracies, start=1)
    ]
    (run / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    best = {"epoch": 1, "monitor": "validation_accuracy", "value": 1.0}
    record = {"name": trial.path.name, "status": status, "started": "2026-01-01T00:00:00+00:00", "seed": 0}
    (run / "run.json").write_text(json.dumps({**record, "epochs": len(lines), "best": best}))
    if status == "failed":
        (run / "diverged-step-00000001").mkdir()


def test_run_directories_say_how_far_a_sweep_is(directory: SweepDirectory) -> None:
    """Epochs and the last value of what runs, counts of the rest, the best so far, and the time that is left."""
    clock, trials = Clock(), [trial for trial in directory.trials() if trial.proposal.refused is None]
    watch = Watch(directory, clock)
    held = [trial.try_hold() for trial in trials[:3]]
    for trial, accuracies in zip(trials[:3], ([], [0.25], [0.5, 0.75]), strict=True):
        train(trial, accuracies)
    before = watch.look()
    assert [(each.epoch, each.epochs, each.value) for each in before.running] == [
        (0, 2, None),
        (1, 2, 0.25),
        (2, 2, 0.75),
    ]
    assert (dict(before.counts), before.num_waiting, before.best) == ({"refused": 5}, 2, ())
    assert before.seconds_left is None
    clock.now = 10.0
    for trial, file in zip(trials[1:3], held[1:], strict=True):
        train(trial, [0.5, 0.75], "done" if trial is trials[1] else "failed")
        file.close()
    train(trials[0], [0.125])
    clock.now = 12.0
    after = watch.look()
    held[0].close()
    assert [(each.epoch, each.value, each.seconds) for each in after.running] == [(1, 0.125, 12.0)]
    assert (dict(after.counts), after.num_waiting) == ({"refused": 5, "done": 1, "failed": 1}, 2)
    assert [trial.proposal.number for trial in after.best] == [trials[1].number]
    # Two trials took twelve seconds each; one that has taken as long is about to end, and two are left.
    assert after.seconds_left == 24.0


def test_each_look_is_at_the_epochs_that_are_there(directory: SweepDirectory) -> None:
    """An epoch that was completed between two looks is shown by the second."""
    trial = next(directory.trials())
    file, watch = trial.try_hold(), Watch(directory)
    train(trial, [0.5])
    assert [watch.look().running[0].epoch for _ in range(2)] == [1, 1]
    train(trial, [0.5, 0.75])
    shown = watch.look().running[0]
    assert (shown.epoch, shown.value) == (2, 0.75)
    file.close()


def test_damaged_trial_does_not_end_the_display(directory: SweepDirectory) -> None:
    """It is left out: what trains it says what is wrong."""
    trial = next(directory.trials())
    (trial.path / "proposal.json").write_text("{")
    assert Watch(directory).look().running == ()


def progress(sweep: Sweep, number: int) -> Progress:
    """Return what is seen of a sweep of sixty trials while a number of them run."""
    rates = [1.2345e-4 * 1.7**index for index in range(number)]
    proposals = [
        Proposal(40 + index, {"train.optimizer.Adam.learning_rate": rate, "train.batch_size": 32 + 7 * index}, {})
        for index, rate in enumerate(rates)
    ]
    running = tuple(
        RunningTrial(proposal, index, 12, None if index == 0 else 0.9 + index / 200, 17.5 * 1.9**index)
        for index, proposal in enumerate(proposals)
    )
    best = tuple(
        Trial(Proposal(at, {"train.batch_size": 64, "train.ema": 0.995}, {}), "done", values, None, ())
        for at, values in ((7, {"accuracy": 0.98305, "macs": 416_520}), (11, {"accuracy": 0.9611, "macs": 281_640}))
    )
    counts = {"done": 37, "failed": 2, "refused": 5}
    return Progress(sweep, running, counts, 21 - number, best, 754.0)


@pytest.mark.parametrize("width", [60, 80, 120])
def test_the_live_table(load: Callable[..., Sweep], golden: Callable[[str, str], None], width: int) -> None:
    """Four and twelve at once, and the moment at which none runs; no line is wider than the terminal."""
    sweep = load("space: {train.batch_size: [16, 32]}\nsampler: grid\nobjectives: {accuracy: max, macs: min}")
    said = io.StringIO()
    for number in (4, 12, 0):
        display = LiveTrials(Console(file=said, width=width), Fixed(progress(sweep, number)))
        display.tell(progress(sweep, 0).best[0])
        display.look()
        display._live.console.print(Group(display._live.renderable))
        said.write("\n")
    golden(f"live_{width}", said.getvalue())
    assert max(map(len, said.getvalue().splitlines())) <= width


class Fixed(Watch):
    """Sees what a test says."""

    def __init__(self, seen: Progress) -> None:
        self._seen = seen

    def look(self) -> Progress:
        """Return it."""
        return self._seen


def test_display_draws_in_place_and_vanishes(load: Callable[..., Sweep]) -> None:
    """On a terminal: the second look moves up over the first one, the end removes it, and the cursor is back."""
    sweep = load("space: {train.batch_size: [16, 32]}\nsampler: grid")
    said = io.StringIO()
    seen = progress(sweep, 3)
    with LiveTrials(Console(file=said, width=80, height=24, force_terminal=True), Fixed(seen)) as display:
        display.look()
        first = said.tell()
        display.look()
        assert said.getvalue()[first:].count("\x1b[1A") == len(list(progress_lines(seen, 78))) - 1
    assert said.getvalue().rstrip().endswith("\x1b[2K")
    assert said.getvalue().count("\x1b[?25h") == 1


@pytest.mark.parametrize(
    ("section", "processes", "expected"),
    [
        ("sampler: grid", 1, "has 10 trials, proposed by the sampler grid: one training at once with 2 threads, in "),
        ("sampler: grid\ntrials: 4", 3, "has 4 trials, proposed by the sampler grid: up to 3 trainings at once with 2"),
    ],
)
def test_first_line_says_what_is_done(
    load: Callable[..., Sweep], tmp_path: Path, section: str, processes: int, expected: str
) -> None:
    """Name, trials, sampler, processes and where."""
    directory: Any = SweepDirectory.begin(load(GRID + section), tmp_path / "runs", 2)
    assert beginning(directory, processes).startswith(f"The sweep search {expected}")
    assert beginning(directory, processes).endswith(f"{tmp_path / 'runs' / 'search.sweep'}.")
