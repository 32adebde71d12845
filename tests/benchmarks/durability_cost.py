"""What checkpoints after every epoch, and determinism, cost of a run's time: LeNet-5 on MNIST, processes in turn.

    python tests/benchmarks/durability_cost.py --data mnist.npz [--epochs 10] [--rounds 5]

Kinds of processes that take turns: as users run it; without any checkpoint but the last; without what makes two runs
alike (pinned threads and seeds); and, to compare, with TensorFlow's own switch for deterministic kernels, which the
results on a CPU do not need. On a quiet machine wall time decides; processor time is printed too, for a machine that
is not. The time inside the saving itself is measured as well.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

SCRIPT = """
import json, resource, sys, time
from pathlib import Path
begun = time.perf_counter()
kind, runs_dir, data, epochs = sys.argv[1:]
import cnncli.engine
import tensorflow as tf
from cnncli.engine.training.recording import Recording
if kind == "op determinism":
    tf.config.experimental.enable_op_determinism()
if kind == "without determinism":
    import keras
    nothing = lambda number: None
    keras.utils.set_random_seed = nothing
    tf.config.threading.set_intra_op_parallelism_threads = nothing
    tf.config.threading.set_inter_op_parallelism_threads = nothing
seconds, save = [], Recording.save
def timed(self, progress, best=False):
    if kind == "without checkpoints" and progress.epoch < int(epochs):
        return
    started = time.perf_counter()
    save(self, progress, best)
    seconds.append(time.perf_counter() - started)
Recording.save = timed
from cnncli.config.load import load
from cnncli.engine.training.train import train
from cnncli.runs.events import Silence
train(load("mnist_lenet5", [f"data.path={data}", f"train.epochs={epochs}"]), Path(runs_dir), Silence())
used = resource.getrusage(resource.RUSAGE_SELF)
found = {"wall": time.perf_counter() - begun, "cpu": used.ru_utime + used.ru_stime}
print(json.dumps({**found, "saving": sum(seconds), "saves": len(seconds)}))
"""

KINDS = ("as it is", "without checkpoints", "without determinism", "op determinism")


def measure(kind: str, data: Path, epochs: int) -> dict[str, float]:
    """Train once in a process of its own; return its seconds."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-c", SCRIPT, kind, folder, str(data), str(epochs)]
        result = subprocess.run(command, capture_output=True, text=True, check=True, env=os.environ)
    found: dict[str, float] = json.loads(result.stdout.splitlines()[-1])
    return found


def main() -> None:
    """Run all in turn and print the shares."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="mnist.npz as Keras has it")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    data = arguments.data.resolve()
    measure(KINDS[0], data, 1)  # warms the disk's cache
    found: dict[str, list[dict[str, float]]] = {kind: [] for kind in KINDS}
    for _ in range(arguments.rounds):
        for kind in random.sample(KINDS, len(KINDS)):
            found[kind].append(measure(kind, data, arguments.epochs))
            print(f"  {kind}: {found[kind][-1]}", file=sys.stderr, flush=True)
    for line in figures(found):
        print(line)


def figures(found: dict[str, list[dict[str, float]]]) -> Iterator[str]:
    """Yield what is printed of the measured processes."""
    for kind in KINDS:
        wall, cpu = ([one[name] for one in found[kind]] for name in ("wall", "cpu"))
        spread = f"{min(wall):.2f} to {max(wall):.2f}"
        yield f"{kind:20} wall {statistics.median(wall):6.2f} s ({spread}), processor {statistics.median(cpu):6.2f} s"
    shares = [one["saving"] / one["wall"] for one in found["as it is"]]
    each = statistics.median(one["saving"] / one["saves"] for one in found["as it is"])
    yield f"saving: {statistics.median(shares):.2%} of the run's time, {1000 * each:.1f} ms a checkpoint"
    for name in ("wall", "cpu"):
        medians = {kind: statistics.median(one[name] for one in found[kind]) for kind in KINDS}
        usual = medians["as it is"]
        checkpoints = usual / medians["without checkpoints"] - 1
        determinism = usual / medians["without determinism"] - 1
        yield (
            f"{name}: checkpoints {checkpoints:+.1%} (to be below 2 %), determinism {determinism:+.1%} "
            f"(to be below 5 %); TensorFlow's switch would add {medians['op determinism'] / usual - 1:+.1%}"
        )


if __name__ == "__main__":
    main()
