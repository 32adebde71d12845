"""Whether a stop changes a run's result: its config is trained twice, once killed in the middle and resumed.

And whether the number of workers does: then it is also trained with each of several numbers of them. All trainings are
processes of their own, for one process that trains twice shares more than two that do not. Nothing of this imports
TensorFlow here.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import zip_longest
from pathlib import Path
from time import monotonic, sleep
from typing import Any, Self

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

PATIENCE = 10.0
"""Seconds that workers get to end after their launcher was killed; they take milliseconds."""


@dataclass(frozen=True)
class Comparison:
    """How a training with some number of workers ended, compared with the first training.

    Attributes:
        workers: Number of workers.
        identical: Whether it ended with the same arrays, metrics and counters, bit by bit.
        differences: What differs.
    """

    workers: int
    identical: bool
    differences: tuple[str, ...]

    @classmethod
    def of(cls, workers: int, differences: Iterable[str]) -> Self:
        """Return the comparison with these differences."""
        found = tuple(differences)
        return cls(workers, not found, found)

    def told(self) -> Iterator[str]:
        """Yield what differs, each with the number of workers."""
        return (f"{counted(self.workers, 'worker')}: {difference}" for difference in self.differences)


@dataclass(frozen=True)
class Verdict:
    """What the comparison came to.

    Attributes:
        run: Path of the run whose config was trained.
        identical: Whether all trainings ended with the same arrays, metrics and counters, bit by bit.
        epochs: Number of epochs that were trained.
        steps: Number of steps that were trained.
        killed_after_epoch: Number of epochs completed when the second training was killed.
        resumed_at_step: Step at which it went on.
        num_arrays: Number of arrays compared: weights, optimizer, seed generators, running means.
        num_values: Numbers in them.
        num_metrics: Numbers of metrics.jsonl compared.
        differences: What differs.
        same_as_run: Whether the run itself, as it is on the disk, is the same too; None if it is not done.
        workers: Of each number of workers that was asked for, how the training with them compares with the first one,
            which that of the first number is; empty if none was asked for.
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
    workers: tuple[Comparison, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return the fields of `cnn verify --json`; `workers` only where they were asked for."""
        document = asdict(self)
        if not self.workers:
            del document["workers"]
        return document


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


def verify(run: Run, show: Callable[[str], None], data: Path | None = None, num_workers: Sequence[int] = ()) -> Verdict:
    """Train a run's config to the end twice, in a temporary folder, and compare.

    With numbers of workers it is trained to the end with each, and the training that is killed begins with the first
    number and goes on with the last.

    Args:
        run: The run; it is only read.
        show: Called with each line of progress.
        data: Where its examples are now, or None where its config says it.
        num_workers: Numbers of workers that can share the run's batches; none for processes without workers.

    Raises:
        CnnError: If the run is damaged, or is an ensemble, or a training fails.
    """
    if run.record.get("ensemble"):
        raise RunError(
            f"{run.path} is an ensemble: its networks were trained in other runs, and there is no training to repeat",
            "Verify one of them.",
        )
    trainings = _Trainings(run, data)
    first_number, last_number = (num_workers[0], num_workers[-1]) if num_workers else (None, None)
    parts = 3 + len(num_workers[1:])
    with tempfile.TemporaryDirectory(prefix="cnn-verify-") as folder:
        show(f"1 of {parts}: training without interruption{_with(first_number)}")
        first = _end(trainings.whole(Path(folder) / "whole", first_number))
        comparisons = [Comparison.of(number, ()) for number in num_workers[:1]]  # With itself.
        for part, number in enumerate(num_workers[1:], start=2):
            show(f"{part} of {parts}: training without interruption{_with(number)}")
            other = _end(trainings.whole(Path(folder) / f"whole-{part}", number))
            comparisons.append(Comparison.of(number, _differences(first, other)))
        show(f"{parts - 1} of {parts}: training again{_with(first_number)}, killed in the middle")
        stopped, resumed_at = trainings.killed(Path(folder) / "killed", first.middle, first_number)
        killed_after = len(stopped.metrics())
        resuming = f"resuming at step {resumed_at:,}{_with(last_number)}"
        show(f"{parts} of {parts}: killed after {counted(killed_after, 'epoch')}; {resuming}")
        trainings.resume(stopped, last_number)
        second = _end(stopped)
    differences = (*_differences(first, second), *(line for each in comparisons for line in each.told()))
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
        workers=tuple(comparisons),
    )


def _with(number: int | None) -> str:
    """Say with how many workers, where these are given."""
    return "" if number is None else f" with {counted(number, 'worker')}"


class _Trainings:
    """Starts the command line on a run's config, in processes of their own.

    Args:
        run: The run.
        data: Where its examples are now, or None.
    """

    def __init__(self, run: Run, data: Path | None) -> None:
        self._config = run.config_file
        self._sets = _overrides(run, data)

    def whole(self, runs_dir: Path, num_workers: int | None) -> Run:
        """Train to the end."""
        with TrainingProcess(*self._train(runs_dir), *_workers(num_workers)) as process:
            process.finish()
        return find("latest", runs_dir)

    def killed(self, runs_dir: Path, step: int, num_workers: int | None) -> tuple[Run, int]:
        """Train, and kill the process after a checkpoint of `step`; return the run and the step to go on from."""
        for number in range(TRIES):
            folder = runs_dir / str(number)
            every = ["--set", f"train.checkpoint.every={{steps: {step}}}"]
            with TrainingProcess(*self._train(folder), *every, *_workers(num_workers)) as process:
                while process.runs and not _reached(folder, step):
                    sleep(0.001)
                killed = process.kill()
            if killed:
                run = find("latest", folder)
                _wait_for_end(run)
                newest = run.checkpoints.latest()
                return run, 0 if newest is None else newest.step
        raise RunError("training ended before it could be killed", "Verify a run with more epochs.")

    def resume(self, run: Run, num_workers: int | None) -> None:
        """Go on to the end."""
        with TrainingProcess("resume", str(run.path), *_workers(num_workers)) as process:
            process.finish()

    def _train(self, runs_dir: Path) -> list[str]:
        return ["train", str(self._config), "--runs-dir", str(runs_dir), *self._sets]


def _workers(number: int | None) -> list[str]:
    """Return the options that start so many workers."""
    return [] if number is None else ["--workers", str(number)]


def _wait_for_end(run: Run) -> None:
    """Wait until nothing writes to a run: its workers end after their launcher, which alone was killed."""
    deadline = monotonic() + PATIENCE
    while run.locked and monotonic() < deadline:
        sleep(0.01)


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
    start = train.start_from
    if start is not None and start.run is not None:
        source = find(start.run, run.path.absolute().parent.parent)
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
