"""Sums in memory that all workers of a machine see: their bits, their places, and whom they are for."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

pytestmark = [
    pytest.mark.engine,
    pytest.mark.skipif(not hasattr(os, "memfd_create"), reason="this system has no memory without a name"),
]

SHARDS = 8

DENORMAL = np.float32(1e-39)
"""TensorFlow's threads take such a number for 0."""


def parts_of(rng: np.random.Generator, number: int) -> list[list[np.ndarray]]:
    """Return tensors of several shapes and types for each shard, with zeros, infinities and denormal numbers."""
    made: list[list[np.ndarray]] = []
    for _ in range(number):
        large = rng.normal(0, 1e3, (70_001,)).astype(np.float32) * rng.choice(np.float32([1, 1e-6, 1e6]), 70_001)
        large[:6] = DENORMAL, 1.5 * np.finfo(np.float32).tiny, np.inf, 0.0, -0.0, 3e38
        made.append([large, rng.normal(size=(3, 5)).astype(np.float32), rng.integers(0, 2**40, (7,)), np.float32(0.1)])
    return made


@pytest.fixture
def workers() -> Iterator[Callable[[int], list[Any]]]:
    """Return a function that opens the memory of so many workers, all in this process."""
    from cnncli.engine.distribution.shared_memory import SharedMemory, _made

    descriptors = []

    def opened(number: int) -> list[Any]:
        descriptor = _made("token")
        assert descriptor is not None
        descriptors.append(descriptor)
        return [SharedMemory(descriptor, rank, [os.getpid()] * number) for rank in range(number)]

    yield opened
    for descriptor in descriptors:
        os.close(descriptor)


def sums(memories: list[Any], steps: list[list[list[np.ndarray]]]) -> list[list[list[np.ndarray]]]:
    """Return the sums of each step that each worker makes: in a graph, in which all write before one reads."""
    import tensorflow as tf

    from cnncli.engine.distribution.shared_memory import _SharedSum

    like = list(map(tf.constant, steps[0][0]))
    dtypes = [tensor.dtype for tensor in like]
    shared = [_SharedSum(memory, like) for memory in memories]

    @tf.function
    def add_up(parts: list[list[Any]]) -> Any:
        taken = len(parts) // len(shared)
        given = [tf.nest.flatten(parts[rank * taken : (rank + 1) * taken]) for rank in range(len(shared))]
        written = [tf.numpy_function(one.write, own, []) for one, own in zip(shared, given, strict=True)]
        with tf.control_dependencies(written):
            here = [tf.numpy_function(one.wait, [], tf.int32) for one in shared]
        return [tf.numpy_function(one.read, [found], dtypes) for one, found in zip(shared, here, strict=True)]

    found = [add_up([list(map(tf.constant, part)) for part in step]) for step in steps]
    return [[total.numpy() for total in of_worker] for of_step in found for of_worker in of_step]


