"""`tests/benchmarks/scaling_model.py` in small: its exchanges run message by message, for their bits and costs."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import astuple
from types import ModuleType
from typing import NamedTuple

import numpy as np
import pytest

LATENCY, PER_BYTE, PER_BYTE_ADDED = 1e-3, 1e-6, 1e-7


class Transfer(NamedTuple):
    """A message: a piece of the sender's vector, which the receiver adds to its own or puts in its place."""

    sender: int
    receiver: int
    piece: slice
    is_added: bool


Rounds = Iterator[list[Transfer]]
"""Transfers of a round are at the same time: each sends what it had before."""


def distances(workers: int) -> list[int]:
    """Return how far apart paired ranks are, round by round: 1, 2, 4 and so on."""
    return [1 << bit for bit in range(workers.bit_length() - 1)]


def part(size: int, index: int, parts: int) -> slice:
    """Return the piece of a vector that is one of several parts, counted round and round."""
    return slice(size * (index % parts) // parts, size * (index % parts + 1) // parts)


def half(piece: slice, is_upper: int) -> slice:
    """Return a half of a piece."""
    middle = (piece.start + piece.stop) // 2
    return slice(middle, piece.stop) if is_upper else slice(piece.start, middle)


def pairs(distance: int, pieces: list[slice], is_added: bool) -> list[Transfer]:
    """Return the round in which each rank receives a piece from its partner: its own one to add, else the partner's."""
    wanted = [pieces[rank if is_added else rank ^ distance] for rank in range(len(pieces))]
    return [Transfer(rank ^ distance, rank, piece, is_added) for rank, piece in enumerate(wanted)]


def ring(workers: int, size: int) -> Rounds:
    """Yield a ring's rounds: the sums of the parts are collected, then handed on."""
    for is_added in (True, False):
        for step in range(workers - 1):
            yield [
                Transfer(rank, (rank + 1) % workers, part(size, rank - step + (not is_added), workers), is_added)
                for rank in range(workers)
            ]


def doubling(workers: int, size: int) -> Rounds:
    """Yield the rounds of rings of two."""
    for distance in distances(workers):
        kept = [half(slice(0, size), rank & distance) for rank in range(workers)]
        yield pairs(distance, kept, is_added=True)
        yield pairs(distance, kept, is_added=False)


def whole_doubling(workers: int, size: int) -> Rounds:
    """Yield rounds in which partners send each other all they have."""
    for distance in distances(workers):
        yield pairs(distance, [slice(0, size)] * workers, is_added=True)


def halving(workers: int, size: int) -> Rounds:
    """Yield the rounds in which each rank's piece is halved, and those in which it doubles again."""
    larger, pieces = [], [slice(0, size)] * workers
    for distance in distances(workers):
        larger.append(pieces)
        pieces = [half(piece, rank & distance) for rank, piece in enumerate(pieces)]
        yield pairs(distance, pieces, is_added=True)
    for distance in reversed(distances(workers)):
        yield pairs(distance, pieces, is_added=False)
        pieces = larger.pop()


def gather(workers: int, size: int) -> Rounds:
    """Yield the rounds in which the workers' parts of one long vector go round."""
    for step in range(workers - 1):
        yield [
            Transfer(rank, (rank + 1) % workers, part(size, rank - step, workers), is_added=False)
            for rank in range(workers)
        ]


PAIRED = {"doubling": doubling, "whole doubling": whole_doubling, "halving": halving}
ROUNDS: dict[str, Callable[[int, int], Rounds]] = {"ring": ring, **PAIRED, "gather + tree": gather}


class Simulated(NamedTuple):
    """The vectors that the workers have in the end, what each one did (messages, bytes sent, added), and the time."""

    vectors: np.ndarray
    counts: np.ndarray
    seconds: float


def simulate(rounds: Rounds, vectors: np.ndarray) -> Simulated:
    """Run an exchange of vectors (workers, values); a worker waits for what it receives."""
    held = vectors.copy()
    counts, clock = np.zeros((len(held), 3), np.int64), np.zeros(len(held))
    for transfers in rounds:
        sent = [held[each.sender, each.piece].copy() for each in transfers]
        begun = clock.copy()
        for each, values in zip(transfers, sent, strict=True):
            added = values.nbytes if each.is_added else 0
            counts[each.sender, :2] += (1, values.nbytes)
            counts[each.receiver, 2] += added
            start = max(begun[each.sender], begun[each.receiver])
            clock[each.receiver] = start + LATENCY + PER_BYTE * values.nbytes + PER_BYTE_ADDED * added
            held[each.receiver, each.piece] = held[each.receiver, each.piece] + values if each.is_added else values
    return Simulated(held, counts, clock.max())


def run(name: str, vectors: np.ndarray) -> Simulated:
    """Run an exchange by its name; after a gather each worker adds for itself."""
    workers, size = vectors.shape
    if name != "gather + tree":
        return simulate(ROUNDS[name](workers, size), vectors)
    places = np.zeros((workers, workers, size), vectors.dtype)
    places[range(workers), range(workers)] = vectors
    found = simulate(gather(workers, workers * size), places.reshape(workers, -1))
    added = (workers - 1) * vectors[0].nbytes
    sums = [tree_sum(list(gathered.reshape(workers, size))) for gathered in found.vectors]
    return Simulated(np.array(sums), found.counts + np.array([0, 0, added]), found.seconds + PER_BYTE_ADDED * added)


def tree_sum(vectors: list[np.ndarray]) -> np.ndarray:
    """Return the sum of the first half plus the sum of the second half, and so on: the fixed tree, in one process."""
    middle = len(vectors) // 2
    return vectors[0] if not middle else tree_sum(vectors[:middle]) + tree_sum(vectors[middle:])


def mixed(workers: int, size: int) -> np.ndarray:
    """Return random float32 vectors (workers, size) of mixed magnitudes, where the order of additions is visible."""
    generator = np.random.default_rng(workers)
    return (generator.normal(size=(workers, size)) * 10.0 ** generator.integers(-6, 7, (workers, size))).astype("f4")


def same_bits(found: np.ndarray, expected: np.ndarray) -> bool:
    """Tell whether all workers have these bits."""
    return all(row.tobytes() == expected.tobytes() for row in found)


@pytest.fixture
def model(script: Callable[[str], ModuleType]) -> ModuleType:
    """Return the benchmark."""
    return script("benchmarks/scaling_model.py")


@pytest.mark.parametrize("workers", [2, 4, 8, 16])
@pytest.mark.parametrize("name", ["doubling", "whole doubling", "halving", "gather + tree"])
def test_exact_exchanges_have_the_bits_of_the_tree(name: str, workers: int) -> None:
    """Every worker has the sum of one process that adds along the tree, also of a length that W does not divide."""
    vectors = mixed(workers, 1003)
    assert same_bits(run(name, vectors).vectors, tree_sum(list(vectors)))


def test_only_pairs_keep_the_bits() -> None:
    """A ring has the bits of the tree for two workers, and others for four and more, the same at all workers."""
    for workers in (2, 4, 8):
        vectors = mixed(workers, 1003)
        found, expected = run("ring", vectors).vectors, tree_sum(list(vectors))
        assert same_bits(found, found[0])
        assert same_bits(found, expected) == (workers == 2)
        np.testing.assert_allclose(found[0], expected, rtol=0, atol=1e-6 * np.abs(vectors).sum(0).max())


@pytest.mark.parametrize("name", PAIRED)
def test_far_ranks_first_is_another_tree(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Paired at distance 4 first, then 2 and 1, all workers have one sum, but that of another tree."""
    vectors = mixed(8, 1003)
    monkeypatch.setitem(globals(), "distances", lambda workers: [4, 2, 1])
    found = run(name, vectors).vectors
    assert not same_bits(found, tree_sum(list(vectors)))
    assert same_bits(found, tree_sum([vectors[rank] for rank in (0, 4, 2, 6, 1, 5, 3, 7)]))


@pytest.mark.parametrize("name", ROUNDS)
def test_formulas_count_messages(name: str, model: ModuleType) -> None:
    """Each worker sends and adds what the formula says, and the last one ends when it says."""
    assert list(model.COSTS) == list(ROUNDS)
    link = model.Link(LATENCY, PER_BYTE, PER_BYTE_ADDED)
    for workers in (2, 4, 8, 16):
        cost, found = model.COSTS[name](workers, 4 * 960), run(name, mixed(workers, 960))
        assert found.counts.tolist() == [list(astuple(cost))] * workers
        assert cost.seconds(link) == pytest.approx(found.seconds)


def test_where_doubling_loses(model: ModuleType) -> None:
    """By hand for four workers at 1 GB/s, 1 ms a message and nothing for adding: 4 ms + 2N against 6 ms + 1.5N."""
    link = model.Link(1e-3, 1e-9, 0)
    assert model.loses_from("doubling", "ring", 4, link) == pytest.approx(4e6)
    assert model.loses_from("whole doubling", "halving", 4, link) == pytest.approx(4e6)
    assert model.loses_from("doubling", "halving", 4, link) == 0
    assert model.loses_from("ring", "halving", 4, link) == 0
    assert model.loses_from("halving", "doubling", 4, link) is None
    assert model.loses_from("doubling", "ring", 2, link) is None


def test_fit_finds_the_constants(model: ModuleType) -> None:
    """From times of known constants come these; from those measured, errors of at most 17 % but for the outlier."""
    constants = (7e-4, 5e-9, 1e-9)
    times = {
        params: {
            name: 1e3 * sum(a * b for a, b in zip(constants, astuple(model.COSTS[name](4, 4 * params)), strict=True))
            for name in measured
        }
        for params, measured in model.MEASURED.items()
    }
    assert astuple(model.fit(times)) == pytest.approx(constants)
    rows = model.comparison(model.fit(model.MEASURED)).rows
    errors = {tuple(row[:2]): int(row[4].removesuffix(" %")) for row in rows}
    assert errors.pop(("gather + tree", "10,000,000")) == -68
    assert len(errors) == 8
    assert max(map(abs, errors.values())) == 17


def test_tables(model: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """LeNet-5 on eight workers, weak and strong, by hand; each network has a row for each number of workers."""
    arguments = ["--gbit", "8", "--latency", "1000", "--gmacs", "1", "--global-batch", "2048"]
    monkeypatch.setattr(sys, "argv", ["scaling_model.py", *arguments])
    model.main()
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    # 61,706 parameters of four bytes, 1 ns each, and 0.3 ns to add; 416,520 MACs, forwards and backwards three times.
    times = ["14.5", "6.85", "3.96", "6.50", "9.25"]
    assert ["mnist_lenet5", "8", "128", "160", *times, "96", "%", "96", "%"] in lines
    assert ["mnist_lenet5", "8", "256", "320", *times, "98", "%", "98", "%"] in lines
    assert sum(line[:1] == ["resnet50"] for line in lines) == 2 * len(model.WORKERS)
