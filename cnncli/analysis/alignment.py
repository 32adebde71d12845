"""Two lists of layers side by side: which layer of one is which of the other."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from difflib import SequenceMatcher

Identity = tuple[Hashable, ...]
"""What a layer is: its type, then its arguments; equal where nothing changed."""

Pair = tuple[int | None, int | None]
"""Index in the first list and in the second; None where one has no counterpart."""

MAX_EDITS = 400
"""Layers added and removed up to which the best alignment is found; its time grows with their square."""

LONG = 2000
"""Layers above which those of common kinds are left to chance where two networks have little in common."""


def align(before: Sequence[Identity], after: Sequence[Identity]) -> list[Pair]:
    """Pair the layers of two networks in order.

    As many equal layers as possible are paired, and of what is left over as many as possible by type.
    """
    whole = range(len(before)), range(len(after))
    pairs: list[Pair] = []
    for left, right in _split(before, after, *whole):
        if isinstance(left, int) and isinstance(right, int):
            pairs.append((left, right))
        elif isinstance(left, range) and isinstance(right, range):
            pairs += _by_type(before, after, left, right)
    return pairs


def _by_type(before: Sequence[Identity], after: Sequence[Identity], left: range, right: range) -> Iterator[Pair]:
    types = [identity[0] for identity in before], [identity[0] for identity in after]
    for first, second in _split(*types, left, right):
        if isinstance(first, int) and isinstance(second, int):
            yield first, second
        elif isinstance(first, range) and isinstance(second, range):
            yield from ((index, None) for index in first)
            yield from ((None, index) for index in second)


def _split(
    before: Sequence[Hashable], after: Sequence[Hashable], left: range, right: range
) -> Iterator[tuple[int, int] | tuple[range, range]]:
    """Yield pairs of equal entries, and between them the stretches without any."""
    numbers: dict[Hashable, int] = {}
    first = [numbers.setdefault(before[i], len(numbers)) for i in left]
    second = [numbers.setdefault(after[i], len(numbers)) for i in right]
    i, j = 0, 0
    for x, y in [*_equal(first, second), (len(first), len(second))]:
        if i < x or j < y:
            yield left[i:x], right[j:y]
        if x < len(first) and y < len(second):
            yield left[x], right[y]
        i, j = x + 1, y + 1


def _equal(before: Sequence[int], after: Sequence[int]) -> list[tuple[int, int]]:
    """Return indices of equal entries, rising in both lists; as many as there can be if they are nearly alike."""
    traces = _furthest(before, after)
    if traces is None:
        blocks = SequenceMatcher(None, before, after, autojunk=len(after) > LONG).get_matching_blocks()
        return [(block.a + i, block.b + i) for block in blocks for i in range(block.size)]
    found: list[tuple[int, int]] = []
    x, y = len(before), len(after)
    for edits in range(len(traces) - 1, -1, -1):
        came_from = _previous(traces[edits], x - y, edits)
        start = traces[edits].get(came_from, 0)
        while x > max(start, 0) and y > max(start - came_from, 0) and before[x - 1] == after[y - 1]:
            x, y = x - 1, y - 1
            found.append((x, y))
        x, y = start, start - came_from
    return found[::-1]


def _furthest(before: Sequence[int], after: Sequence[int]) -> list[dict[int, int]] | None:
    """Return, for each number of edits, how far each diagonal was reached with one fewer; None above `MAX_EDITS`.

    Reference: Myers, An O(ND) difference algorithm and its variations, Algorithmica 1986.
    """
    reach, traces = {1: 0}, []
    for edits in range(min(len(before) + len(after), MAX_EDITS) + 1):
        traces.append(dict(reach))
        for diagonal in range(-edits, edits + 1, 2):
            came_from = _previous(reach, diagonal, edits)
            x = reach[came_from] + (came_from < diagonal)
            while x < len(before) and x - diagonal < len(after) and before[x] == after[x - diagonal]:
                x += 1
            reach[diagonal] = x
            if x >= len(before) and x - diagonal >= len(after):
                return traces
    return None


def _previous(reach: dict[int, int], diagonal: int, edits: int) -> int:
    """Return the neighbouring diagonal from which one edit leads furthest."""
    down = diagonal == -edits or (diagonal != edits and reach[diagonal - 1] < reach[diagonal + 1])
    return diagonal + 1 if down else diagonal - 1
