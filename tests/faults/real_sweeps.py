"""Sweeps of real trainings that are killed at random moments end with the table and the weights of one left alone.

This is `sweep_campaign.py --real`. With 1, 2 and 4 trainings at once, SIGKILL hits the process group (the sweep and all
its trainings), the sweep alone, one training, or the sweep and one training. Then two sweeps share a directory. The
arrays are read and digested here, as `training_process.py` does it; starts are counted from the trials' logs, in which
every training or resuming that comes to its first step has a line.
"""

from __future__ import annotations

import os
import random
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sweep_campaign import children, end, table
from training_process import digests, metrics

ROOT = Path(__file__).parents[2]
PROCESSES = (1, 2, 4)

SWEEP = """\
extends: digits_lenet
name: real
train: {{epochs: 3}}
sweep:
  space:
    train.optimizer.Adam.learning_rate: {{log: [1e-4, 1e-1]}}
    train.batch_size: {{int: [32, 512], log: true}}
    "model.layers[0].Conv2D.filters": {{int: [4, 16], step: 4}}
  objectives: {{accuracy: max, macs: min}}
  sampler: tpe
  trials: {trials}
  parallel: 4
  threads: 1
"""

_STARTED = re.compile(r"^[\d,]+ parameters, ", re.MULTILINE)

LONGEST = 9.0
"""Seconds after which a kill comes at the latest: a training with its start takes fewer on an idle machine."""


@dataclass(frozen=True)
class Finished:
    """What a sweep has come to.

    Attributes:
        rows: Its table, without where the runs lie.
        weights: Digests of all arrays of every run's last checkpoint, by the trial's name.
        lines: What metrics.jsonl says of each, without times.
        begun: Number of runs of each trial that was not refused.
        starts: How often a trial's log says that steps begin.
    """

    rows: list[dict[str, Any]]
    weights: Mapping[str, dict[str, str]]
    lines: Mapping[str, list[dict[str, Any]]]
    begun: Mapping[str, int]
    starts: Mapping[str, int]

    @classmethod
    def of(cls, runs_dir: Path) -> Finished:
        """Read a sweep that is complete."""
        trials = {path.name: path for path in (runs_dir / "real.sweep").glob("trial-*") if (path / "log.txt").is_file()}
        runs = {name: [record.parent for record in path.glob("*/run.json")] for name, path in trials.items()}
        return cls(
            table(runs_dir, "real"),
            {name: digests(found[0]) for name, found in runs.items()},
            {name: metrics(found[0]) for name, found in runs.items()},
            {name: len(found) for name, found in runs.items()},
            {name: len(_STARTED.findall((path / "log.txt").read_text())) for name, path in trials.items()},
        )

    def differences(self, other: Finished) -> dict[str, int]:
        """Count the trials whose rows, weights and metrics differ, those that only one has among them."""
        rows, others = ({row["number"]: row for row in each.rows} for each in (self, other))
        pairs = {"rows": (rows, others), "weights": (self.weights, other.weights), "metrics": (self.lines, other.lines)}
        return {
            what: sum(one.get(key) != two.get(key) for key in one.keys() | two.keys())
            for what, (one, two) in pairs.items()
        }


