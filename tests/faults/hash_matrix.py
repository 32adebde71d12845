"""One config on 1, 2, 4 and 8 workers with 1, 2 and 3 inter-op threads each: does every cell end with the same bits?

    python tests/faults/hash_matrix.py [--rows plain MixUp …] [--workers 1,2,4,8] [--threads 1,2,3] [--messages]

A row is a small config of 8 shards, trained for two epochs of a few steps by real processes, `cnn train --workers W`,
one cell after the other. A cell's hash is of all arrays of its last checkpoint (weights, optimizer, averages, sums) and
of metrics.jsonl without what the clock decides; nothing is taken from the run's own checksums. Prints a line a row: how
many trainings, how many different hashes, the hash; where there are several, which cells have which. Exit code 1 if any
row has more than one.

Workers of one machine add up in memory that all see. With `--messages` they send messages, as between machines.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from training_process import digests, metrics

ROOT = Path(__file__).parents[2]

CONFIG = """
name: matrix
seed: 3
data: {source: digits, image_size: [8, 8], channels: 1, validation: 0.1123}
model:
  layers:
    - Conv2D: {filters: 8, kernel_size: 3, activation: relu}
    - MaxPooling2D: {pool_size: 2}
    - Flatten
    - Dense: {units: 10}
train: {epochs: 2, batch_size: 183, shards: 8}
"""
"""Of 1,281 images: seven whole batches an epoch, shards of 22 or 23."""

CLASSES, IMAGES_OF_A_CLASS = ("dark", "bright", "mixed"), 60
"""What is in the folder `photos` beside a config that names it."""


WIDE = "{Dense: {units: 512, activation: relu}}"
"""After a convolution here it has 147,968 weights: so many that workers send each other halves."""


def network(*layers: str, units: int = 10) -> str:
    """Return the override that makes a network of layers between a convolution and the logits."""
    first = "{Conv2D: {filters: 8, kernel_size: 3, use_bias: false}}"
    return f"model.layers=[{', '.join((first, *layers))}, {{Dense: {{units: {units}}}}}]"


SCENES = "image_size: [48, 48], channels: 3, validation: 0.15"
STRIDED = "{Conv2D: {filters: 8, kernel_size: 3, strides: 2, padding: same, use_bias: false}}, BatchNormalization, ReLU"
MOVES = "{RandomTranslation: {height_factor: 0.1, width_factor: 0.1}}"
WHITENED = "{Conv2D: {filters: 18, kernel_size: 3, kernel: whitening, use_bias: false, trainable: false}}"
HEADS = "{heatmap: [{Conv2D: {filters: 10, kernel_size: 1}}], box: [{Conv2D: {filters: 4, kernel_size: 1}}]}"

ROWS: dict[str, list[str]] = {
    "plain": [],
    "batch normalization": [network("{BatchNormalization: {momentum: 0.9}}", "ReLU", "Flatten")],
    "synchronized batch normalization": [
        network(
            "{BatchNormalization: {momentum: 0.9, synchronized: true}}", "ReLU", "Flatten", "{Dropout: {rate: 0.2}}"
        )
    ],
    "dropout": [network("ReLU", "{SpatialDropout2D: {rate: 0.2}}", "Flatten", "{Dropout: {rate: 0.3}}")],
    "MixUp": [f"data.augmentation=[{MOVES}, MixUp]"],
    "EMA": ["train.ema=0.9"],
    "accumulate": ["train.accumulate=3"],
    "many weights": [network("BatchNormalization", "ReLU", "Flatten", WIDE), "train.clip_norm=0.5"],
    "bfloat16": ["train.precision=mixed_bfloat16", network("BatchNormalization", "ReLU", "Flatten")],
    "Muon": ["train.optimizer={Muon: {exclude_layers: [dense]}}"],
    "AdamW and clip_norm": ["train.optimizer={AdamW: {weight_decay: 0.01}}", "train.clip_norm=0.1"],
    "streaming": [
        "data={source: folder, path: photos, image_size: [16, 16], channels: 3, validation: 0.2}",
        f"data.augmentation=[{{RandomFlip: {{mode: horizontal}}}}, {MOVES}]",
        network("ReLU", "Flatten", units=len(CLASSES)),
        "train.batch_size=40",
    ],
    "uneven last batch": ["train.batch_size=301"],
    "last batch smaller than the shards": [
        "train.batch_size=213",
        network("{BatchNormalization: {momentum: 0.9}}", "ReLU", "Flatten"),
    ],
    "segmentation": [
        "task=segmentation",
        f"data={{source: digit_scenes, {SCENES}}}",
        f"model.layers=[{STRIDED}, {{Conv2D: {{filters: 11, kernel_size: 1}}}}]",
        "train.batch_size=256",
        "train.loss={dice: 0.3}",
    ],
    "detection": [
        "task=detection",
        f"data={{source: digit_boxes, {SCENES}}}",
        f"model={{layers: [{STRIDED}, {STRIDED}], heads: {HEADS}}}",
        "train.batch_size=256",
    ],
    "whitened kernels": [f"model.layers=[Normalization, {WHITENED}, ReLU, Flatten, {{Dense: {{units: 10}}}}]"],
}
"""What is put on the config, by the name of the row."""

HOOK = """
import importlib.util, os, sys
class Limit:
    def find_spec(self, module, *_):
        if module != "cnncli.engine.input_pipeline.feed":
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(module)
        execute = spec.loader.exec_module
        def limited(feed):
            execute(feed)
            assert feed.MEMORY_LIMIT > 0
            feed.MEMORY_LIMIT = 0
        spec.loader.exec_module = limited
        return spec
