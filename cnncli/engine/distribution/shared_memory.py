"""An exchange through memory that all workers of one machine see, in place of messages.

A message of 8 MB passes a dozen copies on its way to the next process, and wakes several threads. Here each worker
writes the sum of its own shards where all can read it, waits until all have, and adds up what they wrote, in the order
of the tree.
"""

from __future__ import annotations

import mmap
import os
import platform
import secrets
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import tensorflow as tf

from cnncli.engine.distribution.tree import Structure
from cnncli.errors import CnnError

MOST_BYTES = 1 << 30
"""Of memory for one sum of a step; larger ones travel as messages."""

ALIGNMENT = 64
"""Bytes between addresses at which TensorFlow takes an array as it is, without a copy."""

BLOCK = 1 << 15
"""Values that are added up at a time: what is added in between stays in a core's cache."""

PATIENCE = 0.5
"""Seconds after which a worker that waits for others looks whether they are still there."""

SPINS = 100
"""Looks at what the others have written before a worker sleeps between two of them."""

WAITING, ALL_HERE, ONE_ENDED = 0, 1, 2
"""What a worker finds of the others when it waits for them."""

_TOKEN_BYTES = 16

_GRANULARITY = mmap.ALLOCATIONGRANULARITY


class Meeting(Protocol):
    """Workers that can tell each other something, as a `Strategy` can."""

    @property
    def is_chief(self) -> bool:
        """Whether this process makes the memory."""
        ...

    def broadcast(self, document: Any) -> Any:
        """Return the chief's document."""
        ...

    def gather(self, document: Any) -> list[Any]:
        """Return the documents of all workers by rank."""
        ...


