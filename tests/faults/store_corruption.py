"""Flip bits in checkpoint files and cut them short: is every damage found before use?

    python tests/faults/store_corruption.py [--flips 1000] [--cuts 1000] [--seed 0]

Each trial damages one file of the newest of two checkpoints, a random bit or a random length. The
damage must be told, the newest must be set aside, and what is loaded must be the one before, bit
for bit.
"""

from __future__ import annotations

import argparse
import logging
import random
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

from cnncli.runs.checkpoints import CheckpointStore

Damage = Callable[[bytes, random.Random], bytes]


def flip(content: bytes, rng: random.Random) -> bytes:
    """Change one bit."""
    place = rng.randrange(len(content) * 8)
    damaged = bytearray(content)
    damaged[place // 8] ^= 1 << place % 8
    return bytes(damaged)


def cut(content: bytes, rng: random.Random) -> bytes:
    """Keep a shorter beginning, which may be nothing."""
    return content[: rng.randrange(len(content))]


def arrays(step: int) -> dict[str, np.ndarray]:
    """Return the arrays of a step."""
    rng = np.random.default_rng(step)
    return {f"model/{i}": rng.standard_normal((3, 3, 2**i, 8), np.float32) for i in range(4)}


def recovered(directory: Path, damage: Damage, rng: random.Random) -> bool:
    """Damage one file of the newest checkpoint and load; tell whether the one before came back."""
    newest = directory / "step-00000002"
    # Half of the trials hit the small manifest, whose bytes have the most meanings.
    file = newest / rng.choice(["arrays.bin", "manifest.json"])
    file.write_bytes(damage(file.read_bytes(), rng))
    found = CheckpointStore(directory).latest()
    if found is None or found.step != 1 or newest.exists():
        return False
    set_aside = (directory / "corrupt-step-00000002").is_dir()
    return set_aside and all(np.array_equal(found.arrays[name], array) for name, array in arrays(1).items())


def campaign(num_trials: int, damage: Damage, seed: int = 0) -> int:
    """Damage checkpoints again and again; return how often all went well."""
    rng = random.Random(seed)
    with tempfile.TemporaryDirectory() as folder:
        whole = Path(folder) / "whole"
        for step in (1, 2):
            CheckpointStore(whole).save(step, arrays(step), {"epoch": step, "best": 0.97, "name": "α"})
        count = 0
        for _ in range(num_trials):
            trial = Path(folder) / "trial"
            shutil.copytree(whole, trial)
            count += recovered(trial, damage, rng)
            shutil.rmtree(trial)
    return count


def main() -> None:
    """Run both campaigns and print figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--flips", type=int, default=1000)
    parser.add_argument("--cuts", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    logging.disable()
    flips = campaign(arguments.flips, flip, arguments.seed)
    print(f"flipped bits: {flips} of {arguments.flips} found before use and recovered")
    cuts = campaign(arguments.cuts, cut, arguments.seed)
    print(f"truncations: {cuts} of {arguments.cuts} found before use and recovered")
    raise SystemExit((flips, cuts) != (arguments.flips, arguments.cuts))


if __name__ == "__main__":
    main()
