"""The exchange between workers, tried: who takes part, and how long it takes them to add up a step's gradients."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from statistics import median
from time import perf_counter
from typing import Any

import tensorflow as tf

from cnncli.engine.distribution.strategy import Route, Strategy
from cnncli.engine.runtime import environment

SIZES = {1: 50, 62_000: 20, 1_000_000: 4, 10_000_000: 1}
"""Values that are added up, and how often in one call of TensorFlow: LeNet-5 has 62,000 parameters."""

REPEATS = 5
"""Calls that are timed, after one that is not."""


@dataclass(frozen=True)
class Exchange:
    """A sum of float32 values over all workers.

    Attributes:
        values: Number of values.
        milliseconds: How long a step waits for it.
        megabytes_per_second: What each worker sends meanwhile, or writes to memory.
        in_memory: Whether the workers, all on one machine, add up so many values in memory that all see.
    """

    values: int
    milliseconds: float
    megabytes_per_second: float
    in_memory: bool

    @classmethod
    def of(cls, values: int, seconds: float, route: Route) -> Exchange:
        """Return what a measured time comes to."""
        rate = route.bytes_sent / seconds / 1e6
        return cls(values, round(1e3 * seconds, 3), round(rate, 3), route.in_memory)


@dataclass(frozen=True)
class Meeting:
    """Workers that have been brought together.

    Attributes:
        workers: Of each by rank: rank, address, device and versions.
        differences: In what they compute differently, so that a run with them is not exact; a line each.
        exchanges: How long sums take, the shortest vector first.
    """

    workers: tuple[dict[str, Any], ...]
    differences: tuple[str, ...]
    exchanges: tuple[Exchange, ...]

    def to_json(self) -> dict[str, Any]:
        """Return the fields of `cnn doctor --cluster … --json`."""
        return asdict(self)


def meet(strategy: Strategy, address: str) -> Meeting:
    """Let all workers say what they compute with, and time their exchange; every one of them calls this.

    Args:
        strategy: The other workers, joined whether or not they compute alike.
        address: Of this worker.

    Raises:
        WorkerLostError: If another worker is lost meanwhile.
    """
    own = environment(None)
    found = {"rank": strategy.rank, "address": address, "device": own["device"], "versions": own["versions"]}
    workers = tuple(strategy.gather(found))
    with strategy.watched():
        times = {values: _seconds(strategy, values, number) for values, number in SIZES.items()}
    exchanges = tuple(Exchange.of(values, seconds, strategy.route(values)) for values, seconds in times.items())
    return Meeting(workers, strategy.differences, exchanges)


def _seconds(strategy: Strategy, values: int, number: int) -> float:
    """Return the seconds of one sum: the median of several calls with a number of them, one after the other."""
    zeros = tf.zeros([values])

    # A loop in a graph, as steps take their turns: a call from Python for each would be timed too.
    @tf.function
    def add_up() -> tf.Tensor:
        def again(done: tf.Tensor, total: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            return done + 1, strategy.add_up([total])

        state = [tf.constant(0), zeros]
        return tf.while_loop(lambda done, _: done < number, again, state, parallel_iterations=1)[1]

    def timed() -> float:
        begun = perf_counter()
        add_up().numpy()
        return perf_counter() - begun

    timed()
    return median(timed() for _ in range(REPEATS)) / number
