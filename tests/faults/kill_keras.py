"""The same kills for `model.fit` with Keras's own `BackupAndRestore`, for comparison.

    python tests/faults/kill_keras.py [--kills 40] [--seed 0] [--parallel 2]

The same small network, data and optimizer in a plain script as Keras's guide writes it. The script is killed at
random moments and started again until it ends; then its weights are compared with those of an undisturbed
run, and its log with the undisturbed log. The last variant helps Keras where it can be helped: no
shuffling, no dropout, a backup after every epoch.
"""

from __future__ import annotations

import argparse
import os
import random
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from forked import Forked, fresh
from kill_campaign import POLL, After, Change, glob_grows

import cnncli

SCRIPT = """
import sys
import numpy as np
import keras
from keras import callbacks, layers

data, save_freq, shuffle, dropout, plateau = sys.argv[1:]
keras.utils.set_random_seed(3)
arrays = np.load(data)
images, labels = arrays["x_train"][..., None] / 255.0, arrays["y_train"]
model = keras.Sequential([
    keras.Input((8, 8, 1)),
    layers.Conv2D(8, 3, use_bias=False),
    layers.BatchNormalization(momentum=0.9),
    layers.ReLU(),
    layers.MaxPooling2D(2),
    layers.Flatten(),
    layers.Dropout(float(dropout)),
    layers.Dense(10),
])
model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"])
used = [
    callbacks.BackupAndRestore("backup", save_freq=save_freq if save_freq == "epoch" else int(save_freq)),
    callbacks.CSVLogger("log.csv", append=True),
]
if plateau == "plateau":
    used.insert(0, callbacks.ReduceLROnPlateau("val_loss", factor=0.5, patience=1, min_delta=0.05))
model.fit(images, labels, batch_size=32, epochs=12, validation_split=0.2, shuffle=shuffle == "shuffle",
          callbacks=used, verbose=0)
np.savez("end.npz", *model.get_weights())
"""

VARIANTS = {
    "as the guide writes it": ("epoch", "shuffle", "0.2", "none"),
    "backup every 5 batches": ("5", "shuffle", "0.2", "none"),
    "plateau": ("epoch", "shuffle", "0.2", "plateau"),
    "helped: no shuffling, no dropout": ("epoch", "in order", "0.0", "none"),
}

TELLING = {
    "backup written": glob_grows("backup/*", size=True),
    "log line": glob_grows("log.csv", size=True),
}


@dataclass(frozen=True)
class Trial:
    """One training, killed once.

    Attributes:
        variant: Name of its settings.
        killed: Whether the process was still there to be killed.
        same_weights: Whether it ended with the undisturbed weights, bit by bit.
        same_log: Whether its log is the undisturbed one: no epoch missing or double, the same numbers.
        ended: Whether it came to its end at all.
    """

    variant: str
    killed: bool
    same_weights: bool
    same_log: bool
    ended: bool


def digits() -> Path:
    """Return the file with the embedded digits."""
    return Path(cnncli.__file__).parent / "datasets" / "digits.npz"


def start(folder: Path, variant: str, forked: bool = False) -> subprocess.Popen[bytes] | Forked:
    """Start the script in a folder, in a fresh process or in one that has Keras imported already."""
    folder.mkdir(parents=True, exist_ok=True)
    quiet = {"TF_CPP_MIN_LOG_LEVEL": "3", "KERAS_BACKEND": "tensorflow", "CUDA_VISIBLE_DEVICES": "-1"}
    start = Forked if forked else fresh
    arguments = [str(digits()), *VARIANTS[variant]]
    return start(SCRIPT, arguments, cwd=folder, stderr=folder / "stderr.txt", env=os.environ | quiet)


def undisturbed(folder: Path, variant: str, forked: bool = False) -> tuple[float, float]:
    """Train without a stop; return the seconds of all, and of what came after the first backup."""
    begun = time.monotonic()
    with start(folder, variant, forked) as process:
        while process.poll() is None and not (folder / "backup").exists():
            time.sleep(POLL)
        trained = time.monotonic()
        if process.wait() != 0:
            raise RuntimeError((folder / "stderr.txt").read_text(encoding="utf-8"))
    return time.monotonic() - begun, time.monotonic() - trained


def draw(rng: random.Random, seconds: tuple[float, float]) -> Callable[[Path], bool]:
    """Return a function that says, given the folder, whether the moment to kill has come."""
    kind = rng.random()
    if kind < 0.3:
        return After(rng.uniform(0, seconds[0]))
    if kind < 0.6:
        return After(rng.uniform(0, seconds[1]), "backup")
    return Change(TELLING[rng.choice(sorted(TELLING))], rng.randint(1, 8), rng.uniform(0, 0.01))


def trial(folder: Path, variant: str, is_there: Callable[[Path], bool], reference: Path, forked: bool = False) -> Trial:
    """Kill one training at a moment, start it again, and compare."""
    with start(folder, variant, forked) as process:
        while process.poll() is None and not is_there(folder):
            time.sleep(POLL)
        process.kill()
        killed = process.wait() != 0
    ended = True
    if killed:
        with start(folder, variant, forked) as process:
            ended = process.wait() == 0
    same_log = ended and (folder / "log.csv").read_bytes() == (reference / "log.csv").read_bytes()
    return Trial(variant, killed, ended and same_weights(folder, reference), same_log, ended)


def random_trial(folder: Path, variant: str, seed: int, reference: Path, seconds: tuple[float, float]) -> Trial:
    """Kill one training at a moment drawn with the seed."""
    return trial(folder, variant, draw(random.Random(seed), seconds), reference)


def same_weights(folder: Path, other: Path) -> bool:
    """Tell whether two trainings ended with the same weights, bit by bit."""
    return _weights(folder) == _weights(other)


def _weights(folder: Path) -> list[bytes]:
    with np.load(folder / "end.npz") as arrays:
        return [arrays[name].tobytes() for name in arrays.files]


def main() -> None:
    """Run the campaign and print the score."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=40)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--parallel", type=int, default=2)
    arguments = parser.parse_args()
    begun, names, seed = time.monotonic(), list(VARIANTS), arguments.seed * 100_003
    with tempfile.TemporaryDirectory() as name, ThreadPoolExecutor(arguments.parallel) as pool:
        folder = Path(name)
        places = {variant: folder / f"reference-{n}" for n, variant in enumerate(names)}
        seconds = dict(zip(names, pool.map(undisturbed, places.values(), names), strict=True))
        again = {variant: folder / f"again-{n}" for n, variant in enumerate(names)}
        list(pool.map(undisturbed, again.values(), names))
        exact = [variant for variant in names if same_weights(again[variant], places[variant])]
        print(f"undisturbed, twice: {len(exact)} of {len(names)} variants bit-identical")
        jobs = [
            pool.submit(random_trial, folder / f"trial-{n}", v, seed + n, places[v], seconds[v])
            for n, v in ((n, names[n % len(names)]) for n in range(arguments.kills))
        ]
        trials = [job.result() for job in jobs]
    killed = [t for t in trials if t.killed]
    print(f"{len(killed)} kills with BackupAndRestore ({time.monotonic() - begun:.0f} s):")
    counts = Counter(t.variant for t in killed)
    for variant in names:
        of = [t for t in killed if t.variant == variant]
        print(
            f"  {variant}: of {counts[variant]}, {sum(t.same_weights for t in of)} ended with the same weights, "
            f"{sum(t.same_log for t in of)} with the same log, {sum(not t.ended for t in of)} did not start again"
        )


if __name__ == "__main__":
    main()
