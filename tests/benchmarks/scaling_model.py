"""What 8 to 1,024 workers would gain, on paper: the cost of their exchange of gradients from a model of the network.

    python tests/benchmarks/scaling_model.py [--gbit 10] [--latency 50] [--gmacs 5000] [--global-batch 8192]

A message takes a latency, each of its bytes its time on the wire, and each byte that is added the time of that (the
alpha-beta-gamma model; Thakur, Rabenseifner, Gropp: Optimization of collective communication operations in MPICH,
2005). Every worker sends and receives at the full rate at once, however many do; nothing is exchanged while gradients
are computed; those of a step take 3 · MACs · examples at a stated rate, which small networks do not reach. Of W
workers, W a power of two, and a vector of N bytes each worker sends, one message after the other:

    ring              2(W−1) messages of N/W                            adds in another order for every W
    doubling          2·log₂W messages of N/2                           exact
    whole doubling    log₂W messages of N                               exact; cnncli's for few values
    halving           2·log₂W messages, together 2N(W−1)/W as a ring    exact; cnncli's for many
    gather + tree     W−1 messages of N                                 exact

Exact means: to the last bit the sum along the binary tree over ranks 0 … W−1, neighbours first. x + y is y + x, so it
only matters who is paired. *Doubling* pairs ranks that differ in bit 0, then in bit 1, and so on, and adds all they
have. In TensorFlow a round is a reduce of two, and that a ring of two (ring_reducer.cc): each adds one half and sends
back the sum, hence two messages. By a gather of two it would be one: *whole doubling*.

*Halving* (and doubling, Rabenseifner) sends in each round only that half of its piece which the partner keeps; then the
sums go back through the same rounds in reverse. Each element still meets one partner a round, along the same bits of
the rank, so its tree is the same **if the halving goes through the distances 1, 2, 4, … in this order**; from W/2 down
to 1 it is another tree. Partners agree in all lower bits of their ranks, so they hold the same piece; and the longest
messages go to the nearest ranks, those of the same machine. In TensorFlow a round can be a gather of two, of the
halves that are not kept; tried with version 2.21 and four devices, it has the bits of the tree.

The suite runs these exchanges message by message with real vectors: they send what `COSTS` says, and have these bits.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import astuple, dataclass

import numpy as np

from cnncli.analysis.summary import summarize
from cnncli.config.load import load
from cnncli.report.grid import Column, Grid
from cnncli.report.numbers import percent, short

NETWORKS = ("mnist_lenet5", "alexnet", "resnet50")
WORKERS = (8, 16, 32, 64, 128, 256, 512, 1024)

LINKS = {1: 100, 10: 50, 25: 30, 100: 5}
"""Gbit/s, and microseconds a message. Assumed: TCP over Ethernet takes 30 to 300 µs, InfiniBand with RDMA 1 to 5."""

SECONDS_PER_BYTE_ADDED = 3e-10
"""Assumed: for each value two are read and one is written, at 10 GB/s."""

MEASURED = {
    62_000: {"ring": 5.6, "doubling": 6.1, "gather + tree": 8.0},
    1_000_000: {"ring": 38.0, "doubling": 47.0, "gather + tree": 72.0},
    10_000_000: {"ring": 418.0, "doubling": 419.0, "gather + tree": 2409.0},
}
"""Milliseconds by number of parameters: four workers on one machine of two cores, TensorFlow 2.21 over gRPC."""

OUTLIER = (10_000_000, "gather + tree")
"""Three times as long as its bytes explain (each worker holds four vectors of 40 MB). The fit leaves it out."""

CORES_PER_WORKER = 0.5
"""When that was measured. Over loopback all of it is processor time, so a worker with a core takes half as long."""


@dataclass(frozen=True, slots=True)
class Link:
    """Seconds a message, a byte sent, and a byte added."""

    latency: float
    per_byte: float
    per_byte_added: float = SECONDS_PER_BYTE_ADDED

    @classmethod
    def of(cls, gbit: float, microseconds: float) -> Link:
        """Return a link of so many Gbit/s and microseconds a message."""
        return cls(microseconds * 1e-6, 8e-9 / gbit)


@dataclass(frozen=True, slots=True)
class Cost:
    """What each worker does in an exchange: messages and bytes that it sends, bytes that it adds."""

    messages: float
    sent: float
    added: float

    def seconds(self, link: Link) -> float:
        """Return how long it takes."""
        return self.messages * link.latency + self.sent * link.per_byte + self.added * link.per_byte_added


COSTS: Mapping[str, Callable[[int, float], Cost]] = {
    "ring": lambda w, n: Cost(2 * (w - 1), 2 * n * (w - 1) / w, n * (w - 1) / w),
    "doubling": lambda w, n: Cost(2 * math.log2(w), n * math.log2(w), n * math.log2(w) / 2),
    "whole doubling": lambda w, n: Cost(math.log2(w), n * math.log2(w), n * math.log2(w)),
    "halving": lambda w, n: Cost(2 * math.log2(w), 2 * n * (w - 1) / w, n * (w - 1) / w),
    "gather + tree": lambda w, n: Cost(w - 1, n * (w - 1), n * (w - 1)),
}
"""By workers and bytes of the vector."""


def loses_from(name: str, other: str, workers: int, link: Link) -> float | None:
    """Return the bytes above which an exchange takes longer than another one, or None if it never does."""
    latency, other_latency = (COSTS[each](workers, 0).seconds(link) for each in (name, other))
    no_latency = Link(0, link.per_byte, link.per_byte_added)
    per_byte, other_per_byte = (COSTS[each](workers, 1).seconds(no_latency) for each in (name, other))
    if per_byte <= other_per_byte:
        return 0.0 if latency > other_latency and per_byte == other_per_byte else None
    return max(0.0, (other_latency - latency) / (per_byte - other_per_byte))


def fit(measured: Mapping[int, Mapping[str, float]]) -> Link:
    """Return the constants of exchanges of four workers, by least squares of the relative errors."""
    rows = [
        np.array(astuple(COSTS[name](4, 4 * params))) / (1e-3 * ms)
        for params, times in measured.items()
        for name, ms in times.items()
        if (params, name) != OUTLIER
    ]
    return Link(*np.linalg.lstsq(np.array(rows), np.ones(len(rows)), rcond=None)[0].tolist())


@dataclass(frozen=True, slots=True)
class Network:
    """A network of the zoo: bytes that are exchanged, MACs for one example, and its config's batch size."""

    name: str
    exchanged: int
    macs: int
    batch_size: int

    @classmethod
    def of(cls, name: str) -> Network:
        """Return a shipped config's; moving statistics travel with the gradients."""
        config = load(name)
        summary = summarize(config)
        return cls(name, 4 * summary.total_params, summary.macs, config.train.batch_size)


