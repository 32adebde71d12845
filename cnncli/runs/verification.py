"""Whether a stop changes a run's result: its config is trained twice, once killed in the middle and resumed.

Both trainings are processes of their own, for one process that trains twice shares more than two that
do not. Nothing of this imports TensorFlow here.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from itertools import zip_longest
from pathlib import Path
from time import sleep
from typing import Any

from cnncli.config.dump import scalar
from cnncli.config.location import WITHOUT_PATH, located, moved
from cnncli.errors import RunError
from cnncli.plural import counted
from cnncli.runs.checkpoint import Checkpoint
from cnncli.runs.find import find
from cnncli.runs.process import TrainingProcess
from cnncli.runs.run import Run

CLOCK = ("seconds", "images_per_second", "trained_seconds")
"""Numbers that no two runs have in common."""

TRIES = 3
"""How often a training may end before it could be killed."""


@dataclass(frozen=True)
class Verdict:
    """What the comparison came to.

    Attributes:
        run: Path of the run whose config was trained.
        identical: Whether both trainings ended with the same arrays, metrics and counters, bit by bit.
        epochs: Number of epochs that were trained.
        steps: Number of steps that were trained.
        killed_after_epoch: Number of epochs completed when the second training was killed.
        resumed_at_step: Step at which it went on.
        num_arrays: Number of arrays compared: weights, optimizer, seed generators, running means.
        num_values: Numbers in them.
        num_metrics: Numbers of metrics.jsonl compared.
        differences: What differs.
        same_as_run: Whether the run itself, as it is on the disk, is the same too; None if it is not done.
    """

    run: str
    identical: bool
    epochs: int
    steps: int
    killed_after_epoch: int
    resumed_at_step: int
    num_arrays: int
    num_values: int
    num_metrics: int
    differences: tuple[str, ...]
    same_as_run: bool | None

    def to_json(self) -> dict[str, Any]:
        """Return the fields of `cnn verify --json`."""
        return asdict(self)


@dataclass(frozen=True)
class _End:
    """How a run ended."""

    checkpoint: Checkpoint
    metrics: list[dict[str, Any]]

    @property
    def middle(self) -> int:
        """A step in the middle of the run, and if possible in the middle of an epoch."""
        steps_per_epoch = self.metrics[0]["step"]
        middle: int = max(self.checkpoint.step // 2, 1)
        return middle if middle % steps_per_epoch else middle + steps_per_epoch // 2


def verify(run: Run, show: Callable[[str], None], data: Path | None = None) -> Verdict:
    """Train a run's config to the end twice, in a temporary folder, and compare.

    Args:
        run: The run; it is only read.
        show: Called with each line of progress.
        data: Where its examples are now, or None where its config says it.

    Raises:
        CnnError: If the run is damaged, or a training fails.
    """
    trainings = _Trainings(run, data)
    with tempfile.TemporaryDirectory(prefix="cnn-verify-") as folder:
        show("1 of 3: training without interruption")
        whole = trainings.whole(Path(folder) / "whole")
        first = _end(whole)
        show("2 of 3: training again, killed in the middle")
        stopped, resumed_at = trainings.killed(Path(folder) / "killed", first.middle)
        killed_after = len(stopped.metrics())
        show(f"3 of 3: killed after {counted(killed_after, 'epoch')}; resuming at step {resumed_at:,}")
        trainings.resume(stopped)
        second = _end(stopped)
    differences = tuple(_differences(first, second))
    arrays = first.checkpoint.arrays
    return Verdict(
        run=str(run.path),
        identical=not differences,
        epochs=len(first.metrics),
        steps=first.checkpoint.step,
        killed_after_epoch=killed_after,
        resumed_at_step=resumed_at,
        num_arrays=len(arrays),
        num_values=sum(array.size for array in arrays.values()),
        num_metrics=sum(1 for _ in _numbers(first.metrics)),
        differences=differences,
        same_as_run=not any(_differences(first, _end(run))) if run.status == "done" else None,
    )


class _Trainings:
    """Starts the command line on a run's config, in processes of their own.

    Args:
        run: The run.
        data: Where its examples are now, or None.
    """

    def __init__(self, run: Run, data: Path | None) -> None:
        self._config = run.config_file
        self._sets = _overrides(run, data)

    def whole(self, runs_dir: Path) -> Run:
        """Train to the end."""
        with TrainingProcess(*self._train(runs_dir)) as process:
            process.finish()
        return find("latest", runs_dir)

    def killed(self, runs_dir: Path, step: int) -> tuple[Run, int]:
        """Train, and kill the process after a checkpoint of `step`; return the run and the step to go on from."""
        for number in range(TRIES):
            folder = runs_dir / str(number)
            with TrainingProcess(*self._train(folder), "--set", f"train.checkpoint.every={{steps: {step}}}") as process:
                while process.runs and not _reached(folder, step):
                    sleep(0.001)
                killed = process.kill()
            if killed:
                run = find("latest", folder)
                newest = run.checkpoints.latest()
                return run, 0 if newest is None else newest.step
        raise RunError("training ended before it could be killed", "Verify a run with more epochs.")

    def resume(self, run: Run) -> None:
        """Go on to the end."""
        with TrainingProcess("resume", str(run.path)) as process:
            process.finish()

    def _train(self, runs_dir: Path) -> list[str]:
        return ["train", str(self._config), "--runs-dir", str(runs_dir), *self._sets]


def _overrides(run: Run, data: Path | None = None) -> list[str]:
    """Return the `--set` options that make a training in another folder the same."""
    config, threads = run.config(), run.record.get("threads")
    train = config.train
    # The clock must not decide when a run ends.
    sets = ["train.max_minutes=null"]
    if threads is not None:
        sets.append(f"train.threads={threads}")
    path = located(config if data is None else moved(config, data)).path
    if path is not None and config.data.source not in WITHOUT_PATH:
        sets.append(f"data.path={scalar(str(Path(path).expanduser().absolute()))}")
    if train.start_from is not None:
        source = find(train.start_from.run, run.path.absolute().parent.parent)
        sets.append(f"train.start_from.run={source.path.absolute()}")
    return [argument for value in sets for argument in ("--set", value)]


def _reached(runs_dir: Path, step: int) -> bool:
    """Tell whether the one run in a folder has a checkpoint of `step` or later."""
    return any(int(path.name.split("-")[1]) >= step for path in runs_dir.glob("*/[!.]*/checkpoints/step-*"))


def _end(run: Run) -> _End:
    newest = run.checkpoints.latest()
    if newest is None:
        raise RunError(f"{run.path} has no checkpoint")
    return _End(newest, run.metrics())


def _differences(first: _End, second: _End) -> Iterator[str]:
    """Yield a line for everything in which two runs do not end alike."""
    ours, theirs = first.checkpoint.arrays, second.checkpoint.arrays
    for name in sorted(ours.keys() | theirs.keys()):
        if name not in ours or name not in theirs:
            yield f"{name} is in only one of them"
        elif (ours[name].dtype, ours[name].shape) != (theirs[name].dtype, theirs[name].shape):
            yield f"{name} has another type or shape"
        elif ours[name].tobytes() != theirs[name].tobytes():
            different = int((ours[name] != theirs[name]).sum())
            yield f"{name}: {different:,} of {ours[name].size:,} values differ"
    nothing: dict[str, Any] = {}
    for line, other in zip_longest(first.metrics, second.metrics, fillvalue=nothing):
        if list(_numbers([line])) != list(_numbers([other])):
            yield f"the metrics of epoch {(line or other)['epoch']} differ"
    if _without_clock(first.checkpoint.meta["progress"]) != _without_clock(second.checkpoint.meta["progress"]):
        yield "best epoch, early stopping or plateau differ"


def _numbers(lines: list[dict[str, Any]]) -> Iterator[tuple[str, Any]]:
    """Yield every number of the metrics that does not come from a clock, by its name."""
    for line in lines:
        for name, value in _without_clock(line).items():
            if isinstance(value, Mapping):
                yield from ((f"{name}.{part}", number) for part, number in value.items())
            else:
                yield name, value


def _without_clock(document: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in document.items() if name not in CLOCK}
