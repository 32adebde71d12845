"""What training in shards and with several workers costs: processes in turn, and the ratios of what they take.

    python tests/benchmarks/shards.py workers --mnist mnist.npz --cifar cifar10-jpeg.zip [--repeats 5]
    python tests/benchmarks/shards.py exchange [--repeats 5]
    python tests/benchmarks/shards.py shards --mnist mnist.npz --cifar cifar10-jpeg.zip [--repeats 5]
    python tests/benchmarks/shards.py default --mnist mnist.npz --against CHECKOUT [--repeats 5]

workers     images a second inside the epochs, 2 workers with a core each against 1 process with 2 cores, 8 shards
exchange    milliseconds of a sum over 4 workers, by doubling (ours) against a ring over all of them
shards      processor time of a step, 8 shards against 1 in one process: that of a long training less that of a short
            one, so that what both begin with goes out
default     seconds of the whole process, 1 shard, against another checkout of cnncli

LeNet-5 on MNIST and the CIFAR net, batch 128. All processes of this script keep to two cores. Ratios are of runs that
follow each other; the order within a round changes from round to round. `--epochs`, `--examples` and `--sizes` make it
shorter, to see that it works.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
sys.path.insert(0, str(HERE))
from compare import CONFIGS, decoded, shortened  # noqa: E402 - a script beside this one

CORES = 2
"""That all processes of a measurement have together."""

SHARDS = 8
"""Of a batch, where it is not one."""

NETWORKS = {"LeNet-5": "lenet5", "CIFAR net": "cifar_net"}

RATE_BARS = {"LeNet-5": 0.80, "CIFAR net": 0.90}
"""At least: images a second of two workers, as a share of one process's."""

SHARDS_BARS = {"LeNet-5": 1.35, "CIFAR net": 1.05}
"""At most: processor time with shards, as a multiple of that without."""

RING_BAR = 1.15
"""At most: time by doubling, as a multiple of a ring's."""

DEFAULT_BAR = 1.02
"""At most: time of a whole process, as a multiple of the other checkout's."""

SIZES = (62_000, 1_000_000, 10_000_000)
"""Parameters that are exchanged."""

EXCHANGE = """
import json, os, sys
import cnncli.engine
import tensorflow as tf
from cnncli.engine import exchange
from cnncli.engine.distribution import workers
from cnncli.workers.cluster import parse
how, sizes, cluster, rank = sys.argv[1], json.loads(sys.argv[2]), sys.argv[-3], int(sys.argv[-1])
strategy = workers.Workers(parse(cluster, rank, os.environ))
keys = iter(range(1 << 20, 1 << 21))  # Others than the strategy's own.
def ring(parts):
    (tensor,) = parts
    return tf.raw_ops.CollectiveReduceV2(
        input=tensor, group_size=strategy.num_workers, group_key=workers.GROUP_KEYS - 1,
        instance_key=next(keys), ordering_token=[], merge_op="Add", final_op="Id",
        communication_hint="ring",
    )
strategy.memory = None  # As between machines.
if how == "ring":
    strategy.add_up = ring
exchange.SIZES = {size: exchange.SIZES.get(size, 4) for size in sizes}
found = exchange.meet(strategy, cluster)
if strategy.is_chief:
    print(json.dumps({each.values: each.milliseconds for each in found.exchanges}))
"""
"""One of the workers that time their exchange as `cnn doctor --workers` does."""


@dataclass(frozen=True)
class Contest:
    """What is measured of two contenders, by name.

    Attributes:
        title: What is compared, with its unit.
        bar: What their ratio is to come to.
        is_least: Whether the bar is the least ratio that will do, or the most.
        first: Measures ours once.
        second: Measures what it is compared with.
    """

    title: str
    bar: float
    is_least: bool
    first: Callable[[], float]
    second: Callable[[], float]


