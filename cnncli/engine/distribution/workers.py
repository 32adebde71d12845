"""Several workers on one run: TensorFlow's cluster, heartbeat and collectives, and an exchange that keeps the bits.

`tf.distribute.MultiWorkerMirroredStrategy` brings the processes together and notices when one is lost. Sums go from
neighbour to neighbour (recursive doubling): in round d a worker exchanges what it has with the one whose rank differs
in bit d. Only pairs are added, and x + y is y + x to the last bit; so after the last round every worker has the root of
the tree whose leaves are the shards. A ring adds in an order that depends on the number of workers.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from functools import partial
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.python.eager.context import context

from cnncli.engine.distribution.shared_memory import seen_by_all
from cnncli.engine.distribution.strategy import Document, Orders, Route, WorkerLostError
from cnncli.engine.distribution.tree import Structure, add_tree
from cnncli.engine.fast_ops import batch_halves
from cnncli.engine.input_pipeline.share import Share
from cnncli.engine.runtime import environment, facts
from cnncli.errors import CnnError
from cnncli.resources import available_threads, require_threads
from cnncli.workers.cluster import Cluster, require_shards
from cnncli.workers.launcher import PORT_TAKEN

GROUP_KEYS = 1 << 16
"""First key of our groups: far from those that TensorFlow gives its own."""

MANY_VALUES = 1 << 15
"""Values from which on more than two workers exchange halves: fewer bytes, but twice the rounds."""

MANY_VALUES_OF_TWO = 1 << 17
"""Values from which on two workers add up a half each, in two messages of half the size in place of one."""

PIECE = 1 << 20
"""Values that are exchanged together: while one piece is on its way the next is added, and the memory of both, which
the system would have to clear, is used again."""

VECTOR = 16
"""Values of four bytes between addresses that TensorFlow takes for aligned."""

HEARTBEAT_SECONDS = 7
"""How long a worker may say nothing; with what its launcher waits, a freeze is over within 12 seconds."""

LOW = 4096
"""Counts travel as two float32, high · LOW + low: each is exact up to 2**24."""

_ABORTED = re.compile(r"Collective ops is aborted by: (?P<reason>.+)")
"""How TensorFlow begins to say why an exchange in a graph failed."""

LOST = (
    tf.errors.UnavailableError,
    tf.errors.AbortedError,
    tf.errors.CancelledError,
    tf.errors.DeadlineExceededError,
    tf.errors.InternalError,
)
"""What TensorFlow raises when another worker is gone."""


@contextmanager
def losses_told() -> Iterator[None]:
    """Raise WorkerLostError where another worker is lost while a block runs."""
    try:
        yield
    except LOST as error:
        if isinstance(error, tf.errors.InternalError) and "ollective" not in str(error):
            raise
        raise WorkerLostError(
            f"another worker was lost: {_reason(str(error))}",
            "Its own output says why. The run goes on from its last checkpoint: cnn resume RUN --workers N",
        ) from error


def _reason(text: str) -> str:
    """Return the line of TensorFlow's message that says what happened: in a graph, a traceback comes before it."""
    found = _ABORTED.search(text)
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("Graph execution error")]
    return (found["reason"] if found else lines[0] if lines else "TensorFlow does not say how")[:200]


class PortTakenError(CnnError):
    """Another program listens where this worker should."""

    exit_code = PORT_TAKEN


@contextmanager
def _port_told(address: str) -> Iterator[None]:
    """Raise PortTakenError where this worker cannot listen at its address."""
    try:
        yield
    except tf.errors.UnknownError as error:
        if "gRPC server" not in str(error):
            raise
        raise PortTakenError(
            f"this worker cannot listen at {address}: another program uses the port, or the host is not this one",
            "Give it another port in --cluster, the same list for all workers.",
        ) from error