class SharedMemory:
    """Memory that all workers of a job see.

    It has no name in a file system: the others open it through the chief's process. So it is gone with the last of
    them, however they end, and a limit on /dev/shm is none on it.

    Args:
        descriptor: Of the memory as a file.
        rank: Number of this worker, from 0.
        processes: Of all workers, by rank.
    """

    def __init__(self, descriptor: int, rank: int, processes: Sequence[int]) -> None:
        self._descriptor = descriptor
        self._end = _GRANULARITY  # The first bytes have the token.
        self.rank, self.processes = rank, processes

    def holds(self, values: int) -> bool:
        """Say whether a sum of so many float32 values may take memory."""
        return 2 * len(self.processes) * 4 * values <= MOST_BYTES

    def add_up(self, parts: Sequence[Structure], look: Callable[[tf.Tensor], tf.Tensor]) -> Structure:
        """Return the sums of what this worker's shards and all others have. Part of a step's graph.

        Every worker asks for the same sums in the same order.

        Args:
            parts: A structure of tensors of fixed shape for each of this worker's shards.
            look: What is done every now and then while other workers let this one wait: it fails if one is lost. It is
                given whether one's process has ended.

        Raises:
            CnnError: If the memory does not suffice.
        """
        like = tf.nest.flatten(parts[0])
        types = [tensor.dtype for tensor in like]
        shared = _SharedSum(self, like)
        found, *added = tf.numpy_function(shared.add_up, tf.nest.flatten(list(parts)), [tf.int32, *types])
        found = tf.reshape(found, [])

        def wait(found: tf.Tensor) -> tf.Tensor:
            with tf.control_dependencies([look(tf.equal(found, ONE_ENDED))]):
                return tf.reshape(tf.numpy_function(shared.wait, [], tf.int32), [])

        def late() -> list[tf.Tensor]:
            here = tf.while_loop(lambda now: tf.not_equal(now, ALL_HERE), wait, [found])
            return list(tf.numpy_function(shared.read, here, types))

        added = tf.cond(tf.equal(found, ALL_HERE), lambda: added, late)
        added = [tf.ensure_shape(total, tensor.shape) for total, tensor in zip(added, like, strict=True)]
        total: Structure = tf.nest.pack_sequence_as(parts[0], added)
        return total

    def take(self, size: int) -> np.ndarray:
        """Return the next bytes that all workers see, uint8 (size,): the same of each that takes the same sizes."""
        start, self._end = self._end, self._end + -(-size // _GRANULARITY) * _GRANULARITY
        try:
            # Unlike a truncation this never makes the file shorter, whoever comes first.
            os.posix_fallocate(self._descriptor, start, self._end - start)
            mapped = mmap.mmap(self._descriptor, self._end - start, offset=start)
        except OSError as error:
            raise CnnError(
                f"no {size / 2**20:,.0f} MiB of memory for the workers of this machine: {error.strerror}",
                "Take fewer workers, or a smaller network.",
            ) from error
        return np.frombuffer(mapped, np.uint8, size)

    def has_one_ended(self) -> bool:
        """Say whether a worker's process is no more."""
        return not all(map(_is_running, self.processes))


class _SharedSum:
    """A sum over all workers that a step's graph takes again and again.

    Each worker has two places, used in turn, so that it can write its next part while another still reads this one. It
    never gets two ahead: every sum waits for all. What it has written it tells by the number of the sum, in a line of
    the cache of its own. (A processor of another kind than x86 may show the number before what was written.)

    Args:
        memory: That all workers see.
        like: Tensors of the shapes and types that are added up.
    """

    def __init__(self, memory: SharedMemory, like: Sequence[tf.Tensor]) -> None:
        self._memory = memory
        num_workers = len(memory.processes)
        self._shapes = [tuple(tensor.shape.as_list()) for tensor in like]
        types = [np.dtype(tensor.dtype.as_numpy_dtype) for tensor in like]
        numbers = [int(np.prod(shape)) for shape in self._shapes]
        # All tensors of a type lie side by side: they are then one vector to read.
        starts, size, self._vectors = [0] * len(like), 0, []
        for dtype in dict.fromkeys(types):
            first = size
            for index in (index for index, own in enumerate(types) if own == dtype):
                starts[index] = size
                size += -(-numbers[index] * dtype.itemsize // ALIGNMENT) * ALIGNMENT
            self._vectors.append((dtype, (size - first) // dtype.itemsize, first))
        self._size = size
        self._tensors = list(zip(types, numbers, starts, strict=True))
        room = memory.take(num_workers * (ALIGNMENT + 2 * size))
        lines, places = np.split(room, [num_workers * ALIGNMENT])
        self._counts = lines.view(np.int64)[:: ALIGNMENT // 8]
        turns = places.reshape(2, num_workers, size)
        self._own = [_views(places[memory.rank], self._tensors) for places in turns]
        self._written = [[_views(place, self._vectors) for place in places] for places in turns]
        self._number = 0

    def add_up(self, *arrays: np.ndarray) -> list[Any]:
        """Write this worker's part, and return `ALL_HERE` and the sums; or that others let it wait, and no sums."""
        self.write(*arrays)
        found = self.wait()
        return [found, *(self.read(found) if found == ALL_HERE else (np.empty(0, own[0]) for own in self._tensors))]

    def write(self, *arrays: np.ndarray) -> None:
        """Write the sums of this worker's shards; `arrays` has those of one shard after those of another."""
        totals = self._own[self._number % 2]
        with np.errstate(all="ignore"):  # A sum that is not finite is for the step to tell of.
            for number, total in enumerate(totals):
                add_arrays([array.reshape(-1) for array in arrays[number :: len(totals)]], total)
        self._number += 1
        self._counts[self._memory.rank] = self._number

    def wait(self) -> np.int32:
        """Return `ALL_HERE` once all have written, or after a while what there is to say of the others."""
        spins, end = 0, time.monotonic() + PATIENCE
        while not (self._counts >= self._number).all():
            spins += 1
            if spins < SPINS:
                os.sched_yield()
            elif time.monotonic() < end:
                time.sleep(5e-5)
            else:
                return np.int32(ONE_ENDED if self._memory.has_one_ended() else WAITING)
        return np.int32(ALL_HERE)

    def read(self, _: np.int32) -> list[np.ndarray]:
        """Return the sums of all workers, in memory of their own."""
        room = np.empty(self._size + ALIGNMENT, np.uint8)
        start = -room.ctypes.data % ALIGNMENT
        room = room[start : start + self._size]
        written = self._written[(self._number - 1) % 2]
        with np.errstate(all="ignore"):
            for total, *parts in zip(_views(room, self._vectors), *written, strict=True):
                add_arrays(parts, total)
        return [total.reshape(shape) for total, shape in zip(_views(room, self._tensors), self._shapes, strict=True)]


def _views(place: np.ndarray, of: Sequence[tuple[np.dtype[Any], int, int]]) -> list[np.ndarray]:
    """Return vectors in a place, each of a type, with a number of values and the byte that it begins with."""
    return [np.frombuffer(place, *each) for each in of]


def add_arrays(parts: Sequence[np.ndarray], total: np.ndarray) -> None:
    """Write the sum of a power of two of vectors along the tree, as `tree.add_tree` adds up tensors.

    Args:
        parts: Of the same size and type.
        total: For the sum.
    """
    if len(parts) == 1:
        total[:] = parts[0]
        return
    between = np.empty((len(parts) // 2, min(BLOCK, total.size)), total.dtype)
    for start in range(0, total.size, BLOCK):
        end = total[start : start + BLOCK]
        level = [part[start : start + BLOCK] for part in parts]
        while len(level) > 2:
            # What a pair becomes lies at half its place: it overwrites nothing that is still to be added.
            level = [
                np.add(level[2 * pair], level[2 * pair + 1], out=between[pair, : end.size])
                for pair in range(len(level) // 2)
            ]
        np.add(level[0], level[1], out=end)


def seen_by_all(workers: Meeting, rank: int) -> SharedMemory | None:
    """Return memory that all workers see, or None: they are not on one machine, or this system has no such memory.

    Every worker calls this at the same time.
    """
    token = secrets.token_hex(_TOKEN_BYTES)
    own = _made(token) if workers.is_chief else None
    address = workers.broadcast({"path": f"/proc/{os.getpid()}/fd/{own}", "token": token} if own else None)
    if address and own is None:
        own = _opened(address)
    processes = workers.gather(own and os.getpid())
    if own is None:
        return None
    if not all(processes):
        os.close(own)
        return None
    return SharedMemory(own, rank, processes)


def _made(token: str) -> int | None:
    """Return new memory as a file that begins with a token; None where there is no such memory, or no use for it."""
    descriptor = None
    is_ordered = platform.machine().lower() in ("x86_64", "amd64")
    # What GPUs add up need not pass through the memory of the processor.
    if hasattr(os, "memfd_create") and is_ordered and not tf.config.list_physical_devices("GPU"):
        with suppress(OSError):
            descriptor = os.memfd_create("cnncli")
            os.pwrite(descriptor, token.encode(), 0)
    return descriptor


def _opened(address: dict[str, str]) -> int | None:
    """Return the chief's memory as a file, if its process is one of this machine."""
    with suppress(OSError):
        descriptor = os.open(address["path"], os.O_RDWR | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
        # On another machine the same path is another process's file.
        if os.pread(descriptor, 2 * _TOKEN_BYTES, 0) == address["token"].encode():
            return descriptor
        os.close(descriptor)
    return None


def _is_running(process: int) -> bool:
    try:
        state = (
            Path(f"/proc/{process}/stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()[0]
        )
    except OSError:
        return False
    return state not in "ZX"
