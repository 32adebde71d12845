"""A sweep that is killed again and again comes to the same table, trial by trial, as one that nobody disturbs.

python tests/faults/sweep_campaign.py [--kills 100] [--trials 400] [--halving] [--real]

SIGKILL hits the sweep, one of its trainings, or the sweep beside another that works on the same directory, at random
moments. The trainings are those of tests/sweeps/fake_trainer.py; with --halving, they stop at rungs, where the worse
ones are pruned. With --real, they are those of `cnn sweep` itself, and their weights are compared as well: see
real_sweeps.py.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
TRAINER = ROOT / "tests" / "sweeps" / "fake_trainer.py"

SWEEP = """\
extends: digits_lenet
train: {{epochs: {epochs}}}
sweep:
  space:
    train.optimizer: [SGD, Adam]
    train.optimizer.Adam.learning_rate: {{log: [1e-4, 1e-1]}}
    train.batch_size: {{int: [32, 512], log: true}}
    "model.layers[0].Conv2D.filters": {{int: [4, 16], step: 4}}
  objectives: {{{objectives}}}
  limits: {{params: 65000}}
  sampler: {sampler}
  trials: {trials}
  parallel: 4
  threads: 1
  {more}
"""

ONE_SWEEP = """
import sys
from pathlib import Path
from cnncli.interrupts import raise_on_signals
from cnncli.sweeps.directory import SweepDirectory
from cnncli.sweeps.scheduler import run
from cnncli.sweeps.spec import load_sweep
from cnncli.sweeps.trainings import Program
file, runs_dir, processes, trainer = sys.argv[1:]
raise_on_signals()
directory = SweepDirectory.begin(load_sweep(file), Path(runs_dir), 1)
program = Program((sys.executable, "-I", "-S", trainer), int(processes))
stopped_by = run(directory, program, lambda trial: print(trial.proposal.number, trial.state, flush=True))
sys.exit(0 if stopped_by is None else 128 + stopped_by)
"""
"""What `cnn sweep` does, with another program that trains."""


HALVING = "prune: {halving: {first: 1, factor: 3}}"
"""Has rungs after 1 and 3 of 9 epochs."""

SLOW = 0.1
"""Seconds that an epoch of a disturbed sweep takes."""


def write(
    folder: Path, trials: int, sampler: str = "tpe", more: str = "", objectives: str = "accuracy: max, macs: min"
) -> Path:
    """Write a sweep's file."""
    file = folder / "search.yaml"
    epochs = 9 if "prune" in more else 3
    file.write_text(SWEEP.format(trials=trials, sampler=sampler, more=more, objectives=objectives, epochs=epochs))
    return file


def start(file: Path, runs_dir: Path, processes: int, slow: float = 0.0) -> subprocess.Popen[str]:
    """Start a sweep in a process group of its own."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "FAKE_SLOW": str(slow)}
    command = [sys.executable, "-c", ONE_SWEEP, str(file), str(runs_dir), str(processes), str(TRAINER)]
    return subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    )


def table(runs_dir: Path, name: str = "search") -> list[dict[str, Any]]:
    """Return what a sweep has found, but where the runs lie."""
    from cnncli.sweeps.directory import SweepDirectory
    from cnncli.sweeps.results import results

    found = results(SweepDirectory.find(name, runs_dir))
    rows = [trial.to_json() for trial in found.trials]
    return [{**row, "runs": len(row["runs"])} for row in rows]


def undisturbed(file: Path, runs_dir: Path, processes: int) -> list[dict[str, Any]]:
    """Run a sweep to its end and return its table."""
    process = start(file, runs_dir, processes)
    said, _ = process.communicate(timeout=600)
    assert process.returncode == 0, said
    found = table(runs_dir)
    assert {row["state"] for row in found} <= {"done", "failed", "pruned", "refused"}
    return found


def children(pid: int, program: str = TRAINER.name) -> list[int]:
    """Return the processes that a process has started and that run a program."""
    with suppress(OSError):
        found = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return [int(each) for each in found if program in Path(f"/proc/{each}/cmdline").read_text()]
    return []


def disturbed(
    file: Path, runs_dir: Path, kills: int, draw: random.Random
) -> tuple[list[dict[str, Any]], dict[str, int]]:
    """Run a sweep with kills at random moments, and say how many of each kind hit, and how far the sweep was then."""
    hit = {"sweep": 0, "training": 0, "one of two sweeps": 0}
    sweeps = [start(file, runs_dir, 4, SLOW)]
    try:
        while sweeps and sum(hit.values()) < kills:
            victim = draw.choice(sweeps)
            # Most often once it trains: before that, it loads what it needs for about a second.
            deadline = time.monotonic() + draw.choice([1, 20, 20, 20])
            while not (trainings := children(victim.pid)) and victim.poll() is None and time.monotonic() < deadline:
                time.sleep(0.02)
            time.sleep(draw.uniform(0, 1))
            trainings = children(victim.pid)
            if trainings and draw.random() < 0.5:
                with suppress(ProcessLookupError):
                    os.kill(draw.choice(trainings), signal.SIGKILL)
                    hit["training"] += 1
            elif victim.poll() is None:
                hit["sweep" if len(sweeps) == 1 else "one of two sweeps"] += 1
                end(victim)
                sweeps.remove(victim)
                sweeps.append(start(file, runs_dir, draw.choice([1, 2, 4]), SLOW))
            if len(sweeps) == 1 and draw.random() < 0.2:
                sweeps.append(start(file, runs_dir, 2, SLOW))
            for each in [each for each in sweeps if each.poll() is not None]:
                end(each)
                sweeps.remove(each)
    finally:
        for each in sweeps:
            end(each)
    hit["finished by then"] = sum(row["state"] in ("done", "failed", "pruned") for row in table(runs_dir))
    return undisturbed(file, runs_dir, 4), hit


def end(process: subprocess.Popen[str]) -> None:
    """Kill a process and close what it wrote to."""
    process.kill()
    process.communicate()


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the campaign and print what was compared."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--trials", type=int, default=400)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--halving", action="store_true")
    parser.add_argument("--real", action="store_true")
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as made:
        if given.real:
            from real_sweeps import campaign

            report, is_right = campaign(Path(made), given.trials, given.kills, given.seed)
            print(json.dumps(report))
            sys.exit(0 if is_right else 1)
        file = write(Path(made), given.trials, more=HALVING if given.halving else "")
        expected = undisturbed(file, Path(made) / "calm", 4)
        found, hit = disturbed(file, Path(made) / "wild", given.kills, random.Random(given.seed))
    same = sum(one == other for one, other in zip(expected, found, strict=False))
    states = Counter(row["state"] for row in expected)
    print(json.dumps({"hit": hit, "trials": len(expected), "states": states, "equal": same}))
    sys.exit(0 if found == expected else 1)


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    main()