@pytest.mark.parametrize("num_workers", [1, 2, 4, 8])
def test_sums_have_the_bits_of_one_process(workers: Callable[[int], list[Any]], num_workers: int) -> None:
    """Three steps, of floats and counts: the same to the last bit as TensorFlow adds up the eight shards."""
    import tensorflow as tf

    from cnncli.engine.distribution.tree import add_tree

    rng = np.random.default_rng(0)
    steps = [parts_of(rng, SHARDS) for _ in range(3)]
    expected = [
        [total.numpy() for total in add_tree([list(map(tf.constant, part)) for part in step])] for step in steps
    ]
    assert expected[0][0][0] == 0 != 8 * DENORMAL
    found = sums(workers(num_workers), steps)
    assert len(found) == 3 * num_workers
    for number, totals in enumerate(found):
        for total, one in zip(totals, expected[number // num_workers], strict=True):
            assert (total.dtype, total.shape) == (one.dtype, one.shape)
            assert total.tobytes() == one.tobytes()


def test_arrays_are_added_along_the_tree() -> None:
    """Each block like a whole: neighbours first, and the parts stay as they were."""
    from cnncli.engine.distribution.shared_memory import BLOCK, add_arrays

    rng = np.random.default_rng(0)
    for number in (1, 2, 4, 8, 16):
        parts = list(rng.normal(size=(number, 2 * BLOCK + 5)).astype(np.float32))
        before, level = [part.copy() for part in parts], parts
        while len(level) > 1:
            level = [level[i] + level[i + 1] for i in range(0, len(level), 2)]
        total = np.empty_like(parts[0])
        add_arrays(parts, total)
        np.testing.assert_array_equal(total, level[0])
        np.testing.assert_array_equal(parts, before)
        assert number < 4 or (total != np.add.reduce(parts)).any()


def test_a_worker_may_be_one_sum_ahead(workers: Callable[[int], list[Any]]) -> None:
    """It writes its next part while the other still reads the last one; what the other reads is not touched by that."""
    import tensorflow as tf

    from cnncli.engine.distribution.shared_memory import ALL_HERE, _SharedSum

    first, second = (_SharedSum(memory, [tf.zeros([1000])]) for memory in workers(2))
    first.write(np.full(1000, 1, np.float32))
    second.write(np.full(1000, 2, np.float32))
    (total,) = first.read(ALL_HERE)
    first.write(np.full(1000, 10, np.float32))
    assert second.wait() == ALL_HERE
    assert set(total) == set(second.read(ALL_HERE)[0]) == {3}
    second.write(np.full(1000, 20, np.float32))
    assert set(second.read(ALL_HERE)[0]) == set(first.read(ALL_HERE)[0]) == {30}
    assert set(total) == {3}


def test_a_worker_waits_for_the_others(workers: Callable[[int], list[Any]], monkeypatch: pytest.MonkeyPatch) -> None:
    """As long as it takes, looking after them now and then; what they write late is added up all the same."""
    import tensorflow as tf

    from cnncli.engine.distribution import shared_memory

    monkeypatch.setattr(shared_memory, "PATIENCE", 0.01)
    first, second = workers(2)
    looks: list[bool] = []

    def look(has_one_ended: Any) -> Any:
        def note(ended: np.ndarray) -> np.ndarray:
            looks.append(bool(ended))
            if len(looks) == 3:
                other.write(np.full(5, 40, np.float32), np.int64(2**40))
            return ended

        return tf.numpy_function(note, [has_one_ended], tf.bool)

    @tf.function
    def add_up() -> Any:
        return first.add_up([[tf.fill([5], 1.0), tf.constant(1, tf.int64)]] * 2, look)

    concrete = add_up.get_concrete_function()
    other = shared_memory._SharedSum(second, [tf.zeros([5]), tf.constant(0, tf.int64)])
    floats, count = concrete()
    assert (set(floats.numpy()), int(count)) == ({42}, 2**40 + 2)
    assert looks == [False] * 3


def test_a_worker_that_has_ended_is_missed(
    workers: Callable[[int], list[Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that is gone, and one that nobody has waited for yet; not one that still runs."""
    import tensorflow as tf

    from cnncli.engine.distribution import shared_memory

    monkeypatch.setattr(shared_memory, "PATIENCE", 0.01)
    (memory,) = workers(1)
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        memory.processes = [os.getpid(), process.pid]
        shared = shared_memory._SharedSum(memory, [tf.zeros([5])])
        shared.write(np.zeros(5, np.float32))
        assert shared.wait() == shared_memory.WAITING
        process.kill()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        assert shared.wait() == shared_memory.ONE_ENDED
    assert shared.wait() == shared_memory.ONE_ENDED


def meeting(is_chief: bool, told: Any, others: list[int | None]) -> Any:
    """Return a worker to which the chief tells a document, or who tells it to a list."""
    return SimpleNamespace(
        is_chief=is_chief,
        broadcast=lambda document: told.append(document) or document if is_chief else told[-1],
        gather=lambda process: [process, *others],
    )


def test_only_memory_that_all_see_is_used() -> None:
    """The chief's path is opened and known by its token; where one does not see it, nobody uses it."""
    from cnncli.engine.distribution.shared_memory import seen_by_all

    told: list[Any] = []
    chief = seen_by_all(meeting(True, told, [7]), 0)
    other = seen_by_all(meeting(False, told, [7]), 1)
    assert chief is not None
    assert other is not None
    chief.take(10)[:] = np.arange(10)
    assert other.take(10).tolist() == list(range(10))
    before = set(Path("/proc/self/fd").iterdir())
    for told_now in ([None], [{**told[0], "token": "0" * 32}], [{**told[0], "path": "/proc/self/fd/999"}]):
        assert seen_by_all(meeting(False, told_now, [7]), 1) is None
    assert seen_by_all(meeting(True, [], [None]), 0) is None
    assert seen_by_all(meeting(False, told, [None]), 1) is None
    assert set(Path("/proc/self/fd").iterdir()) == before


def test_a_system_without_such_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers then send messages."""
    from cnncli.engine.distribution.shared_memory import seen_by_all

    told: list[Any] = []
    monkeypatch.delattr(os, "memfd_create")
    assert seen_by_all(meeting(True, told, [None]), 0) is None
    assert told == [None]


@pytest.mark.skipif(sys.platform != "linux", reason="the error is Linux's")
def test_memory_that_is_refused(workers: Callable[[int], list[Any]], monkeypatch: pytest.MonkeyPatch) -> None:
    """One error that says how much it was."""
    from cnncli.errors import CnnError

    def refused(*_: int) -> None:
        raise OSError(12, "Cannot allocate memory")

    monkeypatch.setattr(os, "posix_fallocate", refused)
    with pytest.raises(CnnError, match="no 3 MiB of memory for the workers of this machine: Cannot allocate memory"):
        workers(2)[0].take(3 << 20)
