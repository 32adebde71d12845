"""Crash before and after every write, fsync and rename of a run's save path: is anything ever lost?

    python tests/faults/store_crash.py [--random 40] [--seed 0]

A run is made and four epochs are recorded and saved, as training does it. Then, for every moment
between two file operations, power fails: on a disk that kept everything (which is also what
SIGKILL leaves), that forgot all that was not fsynced, that kept names and forgot data, the other
way round, and on random mixtures. What is left must open, hold what had been promised, bit for
bit, and go on. A second round makes each operation fail or interrupts the process at it, so that
the program's own cleaning up runs.
"""

from __future__ import annotations

import argparse
import errno
import json
import logging
import random
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
from store_disk import Disk, Recorder, intercepted

from cnncli.errors import RunError
from cnncli.runs.find import all_runs
from cnncli.runs.run import Run

EPOCHS, BEST = 4, (1, 4)
STEPS = 10
"""Steps an epoch."""


@dataclass
class Promise:
    """What training had been told was safe when power failed, and what it was about to do.

    Attributes:
        made: Whether the run was there.
        epoch: Last epoch whose checkpoint was safe; -1 before the first.
        trying: Epoch that it may have reached besides.
    """

    made: bool = False
    epoch: int = -1
    trying: int = -1


def state(epoch: int) -> dict[str, np.ndarray]:
    """Return the arrays of an epoch: several types and sizes."""
    rng = np.random.default_rng(epoch)
    return {
        "model/kernel": rng.standard_normal((5, 5, 3, 7), np.float32),
        "model/seed": rng.integers(0, 9, 2, np.uint32),
        "optimizer/iterations": np.array(epoch),
        "optimizer/empty": np.zeros((0, 4), np.float16),
    }


def train_epoch(run: Run, epoch: int) -> None:
    """Record and save an epoch in the order in which training does it; epoch 0 is the first state."""
    if epoch:
        run.append_metrics({"epoch": epoch, "loss": 1 / epoch})
    run.checkpoints.save(epoch * STEPS, state(epoch), {"epoch": epoch}, best=epoch in BEST, weights=["model/kernel"])
    run.update(epochs=epoch)


def train(runs_dir: Path, told: Callable[[Promise], None]) -> None:
    """Make a run and train it, telling after each step what is now promised."""
    promise = Promise()
    run = Run.create(runs_dir, "net", "name: net\n")
    for epoch in range(EPOCHS + 1):
        promise = Promise(made=True, epoch=epoch - 1, trying=epoch)
        told(promise)
        train_epoch(run, epoch)
    told(Promise(made=True, epoch=EPOCHS, trying=EPOCHS))


def check(runs_dir: Path, promise: Promise) -> str | None:
    """Open what is left and go on with it; return what is wrong, or None."""
    try:
        return trouble(runs_dir, promise)
    except (RunError, OSError) as error:
        return str(error)


def trouble(runs_dir: Path, promise: Promise) -> str | None:
    """Return what is wrong, or None; raises RunError or OSError where something cannot be read at all."""
    runs = list(all_runs(runs_dir))
    if not runs:
        return "the run is gone" if promise.made else None
    run = runs[0]
    if run.config_file.read_text(encoding="utf-8") != "name: net\n" or run.record["name"] != "net":
        return "config.yaml or run.json is damaged"
    found, best = run.checkpoints.latest(), run.checkpoints.best()
    for name in run.checkpoints.names():
        run.checkpoints.load(name)
    if any(run.checkpoints_dir.glob("corrupt-*")):
        return "a crash left a damaged checkpoint under a good name"
    epoch = -1 if found is None else found.meta["epoch"]
    if not promise.epoch <= epoch <= promise.trying:
        return f"epoch {epoch} came back, promised was {promise.epoch}"
    if found is not None and not same(found.arrays, state(epoch)):
        return "the arrays are others"
    expected = max((e for e in BEST if e <= epoch), default=None)
    if (None if best is None else best.meta["epoch"]) != expected:
        return "the best checkpoint is another"
    return goes_on(run, epoch)


def goes_on(run: Run, epoch: int) -> str | None:
    """Resume and train one epoch more; return what is wrong, or None."""
    run.truncate_metrics(epoch)
    if [line["epoch"] for line in run.metrics()] != list(range(1, epoch + 1)):
        return f"metrics.jsonl lacks lines up to epoch {epoch}"
    run.update(status="running")
    train_epoch(run, epoch + 1)
    resumed = run.checkpoints.latest()
    if resumed is None or not same(resumed.arrays, state(epoch + 1)):
        return "cannot be resumed"
    hint = json.loads((run.path / "latest.json").read_text(encoding="utf-8"))
    if hint["checkpoint"] != f"checkpoints/{resumed.path.name}":
        return "latest.json names another"
    left = [path.name for path in run.checkpoints_dir.iterdir() if path.name.startswith(".")]
    return f"left behind: {left}" if left else None


