"""A disk that runs full at a random byte of a training: one clear error, and an exact end once there is room?

    python tests/faults/resume_full_disk.py [--trials 100] [--seed 0]

Needs the right to mount a tmpfs (root on Linux). Each trial leaves a random number of bytes free, trains into
them, expects an error of the known kind (one line and a hint, exit code 1), makes room, goes on, and
compares with an undisturbed run: arrays, metrics, counters, points in the event files.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from training_process import SMALL, VARIANTS, differences, newest_checkpoint

from cnncli.config.load import load
from cnncli.errors import CnnError
from cnncli.runs.events import Silence
from cnncli.runs.run import Run

SIZE = 4 << 20
MOST_FREE = 160_000
"""Bytes; a whole run needs fewer."""


class NotPermittedError(Exception):
    """The system lets this process mount no file system."""


OVERRIDES = [*VARIANTS["mid-epoch checkpoints"], "train.epochs=3"]


@contextmanager
def small_disk(folder: Path) -> Iterator[None]:
    """Have a small file system at a folder while a block runs."""
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", str(folder)]
    try:
        subprocess.run(command, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise NotPermittedError(f"{' '.join(command)}: {error}") from error
    try:
        yield
    finally:
        subprocess.run(["umount", folder], check=True)


def fill(disk: Path, free: int) -> Path:
    """Write a file that leaves that many bytes free, to the next page."""
    state = os.statvfs(disk)
    filler = disk / "filler"
    filler.write_bytes(bytes(max(0, state.f_bavail * state.f_bsize - free)))
    return filler


def trial(disk: Path, free: int, reference: Path) -> tuple[str, list[str]]:
    """Train into a disk with little room, make room, go on; return what the error was about and what was wrong."""
    from cnncli.engine.training.train import resume, train

    config, wrong, refused = load(disk.parent / "small.yaml", OVERRIDES), [], "enough room"
    filler = fill(disk, free)
    try:
        train(config, disk / "runs", Silence())
    except CnnError as error:
        refused = error.message.split(str(disk))[0].strip() or error.message.replace(str(disk), "")[:60]
        if "\n" in error.message:
            wrong.append(f"{error.message!r} is more than a line")
    except Exception as error:  # noqa: BLE001 - what a user must never see
        wrong.append(f"{type(error).__name__}: {error}")
    filler.unlink()
    runs = [path for path in (disk / "runs").glob("small/[!.]*") if path.is_dir()]
    if not runs:
        path = Path(train(config, disk / "runs", Silence()).run)
    else:
        run, path = Run.open(runs[0]), runs[0]
        if refused != "enough room" and newest_checkpoint(path) is not None and run.checkpoints.latest() is None:
            wrong.append("no checkpoint left")
        resume(run, run.config(), Silence())
    wrong += differences(path, reference)
    shutil.rmtree(disk / "runs")
    return refused, wrong


def main() -> None:
    """Run the campaign and print figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    from cnncli.engine.training.train import train

    rng, begun, bad, kinds = random.Random(arguments.seed), time.monotonic(), 0, Counter()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "small.yaml").write_text(SMALL, encoding="utf-8")
        reference = Path(train(load(folder / "small.yaml", OVERRIDES), folder / "whole", Silence()).run)
        with small_disk(folder / "disk"):
            for _ in range(arguments.trials):
                free = rng.randrange(MOST_FREE)
                refused, wrong = trial(folder / "disk", free, reference)
                kinds[refused] += 1
                bad += bool(wrong)
                if wrong:
                    print(f"  {free} bytes free ({refused}): {'; '.join(wrong)}", flush=True)
    print(f"{arguments.trials} full disks: {arguments.trials - bad} as expected ({time.monotonic() - begun:.0f} s)")
    for kind, count in kinds.most_common():
        print(f"  {count:3} {kind}")
    raise SystemExit(bool(bad))


if __name__ == "__main__":
    main()