def scaling(networks: Iterable[Network], link: Link, macs_per_second: float, global_batch: int | None) -> Grid:
    """Return the table of weak scaling, a config's batch a worker, or with a global batch that of strong scaling."""
    rows = []
    for network in networks:
        for workers in WORKERS:
            batch = network.batch_size if global_batch is None else global_batch / workers
            compute = 3 * network.macs * batch / macs_per_second
            times = {name: cost(workers, network.exchanged).seconds(link) for name, cost in COSTS.items()}
            efficiencies = (percent(compute / (compute + times[name])) for name in ("doubling", "halving"))
            figures = (compute, *times.values())
            rows.append((network.name, f"{workers:,}", f"{batch:,g}", *map(_milliseconds, figures), *efficiencies))
    titles = ("workers", "batch", "compute", *COSTS, "efficiency", "by halving")
    return Grid((Column("network", left=True), *map(Column, titles)), rows)


def crossings(links: Mapping[str, Link]) -> Grid:
    """Return the parameters above which doubling loses, to what, and by numbers of workers."""
    pairs = (("doubling", "ring"), ("whole doubling", "ring"), ("whole doubling", "halving"))
    rows = []
    for title, link in links.items():
        for name, other in pairs:
            sizes = [loses_from(name, other, workers, link) for workers in (4, *WORKERS)]
            rows.append((title, f"{name} to {other}", *("never" if n is None else short(n / 4) for n in sizes)))
    workers = (Column(f"W = {number:,}") for number in (4, *WORKERS))
    return Grid((Column("link", left=True), Column("loses", left=True), *workers), rows)


def comparison(link: Link) -> Grid:
    """Return the table of what was measured, what the constants say, and how far off that is."""
    rows = []
    for params, times in MEASURED.items():
        for name, ms in times.items():
            model = COSTS[name](4, 4 * params).seconds(link)
            note = "not in the fit" if (params, name) == OUTLIER else ""
            error = f"{1e5 * model / ms - 100:+.0f} %"
            rows.append((name, f"{params:,}", _milliseconds(1e-3 * ms), _milliseconds(model), error, note))
    titles = ("parameters", "measured", "model", "error", "")
    return Grid((Column("exchange", left=True), *map(Column, titles)), rows)


def _milliseconds(seconds: float) -> str:
    """Return about three digits: 0.12, 4.56, 78.9, 1,234."""
    ms = 1e3 * seconds
    return f"{ms:,.{2 if ms < 9.995 else 1 if ms < 99.95 else 0}f}"


def _show(title: str, grid: Grid) -> None:
    print(f"\n{title}", *(line.rstrip() for line in grid.lines()), sep="\n")


def main() -> None:
    """Print how well the model fits, how networks scale, and where doubling loses."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gbit", type=float, default=10, help="Gbit/s of a worker, each way")
    parser.add_argument("--latency", type=float, default=50, help="microseconds a message")
    parser.add_argument("--gmacs", type=float, default=5000, help="10⁹ MACs a second of a worker: 160 on two cores")
    parser.add_argument("--global-batch", type=int, default=8192, help="for strong scaling")
    given = parser.parse_args()

    loopback = fit(MEASURED)
    own_core = Link(*(CORES_PER_WORKER * constant for constant in astuple(loopback)))
    constants = "{:.2f} ms a message, {:.1f} ns a byte, {:.1f} ns a byte added"
    told = constants.format(*(scale * each for scale, each in zip((1e3, 1e9, 1e9), astuple(loopback), strict=True)))
    _show(f"Four workers on two cores, ms: {told}", comparison(loopback))
    print(f"On a core of its own a worker would send at {8e-9 / own_core.per_byte:.1f} Gbit/s at most, over gRPC.")

    networks, link = [Network.of(name) for name in NETWORKS], Link.of(given.gbit, given.latency)
    where = f"{given.gbit:g} Gbit/s, {given.latency:g} µs a message, {given.gmacs:,g} GMACs a second; ms a step"
    for title, batch in (("Weak", None), ("Strong", given.global_batch)):
        _show(f"{title} scaling: {where}", scaling(networks, link, given.gmacs * 1e9, batch))

    links = {f"{gbit} Gbit/s, {latency} µs": Link.of(gbit, latency) for gbit, latency in LINKS.items()}
    _show("Parameters above which doubling loses", crossings(links | {"gRPC, a core each": own_core}))
    print(
        "Above them halving takes its place: a ring's bytes in as many messages as doubling, and the same bits, so a\n"
        "run may change between them at any time. cnncli halves 32,768 values or more. With two workers\n"
        "ring, doubling and halving are the same."
    )


if __name__ == "__main__":
    main()
