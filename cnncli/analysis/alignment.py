"""Two lists of layers side by side: which layer of one is which of the other."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from difflib import SequenceMatcher

Identity = tuple[Hashable, ...]
"""What a layer is: its type, then its arguments; equal where nothing changed."""

Pair = tuple[int | None, int | None]
"""Index in the first list and in the second; None where one has no counterpart."""

LONG = 2000
"""Lists longer than this are matched by their rarer entries only; a full match would take seconds."""


def align(before: Sequence[Identity], after: Sequence[Identity]) -> list[Pair]:
    """Pair the layers of two networks in order.

    Equal layers come first, from both ends and then between; what is left over is paired by type.
    """
    head = _common(before, after)
    tail = _common(before[head:][::-1], after[head:][::-1])
    pairs: list[Pair] = [(i, i) for i in range(head)]
    pairs += _between(before, after, range(head, len(before) - tail), range(head, len(after) - tail))
    return pairs + [(len(before) - i, len(after) - i) for i in range(tail, 0, -1)]


def _common(before: Sequence[Identity], after: Sequence[Identity]) -> int:
    pairs = enumerate(zip(before, after, strict=False))
    return next((i for i, (a, b) in pairs if a != b), min(len(before), len(after)))


def _between(before: Sequence[Identity], after: Sequence[Identity], left: range, right: range) -> Iterator[Pair]:
    for equal, first, second in _blocks([before[i] for i in left], [after[i] for i in right], left, right):
        if equal:
            yield from zip(first, second, strict=True)
        else:
            yield from _by_type(before, after, first, second)


def _by_type(before: Sequence[Identity], after: Sequence[Identity], left: range, right: range) -> Iterator[Pair]:
    for equal, first, second in _blocks([before[i][0] for i in left], [after[i][0] for i in right], left, right):
        if equal:
            yield from zip(first, second, strict=True)
        else:
            yield from ((index, None) for index in first)
            yield from ((None, index) for index in second)


def _blocks(
    before: Sequence[Hashable], after: Sequence[Hashable], left: range, right: range
) -> Iterator[tuple[bool, range, range]]:
    popular = max(len(before), len(after)) > LONG
    for tag, i, j, k, m in SequenceMatcher(None, before, after, autojunk=popular).get_opcodes():
        yield tag == "equal", left[i:j], right[k:m]