def train(
    network: str, data: Path, epochs: int, shards: int, num_workers: int | None = None, root: Path = ROOT
) -> dict[str, float]:
    """Train once in processes of their own; return wall and processor seconds, and images a second in the epochs.

    Args:
        network: "lenet5" or "cifar_net".
        data: An npz file.
        epochs: How many.
        shards: Of a batch.
        num_workers: Processes; None for one without a launcher.
        root: The checkout that trains; one without shards is not told of them.
    """
    sets = {"data.path": data, "train.epochs": epochs, **({"train.shards": shards} if shards > 1 else {})}
    options = [part for key, value in sets.items() for part in ("--set", f"{key}={value}")]
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "cnncli", "train", CONFIGS[network], *options, "--runs-dir", folder, "--json"]
        command += [] if num_workers is None else ["--workers", str(num_workers)]
        used, begun = _processor_seconds(), time.perf_counter()
        out = _output(command, root)
        seconds, used = time.perf_counter() - begun, _processor_seconds() - used
        lines = (Path(json.loads(out)["run"]) / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    rates = [json.loads(line)["images_per_second"] for line in lines]
    # The first epoch compiles.
    return {"seconds": seconds, "processor": used, "images_per_second": median(rates[1:] or rates)}


def processor_seconds_of_epochs(network: str, data: Path, epochs: int, shards: int) -> float:
    """Return the processor time of `epochs` epochs: what a training takes that is longer by so many, less the other."""
    short, long = (train(network, data, number, shards)["processor"] for number in (1, 1 + epochs))
    if long <= short:
        raise SystemExit(f"{epochs} more epochs took no more processor time: too short to measure, raise --epochs")
    return long - short


def exchange(how: str, sizes: Sequence[int], num_workers: int = 4) -> dict[int, float]:
    """Return the milliseconds of a sum over workers, by "doubling" or "ring", of each number of values."""
    from cnncli.workers.processes import free_addresses

    addresses = ",".join(free_addresses(num_workers))
    command = [sys.executable, "-c", EXCHANGE, how, json.dumps(sizes), "--cluster", addresses, "--rank"]
    # The chief's output is read; the others have none.
    others = [_started([*command, str(rank)]) for rank in range(1, num_workers)]
    try:
        out = _output([*command, "0"], ROOT)
    finally:
        for process in others:
            process.kill()
            process.wait()
    return {int(size): found for size, found in json.loads(out.splitlines()[-1]).items()}


def _started(command: Sequence[str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(command, cwd=ROOT, env=_environment(ROOT), stderr=subprocess.DEVNULL)


def _output(command: Sequence[str], root: Path) -> str:
    """Run a command with a checkout; return what it prints."""
    done = subprocess.run(command, capture_output=True, text=True, cwd=root, env=_environment(root))
    if done.returncode:
        raise SystemExit(f"{' '.join(command[:5])} failed:\n{done.stderr}")
    return done.stdout


def _environment(root: Path) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(root)}


def _processor_seconds() -> float:
    """Return the user and system seconds of all processes that have ended, and of those that these waited for."""
    used = os.times()
    return used.children_user + used.children_system


def rounds(contests: Sequence[Contest], repeats: int) -> list[list[tuple[float, float]]]:
    """Measure all contests in turn, each round in the other order; return the pairs of each contest."""
    pairs: list[list[tuple[float, float]]] = [[] for _ in contests]
    for number in range(repeats):
        for contest, found in zip(contests, pairs, strict=True):
            if number % 2:
                second, first = contest.second(), contest.first()
            else:
                first, second = contest.first(), contest.second()
            found.append((first, second))
            print(f"round {number + 1} {contest.title}: {first:.4g} and {second:.4g}", file=sys.stderr, flush=True)
    return pairs


def figures(contest: Contest, pairs: Sequence[tuple[float, float]]) -> str:
    """Return what is printed of a contest: medians, and the median ratio with its range."""
    firsts, seconds = zip(*pairs, strict=True)
    ratios = [first / second for first, second in pairs]
    ratio, bar = median(ratios), contest.bar
    holds = ratio >= bar if contest.is_least else ratio <= bar
    return (
        f"{contest.title}: median {median(firsts):,.4g} against {median(seconds):,.4g}, "
        f"ratio {ratio:.3f} ({min(ratios):.3f} to {max(ratios):.3f}), n={len(pairs)}; "
        f"{'at least' if contest.is_least else 'at most'} {bar:.2f}: {'holds' if holds else 'does not hold'}"
    )


def contests_of_workers(data: Mapping[str, Path], epochs: int) -> list[Contest]:
    """Return those of two workers and one process."""

    def rate(title: str, num_workers: int | None) -> Callable[[], float]:
        return lambda: train(NETWORKS[title], data[title], epochs, SHARDS, num_workers)["images_per_second"]

    return [
        Contest(f"{title}, images/s, 2 workers / 1 process", RATE_BARS[title], True, rate(title, 2), rate(title, None))
        for title in data
    ]


def contests_of_shards(data: Mapping[str, Path], epochs: int) -> list[Contest]:
    """Return those of shards and none, in processor time."""

    def used(title: str, shards: int) -> Callable[[], float]:
        return lambda: processor_seconds_of_epochs(NETWORKS[title], data[title], epochs, shards)

    return [
        Contest(
            f"{title}, processor s of {epochs} epochs, {SHARDS} shards / 1",
            SHARDS_BARS[title],
            False,
            used(title, SHARDS),
            used(title, 1),
        )
        for title in data
    ]


def contests_of_default(data: Path, epochs: int, other: Path) -> list[Contest]:
    """Return that of this checkout and another one."""

    def seconds(root: Path) -> Callable[[], float]:
        return lambda: train("lenet5", data, epochs, 1, root=root)["seconds"]

    return [Contest("LeNet-5, s of the whole process, now / before", DEFAULT_BAR, False, seconds(ROOT), seconds(other))]


def figures_of_exchange(sizes: Sequence[int], repeats: int) -> list[str]:
    """Measure both exchanges in turn; return the lines of all sizes, which processes measure together."""
    found: dict[str, list[dict[int, float]]] = {"doubling": [], "ring": []}
    for number in range(repeats):
        for how in sorted(found, reverse=bool(number % 2)):
            found[how].append(exchange(how, sizes))
            print(f"round {number + 1} {how}: {found[how][-1]} ms", file=sys.stderr, flush=True)
    return [
        figures(
            Contest(f"{size:,} values, ms, doubling / ring, 4 workers", RING_BAR, False, float, float),
            [(ours[size], theirs[size]) for ours, theirs in zip(found["doubling"], found["ring"], strict=True)],
        )
        for size in sizes
    ]


def data_of(options: argparse.Namespace, folder: Path) -> dict[str, Path]:
    """Return the npz files of the networks whose data are named, shortened where that is asked for."""
    given = {"LeNet-5": options.mnist, "CIFAR net": options.cifar}
    found = {title: path for title, path in given.items() if path is not None}
    if options.cifar is not None and options.cifar.suffix == ".zip":
        found["CIFAR net"] = Path(decoded(options.cifar, folder / "cifar.npz"))
    if options.examples:
        return {
            title: Path(shortened(path, folder / f"{NETWORKS[title]}.npz", options.examples))
            for title, path in found.items()
        }
    return {title: path.resolve() for title, path in found.items()}


def lines_of(options: argparse.Namespace, folder: Path) -> list[str]:
    """Measure what is asked for; return what is printed."""
    if options.what == "exchange":
        return figures_of_exchange(options.sizes, options.repeats)
    data = data_of(options, folder)
    if options.what == "default":
        contests = contests_of_default(data["LeNet-5"], options.epochs, options.against.resolve())
    else:
        make = contests_of_workers if options.what == "workers" else contests_of_shards
        contests = make(data, options.epochs)
    pairs = rounds(contests, options.repeats)
    return [figures(contest, found) for contest, found in zip(contests, pairs, strict=True)]


def main() -> None:
    """Read the options, measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["workers", "exchange", "shards", "default"])
    parser.add_argument("--mnist", type=Path, help="mnist.npz as Keras has it")
    parser.add_argument("--cifar", type=Path, help="cifar10-jpeg.zip, or an npz file")
    parser.add_argument("--against", type=Path, help="another checkout of cnncli")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=5, help="of a training; where processor time counts, one more")
    parser.add_argument("--examples", type=int, help="take only the first training images")
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES, help="numbers of values that are exchanged")
    options = parser.parse_args()
    if options.what != "exchange" and options.mnist is None and (options.what == "default" or options.cifar is None):
        parser.error("--mnist or --cifar says where the data are")
    if options.what == "default" and options.against is None:
        parser.error("--against says with what to compare")
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:CORES])
    with tempfile.TemporaryDirectory() as folder:
        for line in lines_of(options, Path(folder)):
            print(line)


if __name__ == "__main__":
    main()
