"""An exchange through memory that all workers of one machine see, in place of messages.

A message of 8 MB passes a dozen copies on its way to the next process. Here each worker writes the sum of its own
shards where all can read it, waits until all have, and adds up what they wrote, in the order of the tree.
"""

from __future__ import annotations

import mmap
import os
import secrets
from collections.abc import Callable, Sequence
from contextlib import suppress
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

_HEADER = mmap.ALLOCATIONGRANULARITY
"""Bytes at the beginning, with the token by which the others know the memory."""

_TOKEN_BYTES = 16


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
        num_workers: Number of all.
    """

    def __init__(self, descriptor: int, rank: int, num_workers: int) -> None:
        self._descriptor = descriptor
        self._end = _HEADER
        self.rank, self.num_workers = rank, num_workers

    def holds(self, values: int) -> bool:
        """Say whether a sum of so many float32 values may take memory."""
        return 2 * self.num_workers * 4 * values <= MOST_BYTES

    def add_up(self, parts: Sequence[Structure], met: Callable[[tf.Tensor], tf.Tensor]) -> Structure:
        """Return the sums of what this worker's shards and all others have. Part of a step's graph.

        Every worker asks for the same sums in the same order.

        Args:
            parts: A structure of tensors of fixed shape for each of this worker's shards.
            met: Returns a tensor, int32 (1,), when every worker has come to it.

        Raises:
            CnnError: If the memory does not suffice.
        """
        like = tf.nest.flatten(parts[0])
        shared = _SharedSum(self, like)
        written = tf.numpy_function(shared.write, tf.nest.flatten(list(parts)), tf.int32)
        all_written = met(tf.reshape(written, [1]))
        added = tf.numpy_function(shared.read, [all_written], [tensor.dtype for tensor in like])
        added = [tf.ensure_shape(total, tensor.shape) for total, tensor in zip(added, like, strict=True)]
        total: Structure = tf.nest.pack_sequence_as(parts[0], added)
        return total

    def take(self, size: int) -> np.ndarray:
        """Return the next bytes that all workers see, uint8 (size,): the same of each that takes the same sizes."""
        start, self._end = self._end, self._end + -(-size // _HEADER) * _HEADER
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


class _SharedSum:
    """A sum over all workers that a step's graph takes again and again.

    Each worker has two places, used in turn, so that it can write its next part while another still reads this one. It
    never gets two ahead: every sum waits for all.

    Args:
        memory: That all workers see.
        like: Tensors of the shapes and types that are added up.
    """

    def __init__(self, memory: SharedMemory, like: Sequence[tf.Tensor]) -> None:
        self._rank = memory.rank
        self._specs = [(tensor.dtype.as_numpy_dtype, tuple(tensor.shape.as_list())) for tensor in like]
        sizes = [_rounded_up(tensor.dtype.size * tensor.shape.num_elements()) for tensor in like]
        self._size = sum(sizes)
        self._starts = np.cumsum([0, *sizes[:-1]]).tolist()
        places = memory.take(2 * memory.num_workers * self._size).reshape(2, memory.num_workers, self._size)
        self._places = [[self._views(place) for place in turn] for turn in places]
        self._turn = 0

    def write(self, *arrays: np.ndarray) -> np.int32:
        """Write the sums of this worker's shards; `arrays` has those of one shard after those of another."""
        totals = self._places[self._turn][self._rank]
        for number, total in enumerate(totals):
            add_arrays([array.reshape(-1) for array in arrays[number :: len(totals)]], total)
        return np.int32(0)

    def read(self, _: np.ndarray) -> list[np.ndarray]:
        """Return the sums of all workers, in memory of their own."""
        room = np.empty(self._size + ALIGNMENT, np.uint8)
        start = -room.ctypes.data % ALIGNMENT
        totals = self._views(room[start : start + self._size])
        for total, *parts in zip(totals, *self._places[self._turn], strict=True):
            add_arrays(parts, total)
        self._turn = 1 - self._turn
        return [total.reshape(shape) for total, (_, shape) in zip(totals, self._specs, strict=True)]

    def _views(self, place: np.ndarray) -> list[np.ndarray]:
        """Return the tensors of a place, each as a vector."""
        return [
            np.frombuffer(place, dtype, int(np.prod(shape)), start)
            for start, (dtype, shape) in zip(self._starts, self._specs, strict=True)
        ]


def add_arrays(parts: Sequence[np.ndarray], total: np.ndarray) -> None:
    """Write the sum of a power of two of vectors along the tree, as `tree.add_tree` adds up tensors.

    Args:
        parts: Of the same size and type.
        total: For the sum.
    """
    if len(parts) == 1:
        total[:] = parts[0]
        return
    with np.errstate(all="ignore"):  # A sum that is not finite is for the step to tell of.
        _add_blocks(parts, total)


def _add_blocks(parts: Sequence[np.ndarray], total: np.ndarray) -> None:
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


def seen_by_all(workers: Meeting, rank: int, num_workers: int) -> SharedMemory | None:
    """Return memory that all workers see, or None: they are not on one machine, or this system has no such memory.

    Every worker calls this at the same time.
    """
    token = secrets.token_hex(_TOKEN_BYTES)
    own = _made(token) if workers.is_chief else None
    address = workers.broadcast({"path": f"/proc/{os.getpid()}/fd/{own}", "token": token} if own else None)
    if address and own is None:
        own = _opened(address)
    seen = all(workers.gather(own is not None))
    if own is None:
        return None
    if not seen:
        os.close(own)
        return None
    return SharedMemory(own, rank, num_workers)


def _made(token: str) -> int | None:
    """Return new memory as a file that begins with a token; None where there is no such memory, or no use for it."""
    descriptor = None
    # What GPUs add up need not pass through the memory of the processor.
    if hasattr(os, "memfd_create") and not tf.config.list_physical_devices("GPU"):
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


def _rounded_up(size: int) -> int:
    return -(-size // ALIGNMENT) * ALIGNMENT