def same(left: dict[str, np.ndarray], right: dict[str, np.ndarray]) -> bool:
    """Tell whether names, types, shapes and bits are the same."""

    def bits(arrays: dict[str, np.ndarray]) -> dict[str, tuple[Any, ...]]:
        return {name: (a.dtype, a.shape, a.tobytes()) for name, a in arrays.items()}

    return bits(left) == bits(right)


def power_failures(num_random: int, seed: int, every: int = 1) -> tuple[int, int, list[str]]:
    """Lose power at every moment.

    Args:
        num_random: Random mixtures of what is kept, at each moment, besides the four extremes.
        seed: Of the mixtures.
        every: Take only each so many-th moment.

    Returns:
        Numbers of moments and of disks tried, and what went wrong.
    """
    rng = random.Random(seed)
    kinds = [{"names": a, "data": b} for a in (0.0, 1.0) for b in (0.0, 1.0)] + [
        {"names": 0.5, "data": 0.5}
    ] * num_random
    wrong = []
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder).resolve() / "runs"
        root.mkdir()
        disk, recorder = Disk(root), Recorder()
        promises: list[tuple[int, Promise]] = [(0, Promise())]
        with intercepted(recorder):
            train(root, lambda promise: promises.append((len(recorder.operations), promise)))
        for moment in range(len(recorder.operations) + 1):
            if moment:
                disk.apply(recorder.operations[moment - 1])
            if moment % every:
                continue
            promise = max((p for p in promises if p[0] <= moment), key=lambda p: p[0])[1]
            for number, kept in enumerate(kinds):
                left = Path(folder).resolve() / f"left-{moment}-{number}"
                disk.lose_power(left, kept, rng)
                trouble = check(left, promise)
                if trouble:
                    wrong.append(
                        f"after operation {moment} ({recorder.operations[moment - 1]}), kept {kept}: {trouble}"
                    )
    return moment // every + 1, (moment // every + 1) * len(kinds), wrong


class Interruption(BaseException):
    """The process is stopped, as Ctrl-C would."""


class FailAt:
    """Raises an error before or after one operation."""

    def __init__(self, number: int, error: BaseException, after: bool) -> None:
        self.number, self.error, self.after = number, error, after
        self.count = 0

    def __call__(self, name: str, primitive: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
        """Do an operation, or fail."""
        self.count += 1
        if self.count == self.number and not self.after:
            raise self.error
        result = primitive(*arguments)
        if self.count == self.number:
            if isinstance(result, FileIO):
                result.close()
            raise self.error
        return result


FULL, BROKEN = OSError(errno.ENOSPC, "No space left on device"), OSError(errno.EIO, "I/O error")


def failed_operations(*errors: BaseException, every: int = 1) -> tuple[int, list[str]]:
    """Let each (or each so many-th) operation fail with each error; return the number tried, and what went wrong."""
    wrong, tried = [], 0
    for error in errors:
        for after in (False, True):
            number, reached = 0, True
            while reached:
                number += every
                found, reached = _fail_once(FailAt(number, error, after))
                tried += reached
                if found:
                    wrong.append(f"{error!r} {'after' if after else 'before'} operation {number}: {found}")
    return tried, wrong


def _fail_once(fail: FailAt) -> tuple[str | None, bool]:
    """Train until one failure and check what is left; also tell whether the failure was reached."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder).resolve() / "runs"
        promises = [Promise()]
        try:
            with intercepted(fail):
                train(root, promises.append)
        except (RunError, Interruption):
            pass
        except OSError as error:
            return f"a bare {error!r} came out", True
        root.mkdir(exist_ok=True)
        return check(root, promises[-1]), fail.count >= fail.number


@contextmanager
def hurried() -> Iterator[None]:
    """Leave out what takes time and changes nothing: power fails in simulation alone, no real disk is awaited."""
    with patch("os.fsync"), patch("cnncli.runs.run.environment", dict):
        yield


def main() -> None:
    """Run both rounds and print figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--random", type=int, default=40, help="random mixtures at each moment")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    logging.disable()
    with hurried():
        moments, tried, wrong = power_failures(arguments.random, arguments.seed)
        failures, more = failed_operations(FULL, BROKEN, Interruption())
    print(f"power failures: {moments} moments, {tried} disks, {len(wrong)} not recovered")
    print(f"failed or interrupted operations: {failures}, {len(more)} not recovered")
    for line in (wrong + more)[:20]:
        print(" ", line)
    raise SystemExit(bool(wrong or more))


if __name__ == "__main__":
    main()