sys.meta_path.insert(0, Limit())
if "SEND_MESSAGES" in os.environ:
    del os.memfd_create
"""
"""What Python runs before each worker: what is in files is streamed from them, however little it is, and workers send
messages, as between machines, where that is asked for."""


class Cell(NamedTuple):
    """Who trains: a number of workers, each with a number of inter-op threads."""

    workers: int
    threads: int

    def __str__(self) -> str:
        return f"{self.workers}×{self.threads}"


def prepare(folder: Path) -> None:
    """Write the config, the photos, and what has them streamed."""
    import numpy as np
    from PIL import Image

    (folder / "matrix.yaml").write_text(CONFIG, encoding="utf-8")
    (folder / "hook").mkdir()
    (folder / "hook" / "sitecustomize.py").write_text(HOOK, encoding="utf-8")
    generator = np.random.default_rng(0)
    for name, low, high in zip(CLASSES, (0, 120, 0), (140, 256, 256), strict=True):
        (folder / "photos" / name).mkdir(parents=True)
        for number in range(IMAGES_OF_A_CLASS):
            pixels = generator.integers(low, high, (5, 4, 3), np.uint8)
            kind = ("png", "jpg")[number % 2]
            Image.fromarray(pixels).resize((20 + number % 3, 18)).save(folder / "photos" / name / f"{number}.{kind}")


def cnn(folder: Path, *arguments: str) -> Path:
    """Run a command that trains, in the folder that `prepare` has filled; return the run's directory.

    Raises:
        RuntimeError: If the command fails, with all that it and the workers said.
    """
    before = [str(folder / "hook"), str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    done = subprocess.run(
        [sys.executable, "-m", "cnncli", *arguments],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(before), "XDG_CACHE_HOME": str(folder / "cache")},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=600,
    )
    if done.returncode != 0:
        logs = [path.read_text(encoding="utf-8") for path in sorted(folder.glob("**/workers/*.log"))]
        raise RuntimeError("\n".join([f"exit code {done.returncode}: {' '.join(arguments)}", done.stderr, *logs]))
    return folder / done.stdout.splitlines()[-1]


def train(folder: Path, overrides: Iterable[str], cell: Cell, runs: str) -> Path:
    """Train a row's config as a cell does; return the run's directory.

    Raises:
        RuntimeError: If the command fails.
    """
    sets = [word for value in (*overrides, f"train.threads={cell.threads}") for word in ("--set", value)]
    return cnn(folder, "train", "matrix.yaml", *sets, "--runs-dir", runs, "--workers", str(cell.workers))


def hash_of(run: Path) -> str:
    """Return a hash of all that a run ended with."""
    return hashlib.sha256(json.dumps([digests(run), metrics(run)], sort_keys=True).encode()).hexdigest()


def row(folder: Path, name: str, cells: Sequence[Cell]) -> bool:
    """Train all cells of a row and print its line; return whether they have one hash."""
    begun = time.monotonic()
    found: dict[str, list[str]] = {}
    for cell in cells:
        runs = f"runs/{name.replace(' ', '-')}/{cell.workers}-{cell.threads}"
        found.setdefault(hash_of(train(folder, ROWS[name], cell, runs)), []).append(str(cell))
    seconds = time.monotonic() - begun
    hashes = ", ".join(key[:16] for key in found)
    print(f"{name}: {len(cells)} trainings, different hashes {len(found)}: {hashes} ({seconds:.0f} s)", flush=True)
    if len(found) > 1:
        for key, who in found.items():
            print(f"  {key[:16]}: workers×threads {', '.join(who)}", flush=True)
    return len(found) == 1


def main() -> None:
    """Run the matrix and print figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--rows", nargs="*", default=list(ROWS), choices=list(ROWS), metavar="ROW", help=", ".join(ROWS)
    )
    parser.add_argument("--messages", action="store_true", help="exchange as workers of several machines do")
    parser.add_argument("--workers", type=_numbers, default=[1, 2, 4, 8], metavar="1,2,4,8")
    parser.add_argument("--threads", type=_numbers, default=[1, 2, 3], metavar="1,2,3")
    arguments = parser.parse_args()
    cells = [Cell(workers, threads) for workers in arguments.workers for threads in arguments.threads]
    begun = time.monotonic()
    if arguments.messages:
        os.environ["SEND_MESSAGES"] = "1"
    with tempfile.TemporaryDirectory() as folder:
        prepare(Path(folder))
        same = [row(Path(folder), name, cells) for name in arguments.rows]
    print(
        f"{sum(same)} of {len(same)} rows have one hash; {len(same) * len(cells)} trainings "
        f"({time.monotonic() - begun:.0f} s)"
    )
    raise SystemExit(not all(same))


def _numbers(text: str) -> list[int]:
    return [int(number) for number in text.split(",")]


if __name__ == "__main__":
    main()
