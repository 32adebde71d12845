"""The configs that are made to learn much in little time: score and seconds of whole processes, over several seeds.

    python tests/benchmarks/records.py mnist_fast --set data.path=mnist.npz --seeds 5 [--keras-example mnist.npz]
    python tests/benchmarks/records.py cifar10_fast --set data.source=folder --set data.path=cifar10-jpeg.zip
        --seeds 3 --tta
    python tests/benchmarks/records.py camvid_fast --set data.path=camvid.zip --seeds 3 [--runs-dir runs]
    python tests/benchmarks/records.py camvid --set data.path=camvid.zip --seeds 1 --tta --tta-scales 0.75,1,1.25
    python tests/benchmarks/records.py bccd_fast --set data.path=bccd.zip --seeds 3

Each seed is one process of `cnn train`, timed from its start to its end, and one of `cnn eval` on the test split, not
timed; with `--tta` a second one, over mirrored and moved views, and over other scales if these are named. The score is
the accuracy, of segmentation the mean IoU, of detection the AP at IoU 0.5 and that of COCO, over 0.5 to 0.95; all in
per cent. `--first-seed` begins with another seed than 0; `--runs-dir` keeps the runs. `--keras-example` trains, in the
same run, a network of two convolutions as Keras's introduction to MNIST has it: 15 epochs, dropout, Adam.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import mean, stdev
from typing import Any

SCORES = ("accuracy", "mean_iou", "ap50", "ap")
"""Of `cnn eval --json`: each task has some of them."""

EXAMPLE = Path(__file__).parent / "rivals" / "keras_mnist_example.py"


def cnn(*arguments: str) -> Any:
    """Run a command and return what it prints as JSON."""
    command = [sys.executable, "-m", "cnncli", *arguments, "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr)
    return json.loads(done.stdout)


def score(*arguments: str) -> dict[str, float]:
    """Evaluate; return the task's scores in per cent, by their names."""
    document = cnn("eval", *arguments)
    return {name: 100 * document[name] for name in SCORES if name in document}


def trained(asked: argparse.Namespace, seed: int) -> dict[str, float]:
    """Train with a seed; return the seconds of the process, those inside its epochs, and the test scores."""
    with tempfile.TemporaryDirectory() as folder:
        options = [part for setting in (*asked.sets, f"seed={seed}") for part in ("--set", setting)]
        begun = time.perf_counter()
        run = cnn("train", asked.config, *options, "--runs-dir", asked.runs_dir or folder)["run"]
        seconds = time.perf_counter() - begun
        lines = (Path(run) / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
        figures = {
            "seconds": seconds,
            "in epochs": sum(json.loads(line)["seconds"] for line in lines),
            **score(run),
        }
        if asked.tta:
            views = ["--tta", *(["--tta-scales", asked.tta_scales] if asked.tta_scales else [])]
            figures |= {f"{name}, TTA": value for name, value in score(run, *views).items()}
    return figures


def example(data: str, seed: int) -> dict[str, float]:
    """Train Keras's example; return the same figures."""
    begun = time.perf_counter()
    command = [sys.executable, str(EXAMPLE), data, str(seed)]
    out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return {"seconds": time.perf_counter() - begun, "accuracy": 100 * float(out.split()[-1])}


def show(name: str, runs: list[dict[str, float]]) -> None:
    """Print the mean, the deviation and the range of each figure."""
    for figure in runs[0]:
        values = [run[figure] for run in runs]
        spread = f", sd {stdev(values):.2f}" if len(values) > 1 else ""
        print(
            f"{name:14} {figure:14} {mean(values):7.2f}{spread} ({min(values):.2f} to {max(values):.2f}, n={len(runs)})"
        )


def main() -> None:
    """Train all seeds and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config")
    parser.add_argument("--set", action="append", default=[], dest="sets")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--tta", action="store_true")
    parser.add_argument("--tta-scales")
    parser.add_argument("--runs-dir")
    parser.add_argument("--keras-example", metavar="MNIST.npz")
    options = parser.parse_args()
    runs, others = [], []
    for seed in range(options.first_seed, options.first_seed + options.seeds):
        runs.append(trained(options, seed))
        print(f"seed {seed}", {name: round(value, 2) for name, value in runs[-1].items()}, file=sys.stderr, flush=True)
        if options.keras_example:
            others.append(example(options.keras_example, seed))
            print("  Keras's example", others[-1], file=sys.stderr, flush=True)
    show(options.config, runs)
    if others:
        show("Keras example", others)


if __name__ == "__main__":
    main()