def start(file: Path, runs_dir: Path, processes: int) -> subprocess.Popen[str]:
    """Start `cnn sweep` in a process group of its own."""
    command = [sys.executable, "-m", "cnncli", "sweep", str(file), "--runs-dir", str(runs_dir)]
    return subprocess.Popen(
        [*command, "--processes", str(processes)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def completed(*sweeps: subprocess.Popen[str], runs_dir: Path) -> Finished:
    """Return what sweeps of one directory come to; they must all succeed."""
    codes = [sweep.wait(3600) for sweep in sweeps]
    assert codes == [0] * len(sweeps), codes
    return Finished.of(runs_dir)


def disturbed(
    file: Path, runs_dir: Path, processes: int, kills: int, rng: random.Random
) -> tuple[Finished, Counter[str]]:
    """Run a sweep that is killed, and say how often each kind of kill hit before it was complete."""
    hit: Counter[str] = Counter()
    sweep = start(file, runs_dir, processes)
    try:
        while hit.total() < kills and sweep.poll() != 0:
            _wait(sweep, runs_dir, rng)
            if sweep.poll() is None:
                kind = rng.choice(list(KILLS))
                hit[kind] += KILLS[kind](sweep, rng)
            if sweep.poll() not in (None, 0):
                hit["nothing: it stopped with an error"] += sweep.returncode > 0
                sweep = start(file, runs_dir, processes)
        return completed(sweep, runs_dir=runs_dir), hit
    finally:
        end(sweep)


def _wait(sweep: subprocess.Popen[str], runs_dir: Path, rng: random.Random) -> None:
    """Wait for a random moment: of a training's life from its start, or shortly after an epoch."""
    if rng.random() < 0.5:
        with suppress(subprocess.TimeoutExpired):
            sweep.wait(rng.uniform(0, LONGEST))
        return
    epochs, deadline = _num_epochs(runs_dir), time.monotonic() + 60
    while _num_epochs(runs_dir) == epochs and sweep.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    time.sleep(rng.uniform(0, 0.5))


def _num_epochs(runs_dir: Path) -> int:
    """Return the number of epochs that all trials have completed."""
    return sum(path.read_bytes().count(b"\n") for path in runs_dir.glob("real.sweep/trial-*/*/metrics.jsonl"))


def _kill_group(sweep: subprocess.Popen[str], _: random.Random) -> bool:
    os.killpg(sweep.pid, signal.SIGKILL)
    sweep.wait()
    return True


def _kill_sweep(sweep: subprocess.Popen[str], _: random.Random) -> bool:
    end(sweep)
    return True


def _kill_training(sweep: subprocess.Popen[str], rng: random.Random) -> bool:
    trainings = children(sweep.pid, "cnncli")
    with suppress(ProcessLookupError):
        if trainings:
            os.kill(rng.choice(trainings), signal.SIGKILL)
            return True
    return False


def _kill_both(sweep: subprocess.Popen[str], rng: random.Random) -> bool:
    has_hit = _kill_training(sweep, rng)
    end(sweep)
    return has_hit


KILLS: dict[str, Callable[[subprocess.Popen[str], random.Random], bool]] = {
    "the process group": _kill_group,
    "the sweep": _kill_sweep,
    "a training": _kill_training,
    "the sweep and a training": _kill_both,
}
"""What may be killed, and what does it; it returns whether it found what it was to kill."""


def campaign(folder: Path, trials: int, kills: int, seed: int) -> tuple[dict[str, Any], bool]:
    """Run all parts; return what was compared, and whether everything was as it should be."""
    file = folder / "real.yaml"
    file.write_text(SWEEP.format(trials=trials))
    begun = time.monotonic()
    calm = completed(start(file, folder / "calm", 4), runs_dir=folder / "calm")
    report: dict[str, Any] = {"trials": len(calm.weights), "seconds undisturbed": round(time.monotonic() - begun)}
    wrong = 0
    for processes in PROCESSES:
        runs_dir = folder / f"wild-{processes}"
        found, hit = disturbed(file, runs_dir, processes, kills, random.Random(seed + processes))
        differing = calm.differences(found)
        wrong += sum(differing.values()) + sum(number != 1 for number in found.begun.values())
        again = sum(found.starts.values()) - len(found.starts)
        report[f"{processes} at once"] = {"killed": dict(+hit), "resumed": again, "differing": differing}
        print(report[f"{processes} at once"], file=sys.stderr, flush=True)
    both = [start(file, folder / "shared", 2) for _ in range(2)]
    shared = completed(*both, runs_dir=folder / "shared")
    twice = sum(number != 1 for number in [*shared.begun.values(), *shared.starts.values()])
    differing = calm.differences(shared)
    report["two sweeps on one directory"] = {"trained twice": twice, "differing": differing}
    return report, wrong + twice + sum(differing.values()) == 0