@contextmanager
def _heartbeat() -> Iterator[None]:
    """Let the strategy that is made in a block miss a frozen worker after `HEARTBEAT_SECONDS`; by itself, after 10."""
    settings = context()
    configure = settings.configure_coordination_service
    settings.configure_coordination_service = partial(configure, heartbeat_timeout_in_ms=1000 * HEARTBEAT_SECONDS)
    try:
        yield
    finally:
        settings.configure_coordination_service = configure


class Workers:
    """This process as one of several workers. Made before TensorFlow computes anything.

    Args:
        cluster: Addresses of all workers, and which one this is.
        inexact: Whether processes that compute in different ways may work together.
        threads: Number of shards that this one computes at the same time; by default as many as it has cores.

    Attributes:
        memory: What all workers see, where they are on one machine; None has them send messages.

    Raises:
        CnnError: If the workers do not come together, or compute in different ways.
    """

    def __init__(self, cluster: Cluster, inexact: bool = False, threads: int | None = None) -> None:
        self.rank = cluster.rank
        self.num_workers = len(cluster.addresses)
        self._keys = 0
        environment = prepare(threads)
        resolver = tf.distribute.cluster_resolver.SimpleClusterResolver(
            tf.train.ClusterSpec({"worker": list(cluster.addresses)}),
            task_type="worker",
            task_id=cluster.rank,
            rpc_layer="grpc",
        )
        with losses_told(), _port_told(cluster.address), _heartbeat():
            # Held for as long as the process works: it has the cluster and its heartbeat.
            self._cluster = tf.distribute.MultiWorkerMirroredStrategy(cluster_resolver=resolver)

        self.share = Share.of(self.num_workers, self.rank, self.num_workers)
        self.differences = tuple(_differences(self.gather(environment)))
        if self.differences and not inexact:
            raise CnnError(
                f"the workers compute in different ways: {'; '.join(self.differences)}",
                "Use machines of one kind with the same versions, or --inexact: the run is then not bit-exact.",
            )
        self.memory = seen_by_all(self, self.rank)

    @property
    def is_chief(self) -> bool:
        """Whether this is the first worker, which decides and writes."""
        return self.rank == 0

    def divide(self, shards: int) -> None:
        """Take a share of batches of so many shards."""
        require_shards(self.num_workers, shards)
        self.share = Share.of(shards, self.rank, self.num_workers)

    def add_up(self, parts: Sequence[Structure]) -> Structure:
        """Return the sums of float32 and int64 tensors of fixed shape over the shards of all workers."""
        number = sum(tensor.shape.num_elements() for tensor in tf.nest.flatten(parts[0]))
        if self.memory is not None and self.route(number).in_memory:
            return self.memory.add_up(parts, self._look)
        structure = add_tree(parts)
        tensors = tf.nest.flatten(structure)
        packed = tf.concat([part for tensor in tensors for part in _packed(tensor)], axis=0)
        total = self._sum(packed)
        numbers = [math.prod(tensor.shape) * (1 if tensor.dtype.is_floating else 2) for tensor in tensors]
        parts = tf.split(total, numbers)
        added = [_unpacked(part, tensor) for part, tensor in zip(parts, tensors, strict=True)]
        total_structure: Structure = tf.nest.pack_sequence_as(structure, added)
        return total_structure

    def route(self, values: int, /) -> Route:
        """Return how a sum of so many float32 values over all workers is made."""
        if self.memory is not None and self.memory.holds(values):
            return Route(4 * values, in_memory=True)
        if self.num_workers > 2 and self._are_many(values):
            return Route(2 * 4 * values * (self.num_workers - 1) // self.num_workers)
        return Route(4 * values * (self.num_workers.bit_length() - 1))

    def _are_many(self, values: int) -> bool:
        return values >= (MANY_VALUES if self.num_workers > 2 else MANY_VALUES_OF_TWO)

    def agree(self, orders: Orders) -> Orders:
        """Return the chief's orders, with the largest signal that any worker got."""
        own = (orders.batches, int(orders.is_save_due)) if self.is_chief else (0, 0)
        signals = np.zeros(self.num_workers, np.int32)
        signals[self.rank] = orders.signal
        batches, is_save_due, *heard = self._sum_now(np.concatenate([np.array(own, np.int32), signals])).tolist()
        return Orders(batches, bool(is_save_due), max(heard))

    def watched(self) -> AbstractContextManager[None]:
        """Raise WorkerLostError where another worker is lost while a block runs."""
        return losses_told()

    def broadcast(self, document: Document) -> Document:
        """Return the chief's document."""
        content = json.dumps(document).encode() if self.is_chief else b""
        (size,) = self._sum_now(np.array([len(content)], np.int32)).tolist()
        received: Document = json.loads(self._sum_bytes(content, 0, size))
        return received

    def gather(self, document: Any) -> list[Any]:
        """Return the documents of all workers by rank."""
        content = json.dumps(document).encode()
        sizes = np.zeros(self.num_workers, np.int32)
        sizes[self.rank] = len(content)
        sizes = self._sum_now(sizes)
        ends = np.cumsum(sizes).tolist()
        everything = self._sum_bytes(content, ends[self.rank] - len(content), ends[-1])
        return [json.loads(everything[end - size : end]) for end, size in zip(ends, sizes.tolist(), strict=True)]

    def wait_for_all(self) -> None:
        """Return when all workers have come here; one that has left already has come here, too."""
        with suppress(WorkerLostError):
            self.broadcast(None)

    def broadcast_arrays(self, arrays: Mapping[str, np.ndarray]) -> Mapping[str, np.ndarray]:
        """Return the chief's arrays."""
        return {name: self._from_chief(array) for name, array in arrays.items()}

    def _from_chief(self, array: np.ndarray) -> np.ndarray:
        content = np.ascontiguousarray(array).tobytes() if self.is_chief else b""
        received = self._sum_bytes(content, 0, array.nbytes)
        return np.frombuffer(received, array.dtype).reshape(array.shape)

    def _sum_bytes(self, content: bytes, start: int, size: int) -> bytes:
        """Return `size` bytes, `content` from `start` on and what the others have at their places."""
        own = np.zeros(-(-size // 4) * 4, np.uint8)
        own[start : start + len(content)] = np.frombuffer(content, np.uint8)
        # Nothing is carried from a byte to the next: of each byte, all workers but one have zero.
        return bytes(self._sum_now(own.view(np.int32)).tobytes()[:size])

    def _sum_now(self, values: np.ndarray) -> np.ndarray:
        """Return the sums of int32 values over all workers."""
        if not values.size:
            return values
        with losses_told():
            return np.asarray(self._sum(tf.constant(values)).numpy())

    def _sum(self, values: tf.Tensor) -> tf.Tensor:
        """Return the sums of values (number,) over all workers, by pairs."""
        number = values.shape[0]
        if number > PIECE:
            pieces = [values[start : start + PIECE] for start in range(0, number, PIECE)]
            return tf.concat([self._sum(piece) for piece in pieces], axis=0)
        if self._are_many(number):
            if self.num_workers > 2:
                return self._sum_in_halves(values)
            return tf.raw_ops.CollectiveReduceV2(input=values, merge_op="Add", final_op="Id", **self._pair(1))
        for distance in self._distances:
            lower, upper = tf.split(self._gather_pair(values, distance), 2)
            values = lower + upper
        return values

    def _look(self, has_one_ended: tf.Tensor) -> tf.Tensor:
        """Fail if a worker is lost. Part of a graph.

        With one that has ended nothing can be exchanged; and once TensorFlow misses one that is silent, it refuses an
        exchange even with oneself.
        """
        nothing = tf.constant([0])

        def with_oneself() -> tf.Tensor:
            self._keys += 1
            return tf.raw_ops.CollectiveReduceV2(
                input=nothing,
                group_size=1,
                group_key=GROUP_KEYS - 1 - self.rank,
                instance_key=self._keys,
                ordering_token=[],
                merge_op="Add",
                final_op="Id",
            )

        return tf.cond(has_one_ended, lambda: self._sum(nothing), with_oneself)

    def _sum_in_halves(self, values: tf.Tensor) -> tf.Tensor:
        """Return the same sums, to the last bit, with less to send.

        In each round a worker gives its partner half of what it has, and adds up only the other half, with the same
        partners in the same order; then the parts are collected the same way back.
        """
        number = values.shape[0]
        # Rows of whole vectors: TensorFlow then cuts between them without a copy.
        columns = -(-number // (self.num_workers * VECTOR)) * VECTOR
        if self.num_workers * columns > number:
            values = tf.pad(values, [[0, self.num_workers * columns - number]])
        values = tf.reshape(values, [self.num_workers, columns])
        for distance in self._distances:
            lower, upper = tf.split(values, 2)
            is_upper = bool(self.rank & distance)
            kept, given = (upper, lower) if is_upper else (lower, upper)
            theirs = tf.split(self._gather_pair(given, distance), 2)[0 if is_upper else 1]
            values = kept + theirs
        for distance in reversed(self._distances):
            values = self._gather_pair(values, distance)
        values = tf.reshape(values, [-1])
        return values[:number]

    def _gather_pair(self, values: tf.Tensor, distance: int) -> tf.Tensor:
        """Return the values of the two workers of a pair, the lower rank's first."""
        gathered = tf.raw_ops.CollectiveGatherV2(input=values, **self._pair(distance))
        return tf.ensure_shape(gathered, (2 * values.shape[0], *values.shape[1:]))

    @property
    def _distances(self) -> list[int]:
        """By how much the ranks of partners differ, round for round."""
        return [1 << number for number in range(self.num_workers.bit_length() - 1)]

    def _pair(self, distance: int) -> dict[str, Any]:
        """Return the arguments of an exchange with the worker whose rank differs by that power of two."""
        self._keys += 1  # Every worker makes the same exchanges in the same order.
        first = min(self.rank, self.rank ^ distance)
        return {
            "group_size": 2,
            "group_key": GROUP_KEYS + distance * self.num_workers + first,
            "instance_key": self._keys,
            "ordering_token": [],
        }


def prepare(threads: int | None = None) -> dict[str, Any]:
    """Set TensorFlow's threads for shards, and return the environment that all workers must have in common.

    Args:
        threads: Number of shards that are computed at the same time; by default as many as there are cores.

    Raises:
        CnnError: If these are more threads than the machine bears.
    """
    if threads is not None:
        require_threads(threads)
    batch_halves.set_threads_for_shards(threads or available_threads(), 2)
    return environment(None)


def _differences(environments: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Yield a line for each worker and each fact in which it differs from the chief."""
    first, *others = [facts(each) | each["variables"] for each in environments]
    for rank, found in enumerate(others, start=1):
        for name in sorted(first.keys() | found.keys()):
            if first.get(name) != found.get(name):
                values = (each.get(name, "not set") for each in (found, first))
                yield "{} of worker {} is {}, of the chief {}".format(name, rank, *values)


def _packed(tensor: tf.Tensor) -> list[tf.Tensor]:
    """Return a tensor as float32 (values,): one part, or of int64 the high and the low part of its counts."""
    flat = tf.reshape(tensor, [-1])
    if flat.dtype == tf.float32:
        return [flat]
    return [tf.cast(flat // LOW, tf.float32), tf.cast(flat % LOW, tf.float32)]


def _unpacked(values: tf.Tensor, like: tf.Tensor) -> tf.Tensor:
    """Return what `_packed` made of a tensor of that shape and type."""
    if like.dtype != tf.float32:
        high, low = tf.split(tf.cast(values, tf.int64), 2)
        values = high * LOW + low
    return tf.reshape(values, like.shape)
